"""Symbols that are made unknown in training pairs, and what is put in their place in the end."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from seqcli.data.encoded import make_batch
from seqcli.data.subwords import learn_subwords
from seqcli.data.tokenizer import same_symbols
from seqcli.data.unknown_symbols import copied, with_unknown
from seqcli.data.vocabulary import VocabularyTokenizer, learn_characters, learn_words
from seqcli.symbols import EOS, UNK
from seqcli.types import Batch

SOURCE = learn_characters(["abcdabcdxy"], features=["N", "V"])
TARGET = learn_characters(["dcba", "zdcba", "q"])
SAME = np.array(same_symbols(SOURCE, TARGET))


def batch_of(*pairs: tuple[str, str], first: int = 0) -> Batch:
    sources = [[*SOURCE.encode(source, ("N",)), EOS] for source, _ in pairs]
    targets = [[*TARGET.encode(target), EOS] for _, target in pairs]
    return make_batch(sources, targets, range(first, first + len(pairs)))


def shown(batch: Batch, row: int) -> tuple[str, str]:
    assert batch.target is not None
    return SOURCE.decode(batch.source[row].tolist(), "?" * 9), TARGET.decode(batch.target[row].tolist(), "?" * 9)


def test_a_symbol_of_both_sides_becomes_unknown_wherever_it_stands() -> None:
    batch = batch_of(*[("xabay", "aabz")] * 300)
    changed = with_unknown(batch, SAME, 1.0, seed=1, epoch=0)
    counts = Counter(shown(changed, row) for row in range(300))
    assert set(counts) == {("x?b?y", "??bz"), ("xa?ay", "aa?z")}
    assert 100 < counts["x?b?y", "??bz"] < 200
    # what the sides do not share, features, ends and padding stay
    for column, before in ((changed.source, batch.source), (changed.target, batch.target)):
        assert column is not None
        assert before is not None
        assert column.shape == before.shape
        assert torch.equal(column[column != UNK], before[column != UNK])


def test_nothing_in_common_stays_as_it_is() -> None:
    batch = batch_of(("xy", "zq"), ("x", "q"))
    changed = with_unknown(batch, SAME, 1.0, seed=1, epoch=0)
    assert torch.equal(changed.source, batch.source)


def test_as_many_rows_as_asked() -> None:
    batch = batch_of(*[("abcd", "dcba")] * 2000)
    before = batch.source.clone()
    changed = with_unknown(batch, SAME, 0.2, seed=3, epoch=5)
    assert 340 < int((changed.source == UNK).any(dim=1).sum()) < 460
    assert torch.equal(batch.source, before)


def test_a_row_follows_from_seed_epoch_and_place_alone() -> None:
    def all_of(seed: int, epoch: int) -> list[tuple[str, str]]:
        changed = with_unknown(batch_of(*[("abcd", "dcba")] * 50), SAME, 0.5, seed=seed, epoch=epoch)
        return [shown(changed, row) for row in range(50)]

    together = all_of(1, 1)
    assert together == all_of(1, 1)
    assert together != all_of(2, 1)
    assert together != all_of(1, 2)
    alone = with_unknown(batch_of(("abcd", "dcba"), first=30), SAME, 0.5, seed=1, epoch=1)
    assert shown(alone, 0) == together[30]


def test_what_is_unknown_is_copied_in_its_order() -> None:
    def text(ids: list[int], source: str, tokenizer: VocabularyTokenizer = SOURCE) -> str:
        return copied([*ids, EOS], source, tokenizer, TARGET)

    a, z = (TARGET.encode(letter)[0] for letter in "az")
    assert text([UNK, a, UNK], "ßaö") == "ßaö"
    assert text([z, UNK], "öab") == "zö"
    # what the source has no symbol for is left out, and so is what is not asked for
    assert text([UNK, a, UNK], "öab") == "öa"
    assert text([a], "öab") == "a"
    words = learn_words(["the cat"])
    assert copied([*words.encode("the dog"), EOS], "le chien", words, words) == "the le"
    assert copied([*words.encode("dog the cat"), EOS], "cat", words, words) == "the cat", "and its space too"


def test_of_subwords_and_capitals() -> None:
    pieces = learn_subwords(["the cat sat on the mat"] * 20, kind="bpe", vocabulary_size=30)
    ids = [*pieces.encode("the 猫 sat"), EOS]
    assert UNK in ids
    assert copied(ids, "the 猫 sat", pieces, pieces) == "the 猫 sat"
    marked = learn_characters(["Das Haus"], marked_capitals=True, normalize="nfd")
    assert copied([*marked.encode("Übq"), EOS], "Übq", marked, marked) == "Übq"
