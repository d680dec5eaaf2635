"""Which side a text belongs to, by the character n-grams of both sides of the data themselves.

Naive Bayes over trigrams, as in language identification (Cavnar and Trenkle 1994, "N-Gram-Based Text Categorization"; Lui and Baldwin
2012), learnt from a sample. A text's place is told on a scale where 0 is a usual source and 1 a usual target. Where the sides are of one language,
or written alike, nothing can be told, and `learn_sides` says so by returning None.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

RARE = 4
"""A trigram seen less often tells nothing: a single misplaced line would be its own evidence."""
MOST_ODDS = 4.0
EVIDENCE = 10.0
"""Nats that a text must have against its own side."""
APART = 0.65
"""The place from which on a text belongs to the other side."""
CONFUSED = 0.02
"""The largest share of a side's texts that may look like the other side, if the sides are to be told apart."""


@dataclass(frozen=True)
class Sides:
    """Log-odds of trigrams, source against target, and their mean over a usual text of either side."""

    odds: dict[str, float]
    source: float
    target: float

    def place(self, text: str) -> tuple[float, float]:
        """Where a text stands, 0 for a usual source and 1 for a usual target; and the evidence for it, in nats from the middle."""
        grams = trigrams(text)
        if not grams:
            return 0.5, 0.0
        find = self.odds.get
        total = sum(map(find, grams, repeat(0.0)))
        middle = (self.source + self.target) / 2
        evidence = abs(total - middle * len(grams))
        return (total / len(grams) - self.source) / (self.target - self.source), evidence

    def looks_like_target(self, text: str) -> bool:
        """Whether a text is quite certainly no source."""
        place, evidence = self.place(text)
        return place > APART and evidence > EVIDENCE

    def looks_like_source(self, text: str) -> bool:
        """Whether a text is quite certainly no target."""
        place, evidence = self.place(text)
        return place < 1 - APART and evidence > EVIDENCE


def learn_sides(pairs: Sequence[tuple[str, str]]) -> Sides | None:
    """What tells the sources from the targets of these pairs; None where they cannot be told apart."""
    counts = [Counter(gram for text in side for gram in trigrams(text)) for side in zip(*pairs, strict=True)]
    if len(counts) != 2 or not all(counts):
        return None
    totals = [sum(count.values()) for count in counts]
    odds = {}
    for gram in counts[0].keys() | counts[1].keys():
        seen = [count[gram] for count in counts]
        if sum(seen) >= RARE:
            odd = math.log((seen[0] + 0.5) / totals[0]) - math.log((seen[1] + 0.5) / totals[1])
            odds[gram] = max(-MOST_ODDS, min(MOST_ODDS, odd))
    means = [np.array([_mean(odds, text) for text in side]) for side in zip(*pairs, strict=True)]
    source, target = (float(np.median(side)) for side in means)
    middle = (source + target) / 2
    confused = max(float((means[0] < middle).mean()), float((means[1] > middle).mean()))
    return Sides(odds, source, target) if source > target and confused <= CONFUSED else None


def trigrams(text: str) -> list[str]:
    """The trigrams of a text, in lower case, a space before and after."""
    framed = f" {text.lower()} "
    return [framed[place : place + 3] for place in range(len(framed) - 2)]


def _mean(odds: dict[str, float], text: str) -> float:
    grams = trigrams(text)
    return sum(map(odds.get, grams, repeat(0.0))) / max(1, len(grams))
