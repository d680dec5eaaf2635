"""Where a score falls with the length of the source: the figure of Bahdanau et al. 2015 (fig. 2), with how sure each point is.

A model that must put a whole sentence into one vector gets worse as sentences grow; one with attention need not, and one with weights of
its own for each position knows nothing of positions that it has not been trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.data.tokenizer import Tokenizer, encode_source
from seqcli.errors import DataError
from seqcli.evaluation.counting import Counts
from seqcli.evaluation.metrics import INTERVAL_SEED
from seqcli.evaluation.significance import bootstrap_interval
from seqcli.symbols import Example

Unit = Literal["symbols", "words", "characters"]
MOST_BUCKETS = 12
WIDTHS = (1, 2, 5)
"""Of a bucket, times a power of ten."""


@dataclass(frozen=True)
class LengthScore:
    """The score of the `count` sentences whose source is `low` to `high` long, both included; `mean_length` is their mean.

    `value` is the mean over the runs, whose own are in `runs`; `interval` is its 95 % bootstrap interval over the sentences.
    """

    low: int
    high: int
    count: int
    mean_length: float
    value: float
    interval: tuple[float, float]
    runs: tuple[float, ...]


@dataclass(frozen=True)
class LengthCurve:
    """What is said of a model, or of several that differ in the seed alone, and its scores, shortest sources first."""

    label: str
    scores: tuple[LengthScore, ...]


def source_lengths(examples: Sequence[Example], unit: Unit, tokenizer: Tokenizer) -> list[int]:
    """How long each source is, in the tokenizer's symbols (EOS not counted), in words between white space, or in characters.

    DataError for a source that is no text.
    """
    silent = next((example for example in examples if not example.source), None)
    if silent is not None:
        raise DataError(f"{silent.origin}: a source without text has no length to score by")
    match unit:
        case "words":
            return [len(example.source.split()) for example in examples]
        case "characters":
            return [len(example.source) for example in examples]
        case "symbols":
            return [len(encode_source(tokenizer, one.source, one.features, reverse=False)) - 1 for one in examples]


def length_edges(lengths: Sequence[int]) -> list[int]:
    """The greatest lengths of at most `MOST_BUCKETS` buckets, all as wide: 1, 2, 5, 10, 20, … lengths each, the narrowest that will do.

    The one in a hundred sentences that are longest count to the last of them, so that a single long one does not make all others wide.
    """
    shortest, usual = min(lengths), int(np.percentile(lengths, 99, method="higher"))
    width = next(
        width
        for power in range(10)
        for width in (each * 10**power for each in WIDTHS)
        if -(-usual // width) - (shortest - 1) // width <= MOST_BUCKETS
    )
    first = -(-max(shortest, 1) // width) * width
    return [*range(first, usual, width), -(-usual // width) * width]


def length_scores(
    counts: Sequence[Counts],
    lengths: Sequence[int],
    edges: Sequence[int],
    *,
    resamples: int = 1000,
    seed: int = INTERVAL_SEED,
) -> tuple[LengthScore, ...]:
    """A metric for short and for long sources apart, as the mean over several runs that have translated the same sentences.

    `counts` has what the metric counts in each run (`evaluation.counting.count`); `edges`, rising, are the greatest lengths of the
    buckets, and longer sources count to the last one. The bootstrap draws sentences, the same for all runs, `resamples` times (Koehn 2004,
    section 3); a bucket of few sentences therefore has a wide interval, but one whose sentences are all right, or all wrong, has none,
    however few they are: look at `count`. Buckets without sentences are left out.
    """
    if list(edges) != sorted(set(edges)) or not edges:
        raise DataError(f"the edges of buckets must rise; they are {list(edges)}")
    sizes = np.asarray(lengths)
    places = np.minimum(np.searchsorted(np.asarray(edges), sizes, side="left"), len(edges) - 1)
    found = []
    for place, edge in enumerate(edges):
        rows = np.flatnonzero(places == place)
        if len(rows):
            inside = sizes[rows]
            low = edges[place - 1] + 1 if place else int(inside.min())
            high = max(edge, int(inside.max()))
            found.append(_score(counts, rows, (low, high), float(inside.mean()), resamples, seed))
    return tuple(found)


def _score(
    counts: Sequence[Counts],
    rows: NDArray[np.intp],
    bounds: tuple[int, int],
    mean_length: float,
    resamples: int,
    seed: int,
) -> LengthScore:
    side_by_side = np.concatenate([each.counts[rows] for each in counts], axis=1)
    ends = np.cumsum([each.counts.shape[1] for each in counts])[:-1]

    def values(total: NDArray[Any]) -> list[float]:
        return [each.value(part) for each, part in zip(counts, np.split(total, ends), strict=True)]

    def mean(total: NDArray[Any]) -> float:
        return float(np.mean(values(total)))

    interval = bootstrap_interval(side_by_side, mean, resamples=resamples, seed=seed)
    each = values(side_by_side.sum(axis=0))
    return LengthScore(*bounds, len(rows), mean_length, float(np.mean(each)), interval, tuple(each))
