"""What may come next in each row: symbols that must not, and rows where nothing may but a few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqcli.search.blocking import ends_of_phrases, ends_of_repetitions
from seqcli.search.constraints import missing, urgent, wanted
from seqcli.search.demands import Demands
from seqcli.search.hypotheses import IMPOSSIBLE, Hypothesis
from seqcli.symbols import EOS

Pairs = list[tuple[int, int]]


@dataclass
class Restrictions:
    """Of all rows of a step: pairs of a row and a symbol that it must not write, and of a row and a symbol that it may write alone."""

    never: Pairs = field(default_factory=list)
    only: Pairs = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    """Rows that may write nothing but what `only` says."""

    def add(self, row: int, hypothesis: Hypothesis, demands: Demands, max_length: int, no_repeat_ngram: int) -> None:
        """Take in what may follow one hypothesis."""
        written = len(hypothesis.ids)
        if written < len(demands.prefix):
            self._hold(row, [demands.prefix[written]])
            return
        never = ends_of_phrases(hypothesis.ids, demands.avoid)
        phrases, progress = demands.constraints, hypothesis.progress
        absent = missing(phrases, progress)
        # one place is kept for EOS
        if absent and max_length - written <= absent + 1:
            self._hold(row, urgent(phrases, progress) - never)
            return
        if no_repeat_ngram:
            never |= ends_of_repetitions(hypothesis.ids, no_repeat_ngram) - wanted(phrases, progress)
        if absent or written + 1 < demands.min_length:
            never.add(EOS)
        self.never += [(row, symbol) for symbol in never]

    def _hold(self, row: int, symbols: Iterable[int]) -> None:
        self.held.add(row)
        self.only += [(row, symbol) for symbol in symbols]

    def apply(self, scores: Tensor) -> None:
        """Make what must not come impossible in scores (N,V), in place."""
        rows, symbols = _columns(self.only, scores.device)
        kept = scores[rows, symbols]
        scores[_columns(self.never, scores.device)] = IMPOSSIBLE
        if self.held:
            scores[torch.tensor(sorted(self.held), device=scores.device)] = IMPOSSIBLE
            scores[rows, symbols] = kept


def _columns(pairs: Pairs, device: torch.device) -> tuple[Tensor, Tensor]:
    rows, symbols = torch.tensor(pairs, dtype=torch.long, device=device).view(-1, 2).unbind(dim=1)
    return rows, symbols
