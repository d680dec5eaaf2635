"""The encoded corpus: shapes of batches, what is left out, the cache, and memory that stays on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import seqcli.data.encoded as encoded_module
from seqcli.data.cache import cache_folder, cache_key
from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus
from seqcli.data.encoded import encode_corpus, make_batch, open_encoded
from seqcli.data.files import read_files
from seqcli.data.vocabulary import VocabularyTokenizer, learn_characters
from seqcli.errors import DataError, StorageError
from seqcli.symbols import BOS, EOS, PAD, UNK, Example

PAIRS = [("ab", "x"), ("", "y"), ("a", "  "), ("abab", "xyz"), ("b", "yx"), ("aaaaaaaa", "x")]


def corpus_of(pairs: list[tuple[str, str]], features: tuple[str, ...] = ()) -> Corpus:
    def read() -> Iterator[Example]:
        for index, (source, target) in enumerate(pairs):
            yield Example(source, target, index, f"here:{index + 1}", features)

    return Corpus("here", read, lambda: repr(pairs))


@pytest.fixture
def tokenizer() -> VocabularyTokenizer:
    return learn_characters(["aaabb", "xxxyy"], features=["F"])


def test_batches_by_hand(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    encoded = encode_corpus(corpus_of(PAIRS), tokenizer, tokenizer, tmp_path)
    # F is 4; a and x come three times, so they are 5 and 6; b and y twice: 7 and 8.
    assert tokenizer.tokens(range(4, 9)) == ["F", "a", "x", "b", "y"]
    batch = encoded.batch([1, 0])
    assert batch.source.tolist() == [[5, 7, 5, 7, EOS], [5, 7, EOS, PAD, PAD]]
    assert batch.source_mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    assert batch.target is not None
    assert batch.target.tolist() == [[BOS, 6, 8, UNK, EOS], [BOS, 6, EOS, PAD, PAD]]
    assert batch.index.tolist() == [1, 0]
    assert {tensor.dtype for tensor in (batch.source, batch.target, batch.index)} == {torch.int64}
    assert encoded.source_lengths.tolist() == [3, 5, 2, 9]
    assert encoded.target_lengths.tolist() == [2, 4, 3, 2]
    assert batch.target_tokens == int(encoded.target_lengths[:2].sum())


def test_what_is_left_out_is_counted_and_named(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    limits = {"source_max_length": 4, "target_max_length": 2}
    encoded = encode_corpus(corpus_of(PAIRS), tokenizer, tokenizer, tmp_path, **limits)
    report = encoded.report
    assert (report.examples, len(encoded)) == (2, 2)
    assert (report.empty, report.empty_origins) == (2, ("here:2", "here:3"))
    assert (report.too_long, report.too_long_origins) == (2, ("here:4", "here:6"))
    assert (report.source_longest, report.target_longest) == (2, 2)
    unlimited = encode_corpus(corpus_of(PAIRS), tokenizer, tokenizer, tmp_path).report
    assert (unlimited.examples, unlimited.too_long) == (4, 0)
    assert unlimited.target_unknown == pytest.approx(1 / 7)
    assert unlimited.source_unknown == 0.0


def test_only_a_few_origins_are_kept(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    report = encode_corpus(corpus_of([("", "")] * 100 + PAIRS), tokenizer, tokenizer, tmp_path).report
    assert report.empty == 102
    assert report.empty_origins == tuple(f"here:{line}" for line in range(1, 6))


def test_nothing_left_is_an_error(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no example is left to use: 1 have an empty side, 1 are too long"):
        encode_corpus(corpus_of([("", "x"), ("aaa", "x")]), tokenizer, tokenizer, tmp_path, source_max_length=2)
    assert list(tmp_path.iterdir()) == []


def test_no_examples_are_not_examples_left_out(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no examples$"):
        encode_corpus(corpus_of([]), tokenizer, tokenizer, tmp_path)


def test_reversed_source_and_features(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    corpus = corpus_of([("ab", "xy")], features=("F",))
    encoded = encode_corpus(corpus, tokenizer, tokenizer, tmp_path)
    turned = encode_corpus(corpus, tokenizer, tokenizer, tmp_path, reverse_source=True)
    assert encoded.batch([0]).source.tolist() == [[4, 5, 7, EOS]]
    assert turned.batch([0]).source.tolist() == [[7, 5, 4, EOS]]
    assert turned.batch([0]).labels.tolist() == [[6, 8, EOS]]
    assert encoded.example(0) == Example("ab", "xy", 0, "here:1", ("F",))


def test_chunks_are_seamless(tokenizer: VocabularyTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("a" * (1 + row % 7), "xy"[: 1 + row % 2]) for row in range(100)]
    whole = encode_corpus(corpus_of(pairs), tokenizer, tokenizer, tmp_path / "")
    monkeypatch.setattr(encoded_module, "CHUNK_ROWS", 8)
    (tmp_path / "other").mkdir()
    parts = encode_corpus(corpus_of(pairs), tokenizer, tokenizer, tmp_path / "other")
    assert np.array_equal(whole.source_lengths, parts.source_lengths)
    rows = np.random.default_rng(0).permutation(100)
    assert torch.equal(whole.batch(rows).source, parts.batch(rows).source)
    assert torch.equal(whole.batch(rows).inputs, parts.batch(rows).inputs)
    assert [parts.example(row).source for row in (0, 7, 8, 99)] == [pairs[row][0] for row in (0, 7, 8, 99)]


def test_make_batch_without_targets() -> None:
    batch = make_batch([[5, EOS], [5, 6, EOS]], None, [4, 2])
    assert batch.target is None
    assert batch.source.tolist() == [[5, EOS, PAD], [5, 6, EOS]]
    assert batch.index.tolist() == [4, 2]


def test_the_second_time_nothing_is_read(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    corpus = corpus_of(PAIRS)
    first = encode_corpus(corpus, tokenizer, tokenizer, tmp_path)

    def refuse() -> Iterator[Example]:
        raise AssertionError("the corpus was read again")

    second = encode_corpus(Corpus("here", refuse, corpus.digest), tokenizer, tokenizer, tmp_path)
    assert second.report == first.report
    assert len(list(tmp_path.iterdir())) == 1
    encode_corpus(corpus_of(PAIRS[:1]), tokenizer, tokenizer, tmp_path)
    encode_corpus(corpus, tokenizer, tokenizer, tmp_path, source_max_length=4)
    encode_corpus(corpus, tokenizer, tokenizer, tmp_path, target_max_length=4)
    encode_corpus(corpus, tokenizer, learn_characters(["xy"]), tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_what_is_not_whole_is_made_again(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    encode_corpus(corpus_of(PAIRS), tokenizer, tokenizer, tmp_path)
    (folder,) = tmp_path.iterdir()
    table = (folder / "examples.arrow").read_bytes()
    for name, data in (
        ("examples.arrow", table[:-50]),
        ("examples.arrow", b""),
        ("report.json", b"{"),
        ("report.json", b"[]"),
    ):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(data)
        assert open_encoded(folder) is None
        assert len(encode_corpus(corpus_of(PAIRS), tokenizer, tokenizer, tmp_path)) == 4
        assert (folder / name).read_bytes() == whole
    assert open_encoded(tmp_path / "nothing") is None


def test_an_error_leaves_nothing_behind(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    def read() -> Iterator[Example]:
        yield Example("a", "x", 0, "here:1")
        raise DataError("here:2: is broken")

    with pytest.raises(DataError, match="here:2"):
        encode_corpus(Corpus("here", read, lambda: "x"), tokenizer, tokenizer, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tokenizer: VocabularyTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoded_module, "_publish", refuse)
    with pytest.raises(StorageError, match="No space left on device"):
        encode_corpus(corpus_of(PAIRS), tokenizer, tokenizer, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_ids_stay_on_the_disk(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    pairs = [("ab" * 500, "xy" * 500)] * 3000
    before = pa.total_allocated_bytes()
    encoded = encode_corpus(corpus_of(pairs), tokenizer, tokenizer, tmp_path)
    (folder,) = tmp_path.iterdir()
    assert (folder / "examples.arrow").stat().st_size > 25_000_000
    encoded.batch([0, 2999])
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_neither_local_files_nor_the_cache_need_datasets(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("ab\txy\n" * 10)
    program = f"""
import sys
from pathlib import Path
from seqcli.data.columns import Columns
from seqcli.data.encoded import encode_corpus
from seqcli.data.files import read_files
from seqcli.data.vocabulary import learn_characters
corpus = read_files([{str(tmp_path / "x.tsv")!r}], Columns(source=0, target=1))
tokenizer = learn_characters(["abxy"])
print(len(encode_corpus(corpus, tokenizer, tokenizer, Path({str(tmp_path)!r}))))
print([name for name in ("datasets", "pandas", "matplotlib", "pydantic") if name in sys.modules])
"""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout == "10\n[]\n"


def test_a_line_of_a_megabyte(tokenizer: VocabularyTokenizer, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a" * 1_000_000 + "\tx\n")
    encoded = encode_corpus(
        read_files([str(tmp_path / "x.tsv")], Columns(source=0, target=1)), tokenizer, tokenizer, tmp_path
    )
    assert encoded.source_lengths.tolist() == [1_000_001]


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "mine" / "deep"))
    assert cache_folder() == tmp_path / "mine" / "deep"
    monkeypatch.delenv("SEQCLI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "seqcli"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "seqcli"


def test_a_cache_that_cannot_be_written_is_replaced_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="SEQCLI_CACHE names another folder"):
        folder = cache_folder()
    assert os.access(folder, os.W_OK)


def test_where_nobody_has_a_home_the_cache_is_replaced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.warns(UserWarning, match=r"cannot be written \(Could not determine home directory"):
        assert os.access(cache_folder(), os.W_OK)


def test_cache_keys_tell_apart_what_differs() -> None:
    parts = [("a", "b"), ("ab", ""), ("a", None), ("a", 1), ("a", "1"), ("a",)]
    assert len({cache_key(*part) for part in parts}) == len(parts)
    assert cache_key("a", 1) == cache_key("a", 1)
