"""What may come next in each row: symbols that must not, and rows where nothing may but a few."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from seqcli.search.blocking import ends_of_phrases, ends_of_repetitions
from seqcli.search.constraints import missing, urgent, wanted
from seqcli.search.demands import Demands
from seqcli.search.hypotheses import IMPOSSIBLE, Hypothesis
from seqcli.symbols import EOS

Pairs = list[tuple[int, int]]


def as_pairs(pairs: Pairs, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows (n,) and symbols (n,) on `device`."""
    rows, symbols = torch.tensor(pairs, dtype=torch.long, device=device).view(-1, 2).unbind(dim=1)
    return rows, symbols


class Restrictions:
    """Of all rows of a step: the symbols that each must not write, and those rows that may write nothing but a few symbols."""

    def __init__(self, no_repeat_ngram: int) -> None:
        self._no_repeat_ngram = no_repeat_ngram
        self._never: Pairs = []
        self._only: Pairs = []
        self._held: list[int] = []

    def add(self, row: int, hypothesis: Hypothesis, demands: Demands, max_length: int) -> None:
        """Take in what may follow one hypothesis: the prefix is written first, then whatever repeats no n-gram and ends no phrase that is to be
        avoided. The end waits for the constraints and for the least length. Where the places that are left are just enough for the constraints
        and the end, nothing else may come."""
        written = len(hypothesis.ids)
        if written < len(demands.prefix):
            self._hold(row, [demands.prefix[written]])
            return
        never = ends_of_phrases(hypothesis.ids, demands.avoid)
        phrases, progress = demands.constraints, hypothesis.progress
        absent = missing(phrases, progress)
        if absent and max_length - written <= absent + 1:
            self._hold(row, urgent(phrases, progress) - never)
            return
        if self._no_repeat_ngram:
            never |= ends_of_repetitions(hypothesis.ids, self._no_repeat_ngram) - wanted(phrases, progress)
        if absent or written + 1 < demands.min_length:
            never.add(EOS)
        self._never += [(row, symbol) for symbol in never]

    def _hold(self, row: int, symbols: Iterable[int]) -> None:
        self._held.append(row)
        self._only += [(row, symbol) for symbol in symbols]

    def on(self, device: torch.device) -> Restricting:
        """The same on the device of the scores."""
        return Restricting(
            as_pairs(self._never, device),
            as_pairs(self._only, device),
            torch.tensor(self._held, dtype=torch.long, device=device),
        )


class Restricting:
    """Restrictions as tensors, so that scores are restricted without waiting for the host."""

    def __init__(self, never: tuple[Tensor, Tensor], only: tuple[Tensor, Tensor], held: Tensor) -> None:
        self._never = never
        self._only = only
        self._held = held

    def apply(self, scores: Tensor) -> None:
        """Make what must not come impossible in scores (N,V), in place."""
        scores[self._never] = IMPOSSIBLE
        kept = scores[self._only]
        scores.index_fill_(0, self._held, IMPOSSIBLE)
        scores[self._only] = kept
