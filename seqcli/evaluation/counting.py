"""What each metric of texts counts, one row an item: the sums of rows are all that its value needs.

Matching n-grams, edits, symbols and the scores of single items add up over items. They are counted once; the value, its bootstrap
interval and every breakdown are sums of some of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seqcli import __version__
from seqcli.errors import DataError, RecipeError
from seqcli.evaluation.cider import cider_scores
from seqcli.evaluation.edit_distance import edit_distance
from seqcli.evaluation.significance import bootstrap_interval
from seqcli.evaluation.vqa import vqa_score
from seqcli.types import Metric

OWN_SETTINGS = f"n:{{n}}|version:seqcli-{__version__}"

Split = Callable[[str], list[str]]
References = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Counts:
    """What a metric counts, `(N,C)`, one row an item; how their sum becomes its value; how it was set, as the signature
    tells it, with {n} where the number of items goes; and how many references each item has, `(N,)`. `item_value` is what one row is worth
    by itself, where that is not its `value`."""

    counts: NDArray[Any]
    value: Callable[[NDArray[Any]], float]
    settings: str
    references: NDArray[np.int64]
    item_value: Callable[[NDArray[Any]], float] | None = None

    def items(self) -> NDArray[np.float64]:
        """What each item is worth by itself, (N,)."""
        value = self.item_value or self.value
        return np.array([value(row) for row in self.counts], dtype=np.float64)

    def only(self, rows: NDArray[np.intp]) -> Counts:
        """The counts of some items."""
        return replace(self, counts=self.counts[rows], references=self.references[rows])

    def metric(self, intervals: int, seed: int) -> Metric:
        """The value with its signature, and with its interval where there are resamples (`intervals`) to draw."""
        interval = None
        if intervals:
            interval = bootstrap_interval(self.counts, self.value, resamples=intervals, seed=seed)
        number = set(self.references.tolist())
        drawn = f"|bs:{intervals}|seed:{seed}" if intervals else ""
        nrefs = number.pop() if len(number) == 1 else "var"
        signature = f"nrefs:{nrefs}{drawn}|{self.settings.format(n=len(self.counts))}"
        return Metric(self.value(self.counts.sum(axis=0)), signature, interval)


def count(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: References,
    *,
    bleu_tokenize: str,
    split: Split,
    one_word: bool,
) -> dict[str, Counts]:
    """The counts of the metrics called `names` (out of `metrics.TEXT_METRICS`), each in hundredths and with its signature.

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
    that are not exactly right. DataError if there is nothing to score, the two sides differ in number, or an item has no reference;
    ValueError if there is no metric of such a name.
    """
    # sacrebleu zips the two sides, and would score the shorter one's length without a word.
    if len(hypotheses) != len(references):
        raise DataError(f"{len(hypotheses)} hypotheses cannot be scored against {len(references)} references")
    if not hypotheses:
        raise DataError("there is nothing to score: no hypotheses and no references")
    numbers = np.array([len(each) for each in references])
    if not numbers.all():
        raise DataError(f"item {int(numbers.argmin()) + 1} has no reference to score its hypothesis against")

    def one(name: str) -> Counts:
        match name:
            case "bleu":
                found = _by_sacrebleu(_bleu(bleu_tokenize, 4), hypotheses, references)
            case "bleu_1" | "bleu_2" | "bleu_3" | "bleu_4":
                found = _bleu_up_to(int(name[-1]), bleu_tokenize, hypotheses, references)
            case "chrf":
                found = _by_sacrebleu(CHRF(), hypotheses, references)
            case "ter":
                found = _by_sacrebleu(TER(), hypotheses, references)
            case "cider":
                found = _cider(hypotheses, references)
            case "vqa_accuracy":
                found = _per_item(list(map(vqa_score, hypotheses, references)), "unit:item")
            case "exact_match":
                right = [text in accepted for text, accepted in zip(hypotheses, references, strict=True)]
                found = _per_item(right, "unit:item")
            case "wer":
                unit, parts = ("item", _whole) if one_word else ("word", str.split)
                found = _error_rate(unit, parts, hypotheses, references)
            case "per":
                found = _error_rate("symbol", split, hypotheses, references)
            case "cer":
                found = _error_rate("character", list, hypotheses, references)
            case _:
                raise ValueError(f"{name!r} is not one of the metrics of texts")
        by_itself = partial(_score_of, sentence_bleu(name, bleu_tokenize)) if name.startswith("bleu") else None
        return Counts(*found, numbers, by_itself)

    return {name: one(name) for name in names}


_Found = tuple[NDArray[Any], Callable[[NDArray[Any]], float], str]
"""Counts, the value of their sum, and the settings: all of `Counts` but the number of references."""


def sentence_bleu(name: str, tokenize: str) -> BLEU:
    """BLEU of a single sentence: only the orders count of which a sentence so short has an n-gram, as sacrebleu's `sentence_bleu` has it."""
    return _bleu(tokenize, 4 if name == "bleu" else int(name[-1]), short=True)


def _bleu(tokenize: str, order: int, *, short: bool = False) -> BLEU:
    try:
        # force: text that is tokenised already is not worth a warning on stderr; the signature says how it was treated.
        return BLEU(tokenize=tokenize, force=True, max_ngram_order=order, effective_order=short)
    except RuntimeError as error:
        extra = tokenize.partition("-")[0]
        raise RecipeError(
            f"evaluation.bleu_tokenize: {tokenize} needs more packages; pip install 'sacrebleu[{extra}]'"
        ) from error


def _bleu_up_to(order: int, tokenize: str, hypotheses: Sequence[str], references: References) -> _Found:
    """Cumulative BLEU-n; sacrebleu's signature does not tell the order, so it is put in before the version, which comes last."""
    counts, value, settings = _by_sacrebleu(_bleu(tokenize, order), hypotheses, references)
    before, bar, version = settings.rpartition("|")
    return counts, value, f"{before}|order:{order}{bar}{version}"


def _by_sacrebleu(metric: BLEU | CHRF | TER, hypotheses: Sequence[str], references: References) -> _Found:
    # sacrebleu takes the references by columns: the first of every item, the second of every item, …; None where there is none.
    most = max(map(len, references))
    columns: list[Any] = [[each[place] if place < len(each) else None for each in references] for place in range(most)]
    # These two methods are how sacrebleu's own significance tests get at the counts; no public way leads to chrF's.
    counts = np.array(metric._extract_corpus_statistics(hypotheses, columns))
    _, _, settings = str(metric.get_signature()).partition("|")  # without nrefs, which comes first
    return counts, partial(_score_of, metric), settings


def _score_of(metric: BLEU | CHRF | TER, total: NDArray[Any]) -> float:
    return float(metric._compute_score_from_stats(list(total)).score)


def _cider(hypotheses: Sequence[str], references: References) -> _Found:
    documents = len(references)
    return _per_item(cider_scores(hypotheses, references), f"case:lc|tok:whitespace|order:4|sigma:6|df:{documents}")


def _per_item(scores: Sequence[float] | NDArray[np.float64], settings: str) -> _Found:
    """A metric that is the mean over items of their own scores, in hundredths."""
    counts = np.stack((np.asarray(scores, dtype=np.float64), np.ones(len(scores))), axis=1)
    return counts, _rate, f"{settings}|{OWN_SETTINGS}"


def _error_rate(
    unit: str, split: Callable[[str], list[str]], hypotheses: Sequence[str], references: References
) -> _Found:
    counts = [
        nearest(split(text), [split(reference) for reference in accepted])
        for text, accepted in zip(hypotheses, references, strict=True)
    ]
    return np.array(counts, dtype=np.int64), _rate, f"unit:{unit}|{OWN_SETTINGS}"


def nearest(hypothesis: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[int, int]:
    """The edits from the nearest of some references to a hypothesis, and how many symbols that reference has.

    The nearest is the one with the fewest edits per symbol; the shortest of those where several are as near.
    """
    found = [(edit_distance(hypothesis, reference), len(reference)) for reference in references]
    return min(found, key=lambda pair: (pair[0] / max(pair[1], 1), pair[1]))


def _whole(text: str) -> list[str]:
    return [text]


def _rate(total: NDArray[Any]) -> float:
    """Counted things in a hundred; against empty references any error at all is 100, as in sacrebleu's TER."""
    counted, out_of = (float(part) for part in total)
    if out_of == 0:
        return 100.0 if counted else 0.0
    return 100.0 * counted / out_of
