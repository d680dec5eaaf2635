"""What a search holds of each sentence: hypotheses that are live and hypotheses that have finished, in one beam or in several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from seqcli.search.demands import Demands
from seqcli.search.penalties import LengthPenalty
from seqcli.symbols import EOS, PAD
from seqcli.types import Hypotheses

IMPOSSIBLE = float("-inf")


class Extensions(NamedTuple):
    """Extensions of a sentence's live hypotheses, best first, in columns: `totals` is what the search orders by, `parents` the rows of the hypotheses
    that are extended, `symbols` what is added to them, `log_probs` what the model says of the whole."""

    totals: list[float]
    parents: list[int]
    symbols: list[int]
    log_probs: list[float]


class Hypothesis(NamedTuple):
    """A live hypothesis: its ids so far, what the search orders it by, the model's log-probability, and how far it is with each constraint."""

    ids: tuple[int, ...]
    total: float
    log_prob: float
    progress: tuple[int, ...] = ()


class Finished(NamedTuple):
    """A hypothesis that is whole: its ids with EOS (without, where the length ran out), and its two scores."""

    ids: tuple[int, ...]
    score: float
    log_prob: float


@dataclass
class Beam:
    """So many places for hypotheses: the live ones, best first, with the row of the sentence that each one's cache came from, and the
    finished ones, as they came."""

    size: int
    live: list[Hypothesis]
    parents: list[int] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)

    def enough(self, patience: float | None, scoring: LengthPenalty, longest: int) -> bool:
        """Whether the search may stop: nothing lives; `patience` times as many have finished as there are places (Kasai et al. 2022); or
        none of the live hypotheses can still beat the last of the best finished ones, within `longest` symbols, as can be proved.

        The proof: log-probabilities only fall, the divisor of a score only grows with the length, and a coverage penalty is at most 0.
        """
        if not self.live or (patience is not None and len(self.finished) >= patience * self.size):
            return True
        if len(self.finished) < self.size:
            return False
        last_of_best = sorted((one.score for one in self.finished), reverse=True)[self.size - 1]
        return last_of_best >= max(scoring.bound(one.total, longest) for one in self.live)


@dataclass
class Sentence:
    """One sentence on its way: where it stands in the batch, how long it may become, what it asks for, and its beams, which share its rows
    of the cache, one after another."""

    index: int
    max_length: int
    demands: Demands
    beams: list[Beam]

    @property
    def live(self) -> bool:
        """Whether the search goes on for it."""
        return any(beam.live for beam in self.beams)

    def rows(self, width: int) -> Iterable[Hypothesis | None]:
        """The hypothesis of each of its `width` rows; None where there is none. In the first step, all beams share one row."""
        beams = self.beams[:1] if width == 1 else self.beams
        for beam in beams:
            yield from beam.live
            yield from [None] * (min(width, beam.size) - len(beam.live))


def start(max_lengths: Sequence[int], demands: Sequence[Demands], beams: int, size: int) -> list[Sentence]:
    """Every sentence with its empty hypothesis in each of its beams."""
    sentences = []
    for index, max_length in enumerate(max_lengths):
        wanted = demands[index] if demands else Demands()
        empty = Hypothesis((), 0.0, 0.0, (0,) * len(wanted.constraints))
        sentences.append(Sentence(index, max_length, wanted, [Beam(size, [empty]) for _ in range(beams)]))
    return sentences


def next_rows(sentences: Sequence[Sentence], kept: Iterable[int], width: int) -> tuple[list[int], list[int]]:
    """For every live hypothesis of the sentences that are `kept`, the row that its cache is in, of `width` a sentence, and its last symbol; and
    as many rows that nobody looks at as there are free places."""
    rows: list[int] = []
    last: list[int] = []
    for number in kept:
        for beam in sentences[number].beams:
            free = beam.size - len(beam.live)
            rows += [number * width + parent for parent in (*beam.parents[: len(beam.live)], *[0] * free)]
            last += [*(one.ids[-1] for one in beam.live), *[EOS] * free]
    return rows, last


def gather(sentences: Sequence[Sentence], most: int) -> Hypotheses:
    """The best finished hypotheses as one rectangle, best first; of each beam, as many as it has places."""
    found = [
        sorted((one for beam in sentence.beams for one in best(beam)), key=lambda one: one.score, reverse=True)
        for sentence in sentences
    ]
    longest = max((len(one.ids) for several in found for one in several), default=0)
    shape = (len(sentences), most)
    ids = torch.full((*shape, longest), PAD, dtype=torch.long)
    lengths = torch.zeros(shape, dtype=torch.long)
    scores = torch.full(shape, IMPOSSIBLE, dtype=torch.float64)
    log_probs = scores.clone()
    for row, several in enumerate(found):
        for column, one in enumerate(several):
            ids[row, column, : len(one.ids)] = torch.tensor(one.ids)
            lengths[row, column], scores[row, column], log_probs[row, column] = len(one.ids), one.score, one.log_prob
    return Hypotheses(ids, lengths, scores, log_probs)


def best(beam: Beam) -> list[Finished]:
    """The best finished hypotheses of a beam, best first."""
    return sorted(beam.finished, key=lambda one: one.score, reverse=True)[: beam.size]


def best_first(extensions: Extensions, order: Sequence[int], size: int) -> tuple[list[int], list[int]]:
    """Of the places among `extensions`, best first in this `order`: those that end in EOS among the first `size`, and the first `size` that
    do not end. What is impossible is neither."""
    ending: list[int] = []
    kept: list[int] = []
    for rank, place in enumerate(order):
        if len(kept) == size or extensions.totals[place] == IMPOSSIBLE:
            break
        if extensions.symbols[place] != EOS:
            kept.append(place)
        elif rank < size:
            ending.append(place)
    return ending, kept
