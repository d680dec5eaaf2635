"""The pieces around the step, each by hand: penalties, groups, repetition, blocking, constraints, ranking."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search.table import Table, from_probabilities, random_table

from seqcli.search.beam import beam_search
from seqcli.search.blocking import ends_of_phrases, ends_of_repetitions
from seqcli.search.constraints import by_banks, go_on, missing, shares, urgent, wanted
from seqcli.search.demands import Demands
from seqcli.search.hypotheses import Extensions, Hypothesis
from seqcli.search.penalties import Coverage, LengthPenalty, uncovered
from seqcli.search.ranking import best_symbols
from seqcli.search.repetition import penalised
from seqcli.search.restrictions import Restrictions
from seqcli.search.sampling import Sampling
from seqcli.search.trace import BeamTrace
from seqcli.symbols import EOS


def test_length_penalties_by_hand() -> None:
    # 7 symbols: 7^0.5 = 2.6458, ((5 + 7) / 6)^0.5 = 1.4142
    assert LengthPenalty("average", 0.5).score(-10.0, 7) == pytest.approx(-3.7796, abs=1e-4)
    assert LengthPenalty("gnmt", 0.5).score(-10.0, 7) == pytest.approx(-7.0711, abs=1e-4)
    assert LengthPenalty("none", 0.5).score(-10.0, 7) == -10.0


def test_coverage_by_hand_and_changing_places() -> None:
    # the first row's sums are .9 and .1, then 1.6 and .4: log min(1.6, 1) + log .4
    coverage = Coverage(
        lambda ids, state: (ids, state, ids), torch.tensor([[True, True, False], [True, False, False]]), 2.0
    )
    first = coverage.add(torch.tensor([[0.9, 0.1, 0.0], [1.0, 0.0, 0.0]]))
    assert first.flatten().tolist() == pytest.approx([2 * (math.log(0.9) + math.log(0.1)), 0.0])
    coverage.select(torch.tensor([1, 0, 0]))
    second = coverage.add(torch.tensor([[0.2, 0.0, 0.0], [0.7, 0.3, 0.0], [0.1, 0.9, 0.0]]))
    assert second.flatten().tolist() == pytest.approx([0.0, 2 * math.log(0.4), 0.0], abs=1e-6)
    assert uncovered(torch.tensor([0.0, 2.0])).isfinite()


def test_coverage_prefers_what_has_looked_at_everything() -> None:
    # b. is less likely than a., but its steps look at both positions
    world = from_probabilities({".": EOS, "a": 3, "b": 4}, {"": {"a": 0.6, "b": 0.4}, "a": {".": 1.0}, "b": {".": 1.0}})
    found = {}
    for strength in (0.0, 1.0):
        walk = Table(world)

        def step(ids: torch.Tensor, state, walk: Table = walk):  # type: ignore[no-untyped-def]
            scores, state = walk.step(ids, state)
            rows = [[1.0, 0.0] if prefix in ((), (3,)) else [0.0, 1.0] for _, prefix in walk.asked[-1]]
            return scores, state, torch.tensor(rows)

        coverage = Coverage(step, torch.tensor([[True, True]]), strength) if strength else None
        best = beam_search(walk.step, walk.start(1), [5], beam_size=2, coverage=coverage)
        found[strength] = best.ids[0, 0].tolist()
    assert found == {0.0: [3, EOS], 1.0: [4, EOS]}


def test_repetition_penalty_by_hand() -> None:
    scores = torch.tensor([[2.0, -1.0, 3.0], [4.0, 1.0, -2.0]])
    lowered = penalised(scores, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2]), 2.0)
    assert lowered.tolist() == [[1.0, -2.0, 3.0], [4.0, 1.0, -4.0]]
    assert scores[0, 0] == 2.0


def test_a_repetition_penalty_steers_and_leaves_the_log_probability_alone() -> None:
    # among raw scores, a is always best; penalised, b comes second
    table = Table(lambda _, prefix: [-9.0, -9.0, 2.0 if len(prefix) == 3 else -9.0, 1.2, 1.0])
    found = beam_search(table.step, table.start(1), [9], repetition_penalty=1.3)
    assert found.ids[0, 0].tolist() == [3, 4, 3, EOS]
    rows = [torch.tensor([-9.0, -9.0, 2.0 if length == 3 else -9.0, 1.2, 1.0]) for length in range(4)]
    own = sum(float(row.log_softmax(0)[symbol]) for row, symbol in zip(rows, [3, 4, 3, EOS], strict=True))
    assert found.log_probs.item() == pytest.approx(own, abs=1e-5)
    scales: list[dict[int, float]] = [{}, {3: 1.3}, {3: 1.3, 4: 1.3}, {3: 1.3, 4: 1.3}]
    steered = 0.0
    for row, symbol, scale in zip(rows, [3, 4, 3, EOS], scales, strict=True):
        changed = torch.tensor([value / scale.get(number, 1.0) for number, value in enumerate(row.tolist())])
        steered += float(changed.log_softmax(0)[symbol])
    assert found.scores.item() == pytest.approx(steered / 4, abs=1e-5)


def test_blocking_by_hand() -> None:
    assert ends_of_repetitions([5, 6, 7, 5, 6], 3) == {7}
    assert ends_of_repetitions([5, 6, 5, 7, 5], 2) == {6, 7}
    assert ends_of_repetitions([5, 6], 1) == {5, 6}
    assert ends_of_repetitions([5, 6], 3) == ends_of_repetitions([], 1) == set()
    assert ends_of_phrases([5, 6], [(6, 7), (5, 6, 8), (9,), (5, 7)]) == {7, 8, 9}
    assert ends_of_phrases([], [(6, 7), (9,)]) == {9}


def test_progress_of_a_constraint_falls_back_to_what_still_fits() -> None:
    # after a a b, a makes a a b a; another a leaves "a a" of a a b b, as in Knuth, Morris and Pratt
    phrases, progress = [(3, 3, 4, 4), (5,)], (0, 0)
    told = []
    for symbol in (3, 3, 4, 3, 3, 3, 4, 4, 6, 5):
        progress = go_on(phrases, progress, symbol)
        told.append((progress, missing(phrases, progress)))
    assert [one[0] for one, _ in told] == [1, 2, 3, 1, 2, 2, 3, 4, 4, 4]
    assert [absent for _, absent in told] == [4, 3, 2, 4, 3, 3, 2, 1, 1, 0]
    assert wanted(phrases, (2, 0)) == {4, 5}
    assert urgent(phrases, (2, 0)) == {4}
    assert urgent(phrases, (0, 0)) == {3, 5}


@settings(max_examples=100)
@given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=5), places=st.integers(1, 8))
def test_banks_share_out_all_places_that_can_be_filled(counts: list[int], places: int) -> None:
    given = shares(counts, places)
    assert sum(given) == min(places, sum(counts))
    assert all(share <= count for share, count in zip(given, counts, strict=True))


def test_banks_keep_a_place_for_hypotheses_that_have_met_more() -> None:
    # row 0 has nothing of the constraint 8, row 1 has it all
    totals = [-1.0, -2.0, -7.0, -9.0]
    extensions = Extensions(totals, [0, 0, 0, 1], [5, 6, 8, 5], totals)
    ending, kept = by_banks(extensions, [(8,)], [(0,), (1,)], 2)
    assert (ending, kept) == ([], [0, 2])


def test_groups_by_hand() -> None:
    # each group alone would take a, then its end; with diversity 1 the second turns to b (-1.2 against -0.9 - 1)
    table = Table(lambda _, prefix: [-9.0, -9.0, 0.0 if prefix else -9.0, -0.9, -1.2])
    trace = BeamTrace()
    found = beam_search(table.step, table.start(1), [5], beam_size=2, groups=2, diversity=1.0, trace=trace)
    assert [ids[: int(length)] for ids, length in zip(found.ids[0].tolist(), found.lengths[0], strict=True)] == [
        [3, EOS],
        [4, EOS],
    ]
    rows = [torch.tensor([-9.0, -9.0, end, -0.9, -1.2]).log_softmax(0) for end in (-9.0, 0.0)]
    # the score has no penalty in it
    assert found.log_probs[0].tolist() == pytest.approx(
        [float(rows[0][3] + rows[1][2]), float(rows[0][4] + rows[1][2])], abs=1e-5
    )
    assert sorted(node.place for node in trace.nodes() if node.place) == [1, 2]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), groups=st.integers(1, 3), size=st.integers(1, 3))
def test_groups_without_diversity_are_as_many_beams_of_their_size(seed: int, groups: int, size: int) -> None:
    several, one = Table(random_table(seed, 7)), Table(random_table(seed, 7))
    found = beam_search(several.step, several.start(1), [6], beam_size=groups * size, groups=groups, diversity=0.0)
    alone = beam_search(one.step, one.start(1), [6], beam_size=size)
    assert found.scores[0].tolist() == sorted(alone.scores[0].tolist() * groups, reverse=True)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1), rows=st.integers(1, 5), vocabulary=st.integers(1, 2000), count=st.integers(1, 12)
)
def test_the_best_symbols_are_the_best(seed: int, rows: int, vocabulary: int, count: int) -> None:
    scores = torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed))
    scores[:, :: 1 + seed % 7] = -math.inf
    best, symbols = best_symbols(scores, count)
    expected = scores.sort(dim=1, descending=True).values[:, :count]
    assert torch.equal(best, expected)
    assert torch.equal(scores.gather(1, symbols), best)


def test_traces_of_samples_and_constraints_hold_what_is_given_back() -> None:

    for how in ({"sampling": Sampling()}, {"demands": [Demands(constraints=((4, 5),))]}):
        table, trace = Table(random_table(6, 8)), BeamTrace()
        found = beam_search(table.step, table.start(1), [8], beam_size=3, trace=trace, **how)  # type: ignore[arg-type]
        placed = [node for node in trace.nodes() if node.place]
        assert {node.place for node in placed} <= {1, 2, 3}
        assert len(placed) == int((found.lengths[0] > 0).sum())
        for node in placed:
            assert node.log_prob == pytest.approx(float(found.log_probs[0, node.place - 1]))


def test_what_may_come_next_by_hand() -> None:
    phrases = ((5, 6), (7,))
    restrictions = Restrictions(2)
    # a prefix; two symbols missing of a phrase and one of another, with places for just these and the end; the same with one place more,
    # after 8 9 8, so that 9 may not come again; nothing missing, but too short to end
    restrictions.add(0, Hypothesis((4,), 0.0, 0.0, (0, 0)), Demands((4, 9), phrases), 20)
    restrictions.add(1, Hypothesis((8, 5), 0.0, 0.0, (1, 0)), Demands(constraints=phrases), 5)
    restrictions.add(2, Hypothesis((8, 9, 8), 0.0, 0.0, (0, 0)), Demands(constraints=phrases), 8)
    restrictions.add(
        3, Hypothesis((8,), 0.0, 0.0, (2, 1)), Demands(constraints=phrases, avoid=((8, 3),), min_length=3), 8
    )
    scores = torch.zeros(5, 10)
    restrictions.on(torch.device("cpu")).apply(scores)
    possible = [(row.isfinite().nonzero().flatten()).tolist() for row in scores]
    assert possible == [
        [9],
        [6],
        [0, 1, 3, 4, 5, 6, 7, 8],
        [0, 1, 4, 5, 6, 7, 8, 9],
        list(range(10)),
    ]
