"""How right an alignment is against gold links: alignment error rate, precision and recall (Och & Ney 2003, "A systematic comparison of
various statistical alignment models", section 5).

    precision = |A ∩ P| / |A|     recall = |A ∩ S| / |S|     AER = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)

A are the links found, S the sure ones of the gold, and P its possible ones, with S among them. All are summed over the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli import __version__
from seqcli.analysis.alignment import AlignmentSettings, Attended, attended, boxes_of_symbols
from seqcli.analysis.units import Span, character_spans, text_spans
from seqcli.errors import DataError
from seqcli.evaluation.counting import Counts
from seqcli.evaluation.metrics import INTERVAL_SEED
from seqcli.evaluation.translator import Translator
from seqcli.symbols import EOS, Box, Example, Link
from seqcli.types import Metric

Pair = tuple[int, int]


@dataclass(frozen=True)
class Gold:
    """The right links of a pair: `sure` ones, and all that are `possible`, the sure ones among them.

    Where `judged` is a set of target units, links to others are not counted: what comes from nothing in the source (the hyphens of an
    ISO date) is neither right nor wrong.
    """

    sure: frozenset[Pair]
    possible: frozenset[Pair]
    judged: frozenset[int] | None = None

    @classmethod
    def of(cls, links: Sequence[Link], judged: frozenset[int] | None = None) -> Gold:
        """The gold that some links are."""
        sure = frozenset((link.source, link.target) for link in links if link.sure)
        return cls(sure, frozenset((link.source, link.target) for link in links), judged)

    def count(self, links: Sequence[Link]) -> tuple[int, int, int, int]:
        """|A|, |S|, |A ∩ S| and |A ∩ P| of some links."""
        found = {(link.source, link.target) for link in links if self.judged is None or link.target in self.judged}
        return len(found), len(self.sure), len(found & self.sure), len(found & self.possible)


@dataclass(frozen=True)
class AlignmentScores:
    """`aer`, `precision` and `recall`, 0–100, of the `links` of each of the `examples` against its gold."""

    metrics: dict[str, Metric]
    examples: list[Example]
    links: list[tuple[Link, ...]]


def alignment_scores(
    translator: Translator,
    examples: Sequence[Example],
    settings: AlignmentSettings,
    *,
    gold: Sequence[Sequence[Link]] | None = None,
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
) -> AlignmentScores:
    """Attention as alignment while the references are written, against gold links: those given, one line of links an example, or the
    example's own, or its boxes.

    Given links count units (`units.text_spans`), the example's own its characters. `intervals` is the number of bootstrap resamples over
    examples, drawn from `seed`, behind each 95 % interval; 0 for none. DataError where the gold does not fit, or there is none.
    """
    if gold is not None and len(gold) != len(examples):
        raise DataError(f"there are gold links for {len(gold)} pairs, but {len(examples)} examples")
    chosen = [row for row, one in enumerate(examples) if gold is not None or one.links or any(one.boxes)]
    if not chosen:
        raise DataError("nobody knows the right links of this data; give them with --gold")
    known = [examples[row] for row in chosen]
    golds = [gold_of(translator, examples[row], settings, None if gold is None else gold[row]) for row in chosen]
    targets = [[*translator.target_tokenizer.encode(one.target or ""), EOS] for one in known]
    looked = list(attended(translator, known, targets, settings))
    links = [one.links(settings.threshold) for one in looked]
    counts = np.array([right.count(found) for right, found in zip(golds, links, strict=True)], dtype=np.int64)
    metrics = error_metrics(counts, _described(translator, settings, looked[0]), intervals, seed)
    return AlignmentScores(metrics, known, links)


def error_metrics(
    counts: NDArray[np.int64], settings: str, intervals: int, seed: int = INTERVAL_SEED
) -> dict[str, Metric]:
    """`aer`, `precision` and `recall`, 0–100, of counts (N,4): |A|, |S|, |A ∩ S| and |A ∩ P| of each pair."""
    one_each = np.ones(len(counts), dtype=np.int64)
    values = {"aer": _error_rate, "precision": _precision, "recall": _recall}
    described = f"{settings}|links:{counts[:, 0].sum()}|sure:{counts[:, 1].sum()}|n:{{n}}|version:seqcli-{__version__}"
    return {name: Counts(counts, value, described, one_each).metric(intervals, seed) for name, value in values.items()}


def gold_of(
    translator: Translator, example: Example, settings: AlignmentSettings, given: Sequence[Link] | None = None
) -> Gold:
    """The gold of an example in the units that are aligned: `given` in them, or made of its links of characters, or of its boxes."""
    source_tokenizer, target_tokenizer = translator.source_tokenizer, translator.target_tokenizer
    target = example.target or ""
    targets = text_spans(target_tokenizer, target, words=settings.words)
    if given is None and not example.links:
        return _gold_of_boxes(boxes_of_symbols(translator, example), targets)
    sources = text_spans(source_tokenizer, example.source, words=settings.words)
    if given is not None:
        _check(given, len(sources), len(targets), example.origin)
        return Gold.of(given)
    read = character_spans(source_tokenizer, example.source, sources, words=settings.words)
    written = character_spans(target_tokenizer, target, targets, words=settings.words)
    links = links_of_units(example.links, read, written)
    return Gold.of(links, frozenset(link.target for link in links))


def links_of_units(links: Sequence[Link], sources: Sequence[Span], targets: Sequence[Span]) -> list[Link]:
    """Links of characters as links of units, whose characters are given: two units are linked as the characters in them are, surely
    where any of these is so."""
    read, written = _unit_at(sources), _unit_at(targets)
    found: dict[Pair, bool] = {}
    for link in links:
        if link.source in read and link.target in written:
            pair = read[link.source], written[link.target]
            found[pair] = found.get(pair, False) or link.sure
    return [Link(*pair, sure) for pair, sure in found.items()]


def _unit_at(spans: Sequence[Span]) -> dict[int, int]:
    return {place: unit for unit, (start, end) in enumerate(spans) for place in range(start, end)}


def _gold_of_boxes(boxes: Sequence[Box | None], targets: Sequence[Span]) -> Gold:
    """Each unit of the target that names a thing, to that thing."""
    things = {box: number for number, box in enumerate(dict.fromkeys(box for box in boxes if box is not None))}
    links = [
        Link(things[box], unit)
        for unit, (start, end) in enumerate(targets)
        for box in dict.fromkeys(boxes[start:end])
        if box is not None
    ]
    return Gold.of(links, frozenset(link.target for link in links))


def _check(links: Sequence[Link], sources: int, targets: int, origin: str) -> None:
    """Gold that goes beyond a sentence belongs to other sentences, or to other words."""
    for link in links:
        for name, number, count in (("source", link.source, sources), ("target", link.target, targets)):
            if number >= count:
                raise DataError(
                    f"{origin}: a gold link goes to word {number} of the {name} (counted from 0), which has {count}; is it of other "
                    "sentences, of words split otherwise, or counted from 1 (--gold-first 1)?"
                )


def _described(translator: Translator, settings: AlignmentSettings, looked: Attended) -> str:
    how = "argmax" if settings.threshold is None else f"from-{settings.threshold:g}"
    single = {"characters": "character", "symbols": "symbol"}.get(translator.target_tokenizer.kind, "word")
    unit = "word" if settings.words else single
    return f"unit:{unit}|attention:layer-{looked.layer}-mean|step:{settings.step}|by:{how}"


def _error_rate(total: NDArray[np.int64]) -> float:
    found, sure, right, possible = map(float, total)
    return 100.0 * (1.0 - (right + possible) / (found + sure)) if found + sure else 0.0


def _precision(total: NDArray[np.int64]) -> float:
    return 100.0 * float(total[3]) / float(total[0]) if total[0] else 0.0


def _recall(total: NDArray[np.int64]) -> float:
    """Where nothing is sure, nothing can be missed."""
    return 100.0 * float(total[2]) / float(total[1]) if total[1] else 100.0
