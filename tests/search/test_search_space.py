"""The search under every option against all that can be written, on random tables over small vocabularies; and its provable stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search.table import Next, Prefix, Table, random_table
from torch import Tensor

from seqcli.search.beam import beam_search
from seqcli.search.demands import Demands
from seqcli.search.penalties import Coverage
from seqcli.search.sampling import Sampling
from seqcli.symbols import BOS, EOS, PAD
from seqcli.types import Hypotheses, State

SEEDS = st.integers(0, 2**31 - 1)
DIVISORS: dict[str, Callable[[int, float], float]] = {
    "average": lambda length, power: length**power,
    "gnmt": lambda length, power: ((5 + length) / 6) ** power,
    "none": lambda length, power: 1.0,
}
POSITIONS = 3
MASK = torch.tensor([[True, True, False]])


def looks(sentence: int, prefix: Prefix) -> list[float]:
    """What the step after a prefix looks at: two real positions and one of padding."""
    first = ((sentence + 3 * sum(prefix) + 7 * len(prefix)) % 11 + 1) / 12
    return [first, 1 - first, 0.0]


def attentive(walk: Table) -> Callable[[Tensor, State], tuple[Tensor, State, Tensor]]:
    """The table's step, with attention."""

    def step(ids: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        scores, state = walk.step(ids, state)
        return scores, state, torch.tensor([looks(*asked) for asked in walk.asked[-1]])

    return step


def uncovered(sentence: int, ids: Prefix, strength: float) -> float:
    """GNMT's penalty, written down once more."""
    sums = torch.tensor([looks(sentence, ids[:place]) for place in range(len(ids))], dtype=torch.float64).sum(dim=0)
    return strength * float(sums[:2].clamp(max=1.0).log().sum())


def everything(vocabulary: int, longest: int) -> list[Prefix]:
    """All hypotheses: those that end in time, and those of the longest length that do not end."""
    letters = [symbol for symbol in range(vocabulary) if symbol not in (PAD, BOS, EOS)]
    ended = [(*body, EOS) for length in range(longest) for body in product(letters, repeat=length)]
    return ended + list(product(letters, repeat=longest))


def total(table: Next, ids: Prefix) -> float:
    return sum(table(0, ids[:place])[symbol] for place, symbol in enumerate(ids))


def found_ids(found: Hypotheses, row: int = 0) -> list[Prefix]:
    rows = zip(found.ids[row].tolist(), found.lengths[row].tolist(), strict=True)
    return [tuple(ids[:length]) for ids, length in rows if length]


def searched(table: Next, longest: int, coverage: float, **how: Any) -> Hypotheses:
    walk = Table(table)
    looking = Coverage(attentive(walk), MASK, coverage) if coverage else None
    return beam_search(walk.step, walk.start(1), [longest], coverage=looking, **how)


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    vocabulary=st.integers(4, 6),
    longest=st.integers(1, 4),
    kind=st.sampled_from(sorted(DIVISORS)),
    power=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    coverage=st.sampled_from([0.0, 0.3]),
    patience=st.sampled_from([1.0, 2.0, None]),
)
def test_a_beam_that_holds_everything_finds_everything_under_every_penalty(
    seed: int, vocabulary: int, longest: int, kind: str, power: float, coverage: float, patience: float | None
) -> None:
    table, hypotheses = random_table(seed, vocabulary), everything(vocabulary, longest)
    scores = {
        ids: total(table, ids) / DIVISORS[kind](len(ids), power) + uncovered(0, ids, coverage) for ids in hypotheses
    }
    found = searched(
        table, longest, coverage,
        beam_size=len(hypotheses) + 1, normalization=kind, length_penalty=power, patience=patience,
    )  # fmt: skip
    ids = found_ids(found)
    assert sorted(ids) == sorted(hypotheses)
    assert found.scores[0, :-1].tolist() == pytest.approx([scores[one] for one in ids], abs=1e-5)
    assert found.scores[0, :-1].tolist() == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-5)
    assert found.log_probs[0, :-1].tolist() == pytest.approx([total(table, one) for one in ids], abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    beam_size=st.integers(1, 5),
    longest=st.integers(1, 9),
    kind=st.sampled_from(sorted(DIVISORS)),
    power=st.sampled_from([0.0, 0.6, 1.0]),
    coverage=st.sampled_from([0.0, 0.3]),
    penalty=st.sampled_from([1.0, 1.5]),
)
def test_the_proved_stop_finds_what_a_search_to_the_end_finds(
    seed: int, beam_size: int, longest: int, kind: str, power: float, coverage: float, penalty: float
) -> None:
    how = {"beam_size": beam_size, "normalization": kind, "length_penalty": power, "repetition_penalty": penalty}
    table = random_table(seed, 7)
    stopped = searched(table, longest, coverage, patience=None, **how)
    # so much patience that only the length ends it; where fewer than K have finished the unfinished ones come in, for both
    never = replace_bound(table, longest, coverage, how)
    assert torch.equal(stopped.ids, never.ids)
    assert torch.equal(stopped.scores, never.scores)


def replace_bound(table: Next, longest: int, coverage: float, how: dict[str, Any]) -> Hypotheses:
    """The same search, whose bound proves nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqcli.search.penalties.LengthPenalty.bound", lambda *_: float("inf"))
        return searched(table, longest, coverage, patience=None, **how)


def test_the_proved_stop_stops() -> None:
    # after one symbol the end is certain: once K have finished, what lives is worth next to nothing
    def following(_sentence: int, prefix: Prefix) -> list[float]:
        return [-50.0, -50.0, -0.1 if prefix else -3.0, -0.5, -1.5]

    asked = {}
    for patience in (1.0, 3.0, None):
        walk = Table(following)
        beam_search(walk.step, walk.start(1), [40], beam_size=2, length_penalty=0.0, patience=patience)
        asked[patience] = len(walk.asked)
    assert asked[1.0] <= asked[None] < 10
    assert asked[1.0] <= asked[3.0] < 10


def test_patience_waits_for_a_longer_hypothesis_that_is_better() -> None:
    # greedy ends at once with -0.6 a symbol; going on would have given -1.2 in five symbols
    def following(_sentence: int, prefix: Prefix) -> list[float]:
        scores = [-9.0, -9.0, -0.6, -0.9] if not prefix else [-99.0, -99.0, -3.0, -0.05]
        return [0.0 if symbol == EOS else -99.0 for symbol in range(4)] if len(prefix) == 4 else scores

    found = {}
    for patience in (1.0, None):
        walk = Table(following)
        found[patience] = found_ids(beam_search(walk.step, walk.start(1), [9], beam_size=2, patience=patience))
    assert len(found[None][0]) == 5


def holds(ids: Prefix, phrase: Prefix) -> bool:
    return any(ids[start : start + len(phrase)] == phrase for start in range(len(ids) - len(phrase) + 1))


def repeats(ids: Prefix, size: int) -> bool:
    grams = [ids[start : start + size] for start in range(len(ids) - size + 1)]
    return len(grams) > len(set(grams))


LETTERS = st.integers(3, 5)
PHRASES = st.lists(st.lists(LETTERS, min_size=1, max_size=2).map(tuple), max_size=2, unique=True).map(tuple)


@settings(max_examples=30, deadline=None)
@given(
    seed=SEEDS,
    longest=st.integers(3, 4),
    prefix=st.lists(LETTERS, max_size=2).map(tuple),
    avoid=PHRASES,
    least=st.integers(0, 3),
    ngram=st.integers(0, 2),
)
def test_what_is_asked_of_a_sentence_leaves_the_rest_of_everything(
    seed: int, longest: int, prefix: Prefix, avoid: tuple[Prefix, ...], least: int, ngram: int
) -> None:
    if any(holds(prefix, phrase) for phrase in avoid) or (ngram and repeats(prefix, ngram)):
        return
    table, hypotheses = random_table(seed, 6), everything(6, longest)
    wanted = {
        ids
        for ids in hypotheses
        if ids[: len(prefix)] == prefix
        and not any(holds(ids, phrase) for phrase in avoid)
        and len(ids) >= least
        and not (ngram and repeats(ids, ngram))
    }
    walk = Table(table)
    demands = [Demands(prefix, avoid=avoid, min_length=least)]
    found = beam_search(
        walk.step, walk.start(1), [longest], beam_size=len(hypotheses), demands=demands, no_repeat_ngram=ngram
    )
    assert set(found_ids(found)) == wanted
    assert found.scores[0, : len(wanted)].tolist() == pytest.approx(
        sorted((total(table, ids) / len(ids) for ids in wanted), reverse=True), abs=1e-5
    )


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, longest=st.integers(3, 4), constraints=PHRASES, prefix=st.lists(LETTERS, max_size=1).map(tuple))
def test_a_beam_that_holds_everything_finds_all_that_hold_the_constraints(
    seed: int, longest: int, constraints: tuple[Prefix, ...], prefix: Prefix
) -> None:
    table, hypotheses = random_table(seed, 6), everything(6, longest)
    demands = Demands(prefix, constraints)
    if demands.shortest() > longest:
        return
    wanted = {
        ids for ids in hypotheses if ids[: len(prefix)] == prefix and all(holds(ids, phrase) for phrase in constraints)
    }
    walk = Table(table)
    found = set(
        found_ids(beam_search(walk.step, walk.start(1), [longest], beam_size=2 * len(hypotheses), demands=[demands]))
    )
    assert found <= wanted
    # constraints that overlap are made room for as if they did not
    symbols = [symbol for phrase in (prefix, *constraints) for symbol in phrase]
    if len(symbols) == len(set(symbols)):
        # of the longest, which do not end, those are left out that meet the last constraint when the end should come
        assert {ids for ids in wanted if ids[-1] == EOS} <= found


@settings(max_examples=80, deadline=None)
@given(
    seed=SEEDS,
    beam_size=st.integers(1, 6),
    longest=st.integers(2, 12),
    constraints=st.lists(st.lists(LETTERS, min_size=1, max_size=3).map(tuple), max_size=3).map(tuple),
    prefix=st.lists(LETTERS, max_size=2).map(tuple),
    ngram=st.integers(0, 2),
    coverage=st.sampled_from([0.0, 0.2]),
)
def test_constraints_always_appear(
    seed: int,
    beam_size: int,
    longest: int,
    constraints: tuple[Prefix, ...],
    prefix: Prefix,
    ngram: int,
    coverage: float,
) -> None:
    demands = Demands(prefix, constraints)
    if demands.shortest() > longest:
        return
    found = searched(
        random_table(seed, 7), longest, coverage, beam_size=beam_size, demands=[demands], no_repeat_ngram=ngram
    )
    hypotheses = found_ids(found)
    assert hypotheses
    assert len(set(hypotheses)) == len(hypotheses)
    for ids in hypotheses:
        assert ids[: len(prefix)] == prefix
        assert all(holds(ids, phrase) for phrase in constraints)
        assert len(ids) <= longest


OPTIONS: list[dict[str, Any]] = [
    {"beam_size": 3, "no_repeat_ngram": 2, "repetition_penalty": 1.2},
    {"beam_size": 4, "groups": 2, "diversity": 0.7, "normalization": "gnmt"},
    {"beam_size": 2, "patience": None, "length_penalty": 0.6},
    {"beam_size": 3, "sampling": Sampling(temperature=1.5, top_p=0.95)},
]


@pytest.mark.parametrize("how", OPTIONS, ids=["repetition", "groups", "patience", "sampling"])
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, order=st.permutations(range(4)), size=st.integers(1, 4))
def test_batch_size_mates_and_order_change_nothing(seed: int, how: dict[str, Any], order: list[int], size: int) -> None:
    limits = [6, 3, 8, 5]
    demands = [Demands(source=(9,)), Demands((3,), avoid=((4, 4),)), Demands(min_length=4), Demands(seed=5)]
    if "groups" not in how and "sampling" not in how:
        demands[3] = Demands(constraints=((3, 4), (5,)))

    table = random_table(seed, 7)

    def search(sentences: list[int]) -> dict[int, Any]:
        walk = Table(lambda row, prefix: table(sentences[row], prefix))
        found = beam_search(
            walk.step, walk.start(len(sentences)), [limits[one] for one in sentences],
            demands=[demands[one] for one in sentences], **how,
        )  # fmt: skip
        return {one: (found_ids(found, row), found.scores[row].tolist()) for row, one in enumerate(sentences)}

    together = search([0, 1, 2, 3])
    for start in range(0, 4, size):
        for one, result in search(order[start : start + size]).items():
            assert result == together[one]


def test_demands_of_one_sentence_leave_the_others_alone() -> None:
    walk, plain = Table(random_table(3, 7)), Table(random_table(3, 7))
    with_demands = beam_search(
        walk.step, walk.start(2), [7, 7], beam_size=3, demands=[Demands(), replace(Demands(), constraints=((4, 5),))]
    )
    without = beam_search(plain.step, plain.start(2), [7, 7], beam_size=3)
    assert found_ids(with_demands) == found_ids(without)
    assert found_ids(with_demands, 1) != found_ids(without, 1)
