"""Pairs whose sides are of lengths that do not go together, by what is usual in the data for a source of that length.

The logarithm of the ratio of lengths in characters is about normal (Gale and Church 1993, "A Program for Aligning Sentences", use the
difference), and narrower for long sentences. It is measured against median and median absolute deviation of the pairs with a source about as long,
which a few outliers do not move.
"""

from __future__ import annotations

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
SURE = 0.995
"""The share of pairs that are no outliers, whatever the form of the distribution: the threshold is half again their widest deviation."""


def length_outliers(source: NDArray[np.int32], target: NDArray[np.int32]) -> NDArray[np.float64]:
    """For each pair, by its lengths, how many times longer than usual its target is (below 1: shorter) if it is an outlier; else 0."""
    if len(source) < BIN:
        return np.zeros(len(source))
    ratio = np.log((target + 1.0) / (source + 1.0))
    usual, deviation = _by_length(source, ratio)
    distance = np.abs(ratio - usual) / deviation
    threshold = max(DEVIATIONS, 1.5 * float(np.quantile(distance, SURE)))
    outlying = (distance > threshold) & (np.abs(ratio - usual) > np.log(FACTOR))
    return np.where(outlying, np.exp(ratio - usual), 0.0)


def _by_length(
    source: NDArray[np.int32], ratio: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The median of the ratios of the pairs with a source about as long, and their deviation."""
    bins = int(min(MOST_BINS, max(1, len(source) // BIN)))
    edges = np.unique(np.quantile(source, np.linspace(0, 1, bins + 1)[1:-1])) if bins > 1 else np.empty(0)
    place = np.searchsorted(edges, source, side="left")
    usual, deviation = np.empty(len(ratio)), np.empty(len(ratio))
    for number in np.unique(place):
        inside = place == number
        usual[inside] = np.median(ratio[inside])
        spread = 1.4826 * np.median(np.abs(ratio[inside] - usual[inside]))  # of a normal distribution: its deviation
        deviation[inside] = max(NARROWEST, float(spread))
    return usual, deviation
