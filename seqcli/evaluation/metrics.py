"""What a hypothesis is worth against its references, in figures that can be quoted, whole and broken down.

BLEU, chrF and TER are sacrebleu's; what each metric counts stands in `counting`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import DataError
from seqcli.evaluation.counting import Counts
from seqcli.types import Metric

BLEU_UP_TO = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
TEXT_METRICS = ("bleu", *BLEU_UP_TO, "chrf", "ter", "cider", "vqa_accuracy", "exact_match", "wer", "per", "cer")
LOWER_IS_BETTER = ("loss", "perplexity", "ter", "wer", "per", "cer")
INTERVAL_SEED = 12345
"""What resamples are drawn from unless told: sacrebleu's."""
POINTING_METRICS = ("pointing", "pointing_game")
HIGHER_IS_BETTER = (
    "token_accuracy",
    "exact_match",
    "vqa_accuracy",
    "bleu",
    *BLEU_UP_TO,
    "chrf",
    "cider",
    *POINTING_METRICS,
)


@dataclass(frozen=True)
class LengthBucket:
    """The scores of the items whose source has `low` to `high` symbols, both included; `high` is None where it is open."""

    low: int
    high: int | None
    count: int
    metrics: dict[str, Metric]


@dataclass(frozen=True)
class GroupScores:
    """The scores of the `count` items of one group; the group of items that name none is called ""."""

    group: str
    count: int
    metrics: dict[str, Metric]


def higher_is_better(name: str) -> bool:
    """Whether more of the metric `name` is better; ValueError if there is no such metric."""
    if name not in HIGHER_IS_BETTER + LOWER_IS_BETTER:
        raise ValueError(f"there is no metric called {name!r}")
    return name in HIGHER_IS_BETTER


def worth(name: str, score: float) -> float:
    """A `score` of the metric `name` such that more is better; NaN is worth nothing."""
    if math.isnan(score):
        return -math.inf
    return score if higher_is_better(name) else -score


def is_better(name: str, new: float, old: float) -> bool:
    """Whether `new` beats `old` on the metric `name`. A tie does not; NaN beats nothing, and anything else beats NaN."""
    return worth(name, new) > worth(name, old)


def by_length(
    counts: Mapping[str, Counts],
    source_lengths: Sequence[int],
    edges: Sequence[int],
    *,
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
) -> list[LengthBucket]:
    """What was counted (see `counting.count`) for short and for long sources apart, shortest first; lengths that no source has are left out.

    `edges`, rising, are the greatest lengths of the buckets: [10, 20] makes 0–10, 11–20 and 21 upwards. The document frequencies
    of `cider` are those of all items. DataError where the lengths are not as many as the items.
    """
    _check_number(counts, len(source_lengths), "the lengths of {} sources")
    bucket_of = np.searchsorted(np.asarray(edges), np.asarray(source_lengths), side="left")
    found = []
    for bucket in range(len(edges) + 1):
        rows = np.flatnonzero(bucket_of == bucket)
        if len(rows):
            low = edges[bucket - 1] + 1 if bucket else 0
            high = edges[bucket] if bucket < len(edges) else None
            found.append(LengthBucket(low, high, len(rows), _metrics_of(counts, rows, intervals, seed)))
    return found


def by_group(
    counts: Mapping[str, Counts], groups: Sequence[str], *, intervals: int = 0, seed: int = INTERVAL_SEED
) -> list[GroupScores]:
    """What was counted (see `counting.count`) for each group of items apart (questions of one type), the largest group first.

    `groups` has the name of each item's group. The document frequencies of `cider` are those of all items. DataError where there are not
    as many names as items.
    """
    _check_number(counts, len(groups), "the groups of {} items")
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    return [
        GroupScores(group, len(rows), _metrics_of(counts, np.array(rows), intervals, seed))
        for group, rows in sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _check_number(counts: Mapping[str, Counts], number: int, what: str) -> None:
    for counted in counts.values():
        if len(counted.counts) != number:
            raise DataError(f"{len(counted.counts)} hypotheses, but {what.format(number)}")


def _metrics_of(counts: Mapping[str, Counts], rows: NDArray[np.intp], intervals: int, seed: int) -> dict[str, Metric]:
    return {name: counted.only(rows).metric(intervals, seed) for name, counted in counts.items()}
