"""Beam search on tables small enough to follow with a pencil."""

from __future__ import annotations

import math

import pytest
import torch
from search.table import Table, from_probabilities

from seqcli.search.beam import beam_search
from seqcli.symbols import EOS, PAD
from seqcli.types import Hypotheses

A, B, C = 3, 4, 5
SYMBOLS = {".": EOS, "a": A, "b": B, "c": C}

# Greedy goes a a . = .5·.36·.8 = .144; better is b . = .4·.9 = .36
WORLD = {
    "": {"a": 0.5, "b": 0.4, ".": 0.1},
    "a": {"a": 0.36, "b": 0.34, ".": 0.3},
    "b": {"a": 0.05, "b": 0.05, ".": 0.9},
    "aa": {".": 0.8, "a": 0.1, "b": 0.1},
    "ab": {".": 0.6, "a": 0.3, "b": 0.1},
}


def search(
    rows: dict[str, dict[str, float]], max_length: int = 3, **how: float | tuple[int, ...]
) -> tuple[Hypotheses, Table]:
    table = Table(from_probabilities(SYMBOLS, rows))
    return beam_search(table.step, table.start(1), [max_length], **how), table  # type: ignore[arg-type]


def spelt(found: Hypotheses, row: int = 0) -> list[str]:
    letters = {number: letter for letter, number in SYMBOLS.items()}
    return [
        "".join(letters[symbol] for symbol in ids[:length])
        for ids, length in zip(found.ids[row].tolist(), found.lengths[row].tolist(), strict=True)
    ]


def test_greedy_takes_the_best_symbol_each_time() -> None:
    found, table = search(WORLD)
    assert spelt(found) == ["aa."]
    assert found.log_probs.item() == pytest.approx(math.log(0.144))
    assert found.scores.item() == pytest.approx(math.log(0.144) / 3)
    assert table.asked == [[(0, ())], [(0, (A,))], [(0, (A, A))]]


def test_a_beam_of_two() -> None:
    # step 1: a .5 and b .4 live on; "." .1 is third, not among the first two, so it does not finish
    # step 2: b. .36 finishes; aa .18 and ab .17 live on
    # step 3: aa. .144 and ab. .102 finish: three in all, the best two are kept
    found, table = search(WORLD, beam_size=2, length_penalty=0.0)
    assert spelt(found) == ["b.", "aa."]
    assert found.log_probs.exp().tolist()[0] == pytest.approx([0.36, 0.144])
    assert torch.equal(found.scores, found.log_probs)
    assert [len(asked) for asked in table.asked] == [1, 2, 2]
    assert sorted(table.asked[2]) == [(0, (A, A)), (0, (A, B))]


def test_length_penalty_divides_by_the_length_to_its_power() -> None:
    # squared: aa. log .144 / 3² = -.215, ab. log .102 / 3² = -.254, b. log .36 / 2² = -.255: the longer ones are better now
    found, _ = search(WORLD, beam_size=2, length_penalty=2.0)
    assert spelt(found) == ["aa.", "ab."]
    assert found.scores[0].tolist() == pytest.approx([math.log(0.144) / 9, math.log(0.102) / 9])


def test_at_the_longest_length_hypotheses_are_taken_without_an_end() -> None:
    found, _ = search(WORLD, max_length=1, beam_size=2)
    assert spelt(found) == ["a", "b"]
    assert found.log_probs.exp().tolist()[0] == pytest.approx([0.5, 0.4])
    # with b. finished, one place is free: aa, the better of the two that live
    found, _ = search(WORLD, max_length=2, beam_size=2, length_penalty=0.0)
    assert spelt(found) == ["b.", "aa"]


def test_a_banned_symbol_is_never_written_and_nothing_is_renormalised() -> None:
    found, _ = search(WORLD, banned=(PAD, 1, A))
    assert spelt(found) == ["b."]
    assert found.log_probs.exp().item() == pytest.approx(0.36)
    found, _ = search(WORLD, max_length=2, banned=(EOS,))
    assert spelt(found) == ["aa"]


def test_what_is_impossible_is_not_written() -> None:
    # one way only, though there is room for three
    found, _ = search({"": {"a": 1.0}, "a": {".": 1.0}}, beam_size=3)
    assert spelt(found) == ["a.", "", ""]
    assert found.scores.tolist() == [[0.0, -math.inf, -math.inf]]
    assert found.log_probs.tolist() == [[0.0, -math.inf, -math.inf]]
    assert found.ids.tolist() == [[[A, EOS], [PAD, PAD], [PAD, PAD]]]


def test_a_sentence_without_any_way_finds_nothing() -> None:
    found, table = search({"": {"a": 1.0}, "a": {}}, beam_size=2)
    assert found.lengths.tolist() == [[0, 0]]
    assert found.scores.tolist() == [[-math.inf, -math.inf]]
    assert len(table.asked) == 2


def test_a_beam_wider_than_the_vocabulary() -> None:
    found, _ = search({"": {"a": 0.75, ".": 0.25}, "a": {".": 1.0}}, beam_size=50)
    assert spelt(found)[:3] == ["a.", ".", ""]
    assert found.ids.shape == (1, 50, 2)


def test_done_sentences_leave_the_batch_and_empty_ones_never_enter() -> None:
    def following(sentence: int, prefix: tuple[int, ...]) -> list[float]:
        wanted = [1, 5, 0, 3][sentence]  # symbols before the end
        best = EOS if len(prefix) == wanted else A
        return [0.0 if symbol == best else -50.0 for symbol in range(6)]

    table = Table(following)
    found = beam_search(table.step, table.start(4), [9, 9, 0, 2])
    assert found.lengths[:, 0].tolist() == [2, 6, 0, 2]
    assert found.ids[:, 0, :2].tolist() == [[A, EOS], [A, A], [PAD, PAD], [A, A]]
    assert [[sentence for sentence, _ in asked] for asked in table.asked] == [[0, 1, 3], [0, 1, 3], [1], [1], [1], [1]]


@pytest.mark.parametrize("limits", [[], [0, 0]])
def test_nothing_to_do(limits: list[int]) -> None:
    table = Table(lambda *_: [])
    found = beam_search(table.step, table.start(len(limits)), limits, beam_size=2)
    assert table.asked == []
    assert found.ids.shape == (len(limits), 2, 0)
    assert not found.lengths.any()
