"""Minimum Bayes risk: not the most probable translation, but the one that is most like all that the model might write.

    ŷ = argmax_h Σ_y p(y | x) u(h, y)  ≈  argmax_h 1/N Σ_n u(h, y_n)

with a utility u that says how good h is if y is right (Kumar & Byrne 2004, "Minimum Bayes-risk decoding for statistical machine translation").
The sum over all y is estimated from N samples y_n of the model, which are the candidates h as well (Eikema & Aziz 2020, "Is MAP decoding all you
need?", section 6). Each candidate is compared with all samples, itself and its doubles among them, which is what the mean over samples says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.helpers import extract_all_char_ngrams, extract_all_word_ngrams

from seqcli.evaluation.counting import sentence_bleu

Utility = Literal["chrf", "bleu"]


@dataclass(frozen=True)
class MinimumRisk:
    """By what candidates are judged: sacrebleu's chrF or BLEU of single sentences, the latter with a tokenizer of sacrebleu."""

    utility: Utility = "chrf"
    bleu_tokenize: str = "13a"

    def expected(self, texts: Sequence[str], numbers: Sequence[int]) -> list[float]:
        """The mean utility, from 0 to 100, of each of some different texts over all samples, `numbers` of them being that text."""
        shares = np.asarray(numbers, dtype=np.float64) / max(sum(numbers), 1)
        expected: list[float] = (self.utilities(texts) @ shares).tolist() if texts else []
        return expected

    def utilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """u[h,y] (U,U), from 0 to 100: what each text is worth where each is the one reference.

        n-grams are counted once for each text and matched for all pairs together; what becomes of the matches is sacrebleu's.
        """
        metric = CHRF() if self.utility == "chrf" else sentence_bleu("bleu", self.bleu_tokenize)
        ngrams = [_ngrams(metric, text) for text in texts]
        totals = np.array([[sum(order.values()) for order in text] for text in ngrams])
        matches = np.stack([_matches(order) for order in zip(*ngrams, strict=True)], axis=-1)
        statistics = _chrf_statistics(matches, totals) if self.utility == "chrf" else _bleu_statistics(matches, totals)
        return np.array([[metric._compute_score_from_stats(pair).score for pair in row] for row in statistics.tolist()])


def _ngrams(metric: BLEU | CHRF, text: str) -> list[Counter[Any]]:
    """The n-grams of a text, those of each order apart."""
    prepared = metric._preprocess_segment(text)
    if isinstance(metric, CHRF):
        return extract_all_char_ngrams(prepared, metric.char_order, metric.whitespace)
    found: list[Counter[Any]] = [Counter() for _ in range(metric.max_ngram_order)]
    for ngram, number in extract_all_word_ngrams(prepared, 1, metric.max_ngram_order)[0].items():
        found[len(ngram) - 1][ngram] = number
    return found


def _matches(ngrams: Sequence[Counter[Any]]) -> NDArray[np.int64]:
    """How many n-grams each two of U texts have in common, (U,U)."""
    places = {ngram: place for place, ngram in enumerate(set().union(*ngrams))}
    table = np.zeros((len(ngrams), len(places)), dtype=np.int32)
    for row, text in zip(table, ngrams, strict=True):
        row[[places[ngram] for ngram in text]] = list(text.values())
    return np.array([np.minimum(row, table).sum(axis=1) for row in table])


def _chrf_statistics(matches: NDArray[np.int64], totals: NDArray[np.int64]) -> NDArray[np.int64]:
    """What sacrebleu's chrF counts of each pair, order by order: the n-grams of the hypothesis, if the reference has any; the reference's; those
    they have in common. From `matches (U,U,O)` and `totals (U,O)`, (U,U,3·O)."""
    hypothesis, reference = np.broadcast_arrays(totals[:, None], totals[None])
    counts = np.stack((np.where(reference > 0, hypothesis, 0), reference, matches), axis=-1)
    return counts.reshape(*matches.shape[:2], -1)


def _bleu_statistics(matches: NDArray[np.int64], totals: NDArray[np.int64]) -> NDArray[np.int64]:
    """What sacrebleu's BLEU counts of each pair: both lengths, which are numbers of words; the common n-grams of each order; the hypothesis's.
    From `matches (U,U,O)` and `totals (U,O)`, (U,U,2+2·O)."""
    hypothesis, reference = np.broadcast_arrays(totals[:, None], totals[None])
    return np.concatenate((hypothesis[..., :1], reference[..., :1], matches, hypothesis), axis=-1)
