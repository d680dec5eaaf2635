"""Scores over seeds: mean, deviation and tests against numbers worked out by hand, closed forms and tables."""

from __future__ import annotations

import math

import pytest

from seqcli.evaluation.seeds import compare_over_seeds, holm, spread, two_sided_t, welch_test


def test_mean_and_deviation_by_hand() -> None:
    found = spread([90.0, 94.0, 98.0])
    # deviations -4, 0, 4: √(32 / 2) = 4
    assert (found.mean, found.sd, found.count) == (94.0, 4.0, 3)
    assert spread([5.0]).sd is None


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 3.0, 50.0, 1e4])
def test_student_against_closed_forms(t: float) -> None:
    # one degree of freedom is Cauchy's: 1 - 2/π·atan t; two: 1 - t/√(2 + t²)
    assert two_sided_t(t, 1) == pytest.approx(2 / math.pi * math.atan2(1, t), rel=1e-9)
    assert two_sided_t(-t, 2) == pytest.approx(2 / (2 + t * t + t * math.sqrt(2 + t * t)), rel=1e-9)


@pytest.mark.parametrize(
    ("t", "freedom"), [(12.706, 1), (4.303, 2), (2.776, 4), (2.228, 10), (2.042, 30), (1.984, 100)]
)
def test_student_against_the_table_of_textbooks(t: float, freedom: float) -> None:
    assert two_sided_t(t, freedom) == pytest.approx(0.05, abs=5e-5)


def test_welch_by_hand() -> None:
    # 1, 2, 3 and 5, 7, 9: means 2 and 7, variances 1 and 4; t = 5 / √(1/3 + 4/3) = 3.873,
    # f = (5/3)² / ((1/3)²/2 + (4/3)²/2) = 2.9412
    p = welch_test([1.0, 2.0, 3.0], [5.0, 7.0, 9.0])
    assert p == pytest.approx(two_sided_t(3.8729833, 2.9411765), rel=1e-6)
    # between the p of t = 3.873 with two degrees, 0.0607, and with three, 0.0305
    assert p is not None
    assert 0.0305 < p < 0.0607
    assert welch_test([5.0, 7.0, 9.0], [1.0, 2.0, 3.0]) == pytest.approx(p)


def test_welch_without_spread_or_without_runs() -> None:
    assert welch_test([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert welch_test([1.0, 1.0], [2.0, 2.0]) == 0.0
    assert welch_test([1.0], [2.0, 3.0]) is None


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04 times 3, 2, 1: 0.03, 0.04, 0.04
    assert holm([0.04, None, 0.01, 0.02]) == [0.04, None, 0.03, 0.04]
    # 0.03·2 = 0.06, and 0.031·1 may not fall below it
    assert holm([0.031, 0.03]) == [0.06, 0.06]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_groups_are_compared_with_the_first_or_the_best() -> None:
    groups = [[1.0, 2.0, 3.0], [], [5.0, 7.0, 9.0], [4.0]]
    first = compare_over_seeds(groups, "bleu")
    assert first[1] is None
    assert [each and each.difference for each in first] == [None, None, 5.0, 2.0]
    assert [each is not None and each.p is not None for each in first] == [False, False, True, False]
    best = compare_over_seeds(groups, "bleu", against="best")
    assert [each and each.difference for each in best] == [-5.0, None, None, -3.0]
    lowest = compare_over_seeds(groups, "loss", against="best")
    assert [each and each.difference for each in lowest] == [None, None, 5.0, 2.0]
    assert compare_over_seeds([[], []], "bleu") == [None, None]
