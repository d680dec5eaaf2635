"""CIDEr-D: how much of what is said about one image in particular a caption says too.

Vedantam, Zitnick & Parikh 2015, "CIDEr: Consensus-based Image Description Evaluation" (CIDEr-D), as the caption server of COCO computes
it (Chen et al. 2015, "Microsoft COCO Captions: Data Collection and Evaluation Server").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDERS = (1, 2, 3, 4)
SIGMA = 6.0

NGram = tuple[str, ...]
Weigh = Callable[[NGram], float]


@dataclass(frozen=True)
class _Vectors:
    """A caption as one sparse vector of tf-idf weights for each order of n-gram, their norms, and its length in words."""

    weights: list[dict[NGram, float]]
    norms: list[float]
    length: int


def lower_words(text: str) -> list[str]:
    """The words of a caption between white space, in lower case."""
    return text.lower().split()


def cider_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: Callable[[str], list[str]] = lower_words,
) -> NDArray[np.float64]:
    """CIDEr-D of each hypothesis against the references of its item, from 0 to 10: (N,).

    For n = 1…4 a caption is a vector of tf-idf weights of its n-grams: how often an n-gram stands in it, times log(N / df), where N is the
    number of items and df in how many of them any reference has it (1 where none has). The score is, with h the hypothesis's vector and
    r a reference's, the mean over n and over the references of

        10 · exp(-(words of h - words of r)² / (2 · 6²)) · Σ min(h, r) · r / (‖h‖ ‖r‖)

    and an order that either side has no weight for is worth nothing. So what all items say has no weight at all: a corpus of one item
    scores 0, and a caption of one word at most 2.5.
    """
    counted = [[_ngrams(tokenize(reference)) for reference in accepted] for accepted in references]
    frequencies: Counter[NGram] = Counter()
    for accepted in counted:
        frequencies.update(set().union(*accepted))
    items = math.log(len(references))

    def weigh(ngram: NGram) -> float:
        return items - math.log(max(1, frequencies[ngram]))

    found = []
    for hypothesis, accepted in zip(hypotheses, counted, strict=True):
        ours = _vectors(_ngrams(tokenize(hypothesis)), weigh)
        found.append(10.0 * _mean(_similarity(ours, _vectors(reference, weigh)) for reference in accepted))
    return np.array(found)


def _ngrams(words: Sequence[str]) -> Counter[NGram]:
    """How often each n-gram of 1 to 4 words stands among `words`."""
    return Counter(tuple(words[start : start + order]) for order in ORDERS for start in range(len(words) - order + 1))


def _vectors(ngrams: Counter[NGram], weigh: Weigh) -> _Vectors:
    weights: list[dict[NGram, float]] = [{} for _ in ORDERS]
    for ngram, times in ngrams.items():
        weights[len(ngram) - 1][ngram] = times * weigh(ngram)
    norms = [math.sqrt(sum(weight * weight for weight in vector.values())) for vector in weights]
    return _Vectors(weights, norms, sum(times for ngram, times in ngrams.items() if len(ngram) == 1))


def _similarity(ours: _Vectors, theirs: _Vectors) -> float:
    """The mean over orders of the clipped cosine, less for captions of unlike length: 0 to 1."""
    cosines = []
    for order in range(len(ORDERS)):
        h, r, norm = ours.weights[order], theirs.weights[order], ours.norms[order] * theirs.norms[order]
        shared = sum(min(weight, r[ngram]) * r[ngram] for ngram, weight in h.items() if ngram in r)
        cosines.append(shared / norm if norm else 0.0)
    return math.exp(-((ours.length - theirs.length) ** 2) / (2 * SIGMA**2)) * _mean(cosines)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
