"""What a hypothesis is worth against its references, in figures that can be quoted, whole and broken down.

BLEU, chrF and TER are sacrebleu's; what each metric counts stands in `counting`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqcli.errors import DataError
from seqcli.evaluation.counting import References, Split, count
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


def text_metrics(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: References,
    *,
    bleu_tokenize: str,
    split: Split,
    one_word: bool,
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
) -> dict[str, Metric]:
    """The metrics called `names` (out of `TEXT_METRICS`), each in hundredths and with its signature.

    `references` has for each hypothesis one or more texts that would be right; items may have different numbers of them. BLEU, chrF
    and TER treat them as sacrebleu does, an exact match is one with any of them, and the error rates count edits from the nearest:
    the one with the fewest edits per symbol.

    `bleu_1` … `bleu_4` are cumulative BLEU up to that order (Papineni et al. 2002, section 2.3); `bleu` is `bleu_4`. Like the scripts of
    COCO's captions they take the reference closest in length, the shorter of two as close; unlike these, they smooth an order that no
    n-gram of the whole corpus matches (sacrebleu's `exp`), and keep case and punctuation, as `bleu_tokenize` leaves them.
    `cider` is CIDEr-D (`cider.cider_scores`) as papers quote it, 100 times what the COCO server counts from 0 to 10: 94.0 is its
    0.940, and 1000 the most there is. `vqa_accuracy` takes an item's references as the answers of several people (`vqa.vqa_score`).

    `bleu_tokenize` is sacrebleu's tokenizer for BLEU. `split` takes a text apart into the symbols that the error rate `per`
    counts. Where `one_word` holds, the symbols of a target spell one word (as phonemes do), and `wer` is the share of items
    that are not exactly right. `intervals` is the number of bootstrap resamples, drawn from `seed`, behind each 95 %
    interval; 0 means no intervals. DataError if there is nothing to score, the two sides differ in number, or an item has no reference.
    """
    counted = count(names, hypotheses, references, bleu_tokenize=bleu_tokenize, split=split, one_word=one_word)
    return {name: counts.metric(intervals, seed) for name, counts in counted.items()}


def by_length(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: References,
    source_lengths: Sequence[int],
    edges: Sequence[int],
    *,
    bleu_tokenize: str,
    split: Split,
    one_word: bool,
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
) -> list[LengthBucket]:
    """The same metrics for short and for long sources apart, shortest first; lengths that no source has are left out.

    `edges`, rising, are the greatest lengths of the buckets: [10, 20] makes 0–10, 11–20 and 21 upwards. The document frequencies
    of `cider` are those of all items.
    """
    if len(source_lengths) != len(hypotheses):
        raise DataError(f"{len(hypotheses)} hypotheses, but the lengths of {len(source_lengths)} sources")
    counted = count(names, hypotheses, references, bleu_tokenize=bleu_tokenize, split=split, one_word=one_word)
    bucket_of = np.searchsorted(np.asarray(edges), np.asarray(source_lengths), side="left")
    found = []
    for bucket in range(len(edges) + 1):
        rows = np.flatnonzero(bucket_of == bucket)
        if len(rows):
            low = edges[bucket - 1] + 1 if bucket else 0
            high = edges[bucket] if bucket < len(edges) else None
            metrics = {name: counts.only(rows).metric(intervals, seed) for name, counts in counted.items()}
            found.append(LengthBucket(low, high, len(rows), metrics))
    return found


def by_group(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: References,
    groups: Sequence[str],
    *,
    bleu_tokenize: str,
    split: Split,
    one_word: bool,
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
) -> list[GroupScores]:
    """The same metrics for each group of items apart (questions of one type), the largest group first.

    `groups` has the name of each item's group. The document frequencies of `cider` are those of all items.
    """
    if len(groups) != len(hypotheses):
        raise DataError(f"{len(hypotheses)} hypotheses, but the groups of {len(groups)} items")
    counted = count(names, hypotheses, references, bleu_tokenize=bleu_tokenize, split=split, one_word=one_word)
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    return [
        GroupScores(
            group,
            len(rows),
            {name: counts.only(np.array(rows)).metric(intervals, seed) for name, counts in counted.items()},
        )
        for group, rows in sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
