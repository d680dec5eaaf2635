"""What a score is over several seeds, and whether two recipes differ by more than their seeds do.

The unit is the run, not the sentence: that a recipe is better than another must hold for a seed that has not been tried, and a bootstrap over
the sentences of one run each cannot tell (Reimers & Gurevych 2017, "Reporting score distributions makes a difference"). For two
single runs there is that bootstrap, and no test here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqcli.evaluation.metrics import worth

Against = Literal["first", "best"]
NODES = 200
"""Of the quadrature."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n - 1 in the denominator; None for a single one) of so many runs."""

    mean: float
    sd: float | None
    count: int


def spread(scores: Sequence[float]) -> Spread:
    """How the scores of some runs, at least one, are spread."""
    values = np.asarray(scores, dtype=np.float64)
    return Spread(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None, len(values))


def welch_test(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The two-sided p of Welch's t-test (1947) that both recipes have the same mean score; None with fewer than two runs of either.

    Unpaired, since the same seed in two recipes draws different weights; and of Welch, since one recipe may well be steadier than
    the other. Without any spread at all p is 1 where the means are equal, and else 0.
    """
    if min(len(first), len(second)) < 2:
        return None
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    of_mean_a, of_mean_b = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    variance = of_mean_a + of_mean_b
    if variance == 0:
        return 1.0 if a.mean() == b.mean() else 0.0
    freedom = variance**2 / (of_mean_a**2 / (len(a) - 1) + of_mean_b**2 / (len(b) - 1))
    return two_sided_t(float(a.mean() - b.mean()) / math.sqrt(variance), float(freedom))


def two_sided_t(t: float, freedom: float) -> float:
    """The probability that Student's t with `freedom` ≥ 1 degrees of freedom is as far from 0 as `t`.

    With t = √f·tan θ the density is cos(θ)^(f-1), without a tail, and the integral from θ to π/2 is left to Gauss and Legendre.
    """
    start = math.atan(abs(t) / math.sqrt(freedom))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = (math.pi / 2 - start) / 2
    # the angle from π/2, so that nothing cancels far out
    area = half * float(weights @ np.sin(half * (1 + nodes)) ** (freedom - 1))
    log_whole = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    return min(1.0, 2 * math.exp(log_whole) * area)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p values of several comparisons, raised so that all of them hold together (Holm 1979); None stays None."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        adjusted[place] = least
    return adjusted


@dataclass(frozen=True)
class Comparison:
    """A metric over the runs of one group, and how far its mean is above that of the group compared with.

    `p` is of Welch's t-test, `p_holm` the same raised for the number of comparisons; None where there is no test, or nothing to compare.
    """

    spread: Spread
    difference: float | None
    p: float | None
    p_holm: float | None


def compare_over_seeds(
    groups: Sequence[Sequence[float]], metric: str, *, against: Against = "first"
) -> list[Comparison | None]:
    """The scores of some groups of runs, compared with the first group, or with that whose mean is best; None for a group without any.

    The best of many was chosen for its luck too, so that p values against it are somewhat too low; the first is the baseline that
    was named before.
    """
    spreads = [spread(values) if values else None for values in groups]
    known = [(place, each.mean) for place, each in enumerate(spreads) if each is not None]
    if not known:
        return [None] * len(groups)
    base, mean = known[0] if against == "first" else max(known, key=lambda one: worth(metric, one[1]))
    tests = [None if place == base else welch_test(values, groups[base]) for place, values in enumerate(groups)]
    return [
        None if each is None else Comparison(each, None if place == base else each.mean - mean, p, raised)
        for place, (each, p, raised) in enumerate(zip(spreads, tests, holm(tests), strict=True))
    ]
