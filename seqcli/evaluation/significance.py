"""How far a score can be trusted: the bootstrap over the items of a test set, and paired tests between two systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Score = Callable[[NDArray[Any]], float]
"""What a sum of counts, (C,), is worth."""

TRIALS_AT_ONCE = 2 * 32
"""Trials whose coins are thrown together, so that a large test set does not need all memory. Coins come 32 to a number of the generator,
so a multiple of 32 rows leaves none over, and they fall as in one large rectangle."""
SAME = 1e-9
"""Two differences of scores that are no farther apart than this are a tie."""


def bootstrap_interval(counts: NDArray[Any], score: Score, *, resamples: int, seed: int) -> tuple[float, float]:
    """The 95 % percentile interval of `score` when the items of the test set are drawn anew, with replacement.

    `counts (N,C)` holds what a metric counts, one row an item; `score` turns the sum of rows, (C,), into the metric's value.
    The draws are those of sacrebleu (Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation",
    section 3) for the same seed, so that half the interval's width is the ± that sacrebleu prints.
    """
    values = sorted(score(times_drawn @ counts) for times_drawn in _resamples(len(counts), resamples, seed))
    tail = resamples // 40
    return values[tail], values[resamples - 1 - tail]


def paired_bootstrap(
    first: NDArray[Any], second: NDArray[Any], score: Score, *, resamples: int, seed: int
) -> float | None:
    """The p-value of the difference between two systems on the same items, by resampling these (Koehn 2004, section 4).

    `first` and `second (N,C)` are their counts. In each resample the scores differ by some |d*|; p is the share of resamples in which
    |d*| is farther above its mean than the observed |d| is above 0. It is what `sacrebleu --paired-bs` prints for the same seed: two-sided,
    and one is added to both counts. None where the systems' counts are the same for every item, so that there is nothing to
    test (sacrebleu prints the smallest p there is).
    """
    if np.array_equal(first, second):
        return None
    apart = [
        abs(score(times_drawn @ second) - score(times_drawn @ first))
        for times_drawn in _resamples(len(first), resamples, seed)
    ]
    shifted = np.array(apart) - np.mean(apart)
    return _share(int((shifted > _difference(first, second, score)).sum()), resamples)


def approximate_randomisation(
    first: NDArray[Any], second: NDArray[Any], score: Score, *, trials: int, seed: int, ties: bool
) -> float | None:
    """The p-value of the difference between two systems on the same items, by swapping their outputs (Riezler & Maxwell 2005,
    "On Some Pitfalls in Automatic Evaluation and Significance Testing for MT", section 3.2).

    `first` and `second (N,C)` are their counts. In each trial a coin a sentence decides whose output is whose; p is the share of trials in which
    the scores are farther apart than they are. Two-sided, and one is added to both counts. `ties` says whether a trial that is just as far
    apart counts, as in the paper. It does not in `sacrebleu --paired-ar`, whose p is ours for the same seed without ties; that matters
    where few outputs differ, or where a metric has few values. None where the counts are the same for every item.
    """
    if np.array_equal(first, second):
        return None
    observed, both = _difference(first, second, score), first.sum(axis=0) + second.sum(axis=0)
    gains = (first - second).astype(np.float64)
    farther = 0
    for kept in _coins(len(first), trials, seed):
        # one system's total is the second's and what the first gains where it is kept; the other has all the rest
        for one in kept.astype(np.float64) @ gains + second.sum(axis=0):
            apart = abs(score(one) - score(both - one))
            farther += apart >= observed - SAME if ties else apart > observed
    return _share(farther, trials)


def _difference(first: NDArray[Any], second: NDArray[Any], score: Score) -> float:
    return abs(score(first.sum(axis=0)) - score(second.sum(axis=0)))


def _share(count: int, of: int) -> float:
    """With one added to both, so that no p is 0 (Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses", chapter 2)."""
    return (count + 1) / (of + 1)


def _resamples(items: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each item is drawn, (N,), for each resample."""
    draw = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(draw.integers(items, size=items), minlength=items)


def _coins(items: int, trials: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """The fall of a coin for each item, some trials at once: (trials, N)."""
    draw = np.random.default_rng(seed)
    for start in range(0, trials, TRIALS_AT_ONCE):
        yield draw.integers(2, size=(min(TRIALS_AT_ONCE, trials - start), items), dtype=bool)
