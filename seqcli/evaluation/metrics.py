"""What a hypothesis is worth against its reference: BLEU, chrF and TER by sacrebleu, exact match and error rates by hand.

Every metric here is a matter of counts that add up over items (matching n-grams, edits, symbols). They are counted once; the
value, its bootstrap interval and the breakdown by length are all sums of some of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seqcli import __version__
from seqcli.errors import DataError, RecipeError
from seqcli.evaluation.edit_distance import edit_distance
from seqcli.evaluation.significance import bootstrap_interval
from seqcli.types import Metric

TEXT_METRICS = ("bleu", "chrf", "ter", "exact_match", "wer", "per", "cer")
LOWER_IS_BETTER = ("loss", "perplexity", "ter", "wer", "per", "cer")
HIGHER_IS_BETTER = ("token_accuracy", "exact_match", "bleu", "chrf")

OWN_SETTINGS = f"n:{{n}}|version:seqcli-{__version__}"

Split = Callable[[str], list[str]]


@dataclass(frozen=True)
class LengthBucket:
    """The scores of the items whose source has `low` to `high` symbols, both included; `high` is None where it is open."""

    low: int
    high: int | None
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
    references: Sequence[str],
    *,
    bleu_tokenize: str,
    split: Split,
    one_word: bool,
    intervals: int = 0,
    seed: int = 12345,
) -> dict[str, Metric]:
    """The metrics called `names` (out of `TEXT_METRICS`), each on the scale 0–100 and with its signature.

    `bleu_tokenize` is sacrebleu's tokenizer for BLEU. `split` takes a text apart into the symbols that the error rate `per`
    counts. Where `one_word` holds, the symbols of a target spell one word (as phonemes do), and `wer` is the share of items
    that are not exactly right. `intervals` is the number of bootstrap resamples, drawn from `seed`, behind each 95 %
    interval; 0 means no intervals. DataError if there is nothing to score or the two sides differ in number.
    """
    counted = _count(names, hypotheses, references, bleu_tokenize, split, one_word)
    return {name: counts.metric(intervals, seed) for name, counts in counted.items()}


def by_length(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[str],
    source_lengths: Sequence[int],
    edges: Sequence[int],
    *,
    bleu_tokenize: str,
    split: Split,
    one_word: bool,
    intervals: int = 0,
    seed: int = 12345,
) -> list[LengthBucket]:
    """The same metrics for short and for long sources apart, shortest first; lengths that no source has are left out.

    `edges`, rising, are the greatest lengths of the buckets: [10, 20] makes 0–10, 11–20 and 21 upwards.
    """
    if len(source_lengths) != len(hypotheses):
        raise DataError(f"{len(hypotheses)} hypotheses, but the lengths of {len(source_lengths)} sources")
    counted = _count(names, hypotheses, references, bleu_tokenize, split, one_word)
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


@dataclass(frozen=True)
class _Counts:
    """What a metric counts, `(N,C)`, one row an item; how their sum becomes its value; and how it was set, as the signature
    tells it, with {n} where the number of items goes."""

    counts: NDArray[Any]
    value: Callable[[NDArray[Any]], float]
    settings: str

    def only(self, rows: NDArray[np.intp]) -> _Counts:
        return _Counts(self.counts[rows], self.value, self.settings)

    def metric(self, intervals: int, seed: int) -> Metric:
        interval = None
        if intervals:
            interval = bootstrap_interval(self.counts, self.value, resamples=intervals, seed=seed)
        drawn = f"|bs:{intervals}|seed:{seed}" if intervals else ""
        signature = f"nrefs:1{drawn}|{self.settings.format(n=len(self.counts))}"
        return Metric(self.value(self.counts.sum(axis=0)), signature, interval)


def _count(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[str],
    bleu_tokenize: str,
    split: Split,
    one_word: bool,
) -> dict[str, _Counts]:
    # sacrebleu zips the two sides, and would score the shorter one's length without a word.
    if len(hypotheses) != len(references):
        raise DataError(f"{len(hypotheses)} hypotheses cannot be scored against {len(references)} references")
    if not hypotheses:
        raise DataError("there is nothing to score: no hypotheses and no references")

    def one(name: str) -> _Counts:
        match name:
            case "bleu":
                return _by_sacrebleu(_bleu(bleu_tokenize), hypotheses, references)
            case "chrf":
                return _by_sacrebleu(CHRF(), hypotheses, references)
            case "ter":
                return _by_sacrebleu(TER(), hypotheses, references)
            case "exact_match":
                return _exact_match(hypotheses, references)
            case "wer":
                return _error_rate(
                    "item" if one_word else "word", _whole if one_word else str.split, hypotheses, references
                )
            case "per":
                return _error_rate("symbol", split, hypotheses, references)
            case "cer":
                return _error_rate("character", list, hypotheses, references)
        raise ValueError(f"{name!r} is not one of the metrics of texts: {', '.join(TEXT_METRICS)}")

    return {name: one(name) for name in names}


def _bleu(tokenize: str) -> BLEU:
    try:
        # force: text that is tokenised already is not worth a warning on stderr; the signature says how it was treated.
        return BLEU(tokenize=tokenize, force=True)
    except RuntimeError as error:
        extra = tokenize.partition("-")[0]
        raise RecipeError(
            f"evaluation.bleu_tokenize: {tokenize} needs more packages; pip install 'sacrebleu[{extra}]'"
        ) from error


def _by_sacrebleu(metric: BLEU | CHRF | TER, hypotheses: Sequence[str], references: Sequence[str]) -> _Counts:
    # These two methods are how sacrebleu's own significance tests get at the counts; no public way leads to chrF's.
    counts = metric._extract_corpus_statistics(hypotheses, [references])
    settings = str(metric.get_signature()).removeprefix("nrefs:1|")
    return _Counts(np.array(counts), lambda total: float(metric._compute_score_from_stats(list(total)).score), settings)


def _exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> _Counts:
    right = [(hypothesis == reference, 1) for hypothesis, reference in zip(hypotheses, references, strict=True)]
    return _Counts(np.array(right, dtype=np.int64), _rate, f"unit:item|{OWN_SETTINGS}")


def _error_rate(
    unit: str, split: Callable[[str], list[str]], hypotheses: Sequence[str], references: Sequence[str]
) -> _Counts:
    counts = []
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        symbols = split(reference)
        counts.append((edit_distance(split(hypothesis), symbols), len(symbols)))
    return _Counts(np.array(counts, dtype=np.int64), _rate, f"unit:{unit}|{OWN_SETTINGS}")


def _whole(text: str) -> list[str]:
    return [text]


def _rate(total: NDArray[np.int64]) -> float:
    """Counted things in a hundred; against empty references any error at all is 100, as in sacrebleu's TER."""
    count, out_of = (int(part) for part in total)
    if out_of == 0:
        return 100.0 if count else 0.0
    return 100.0 * count / out_of
