"""Pairs whose sides are of lengths that do not go together, by what is usual in the data for a source of that length.

The logarithm of the ratio of lengths in characters is about normal (Gale and Church 1993, "A Program for Aligning Sentences", use the
difference), and narrower for long sentences. It is measured against median and median absolute deviation of the pairs with a source about as long,
which a few outliers do not move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEVIATIONS = 6.0
FACTOR = 2.0
"""An outlier is at least so many times longer or shorter than usual."""
BIN = 200
"""Pairs that are looked at together, at least."""
MOST_BINS = 20
NARROWEST = 0.1
"""The smallest deviation: where targets are as long as their sources, one letter more is none."""
COMMON, BEYOND = 0.98, 2.5
"""So large a share of the pairs are no outliers, whatever the form of the distribution: the threshold is so many times their widest
deviation, if that is more than `DEVIATIONS`. Of a normal distribution it is less."""


@dataclass(frozen=True)
class Lengths:
    """What is usual: the median of the log-ratios of pairs whose sources are between two of the `edges`, their deviation, and how many
    deviations make an outlier."""

    edges: NDArray[np.float64]
    usual: NDArray[np.float64]
    deviation: NDArray[np.float64]
    threshold: float

    def outliers(self, source: NDArray[np.int32], target: NDArray[np.int32]) -> NDArray[np.float64]:
        """For each pair, by its lengths, how many times longer than usual its target is (below 1: shorter) if it is an outlier; else 0."""
        off = _log_ratio(source, target) - self.usual[self._bin(source)]
        outlying = (np.abs(off) > self.threshold * self.deviation[self._bin(source)]) & (np.abs(off) > np.log(FACTOR))
        return np.where(outlying, np.exp(off), 0.0)

    def _bin(self, source: NDArray[np.int32]) -> NDArray[np.int64]:
        return np.searchsorted(self.edges, source, side="left")


def learn_lengths(source: NDArray[np.int32], target: NDArray[np.int32]) -> Lengths | None:
    """What is usual in pairs of these lengths, each above 0; None where there are too few to tell."""
    if len(source) < BIN:
        return None
    ratio = _log_ratio(source, target)
    count = min(MOST_BINS, len(source) // BIN)
    edges = np.unique(np.quantile(source, np.linspace(0, 1, count + 1)[1:-1])) if count > 1 else np.empty(0)
    place = np.searchsorted(edges, source, side="left")
    usual, deviation = np.zeros(len(edges) + 1), np.full(len(edges) + 1, np.inf)
    for number in np.unique(place):
        inside = ratio[place == number]
        usual[number] = np.median(inside)
        spread = 1.4826 * np.median(np.abs(inside - usual[number]))  # of a normal distribution: its deviation
        deviation[number] = max(NARROWEST, float(spread))
    distance = np.abs(ratio - usual[place]) / deviation[place]
    return Lengths(edges, usual, deviation, max(DEVIATIONS, BEYOND * float(np.quantile(distance, COMMON))))


def _log_ratio(source: NDArray[np.int32], target: NDArray[np.int32]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.log((target + 1.0) / (source + 1.0))
    return ratio
