"""What a hypothesis's score is beside its log-probability: penalties of its length, and of what it has left untranslated.

score(Y) = log P(Y|X) / lp(|Y|) + cp(X,Y)                                     (Wu et al. 2016, "Google's NMT system", eq. 14)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from seqcli.types import State

LengthNormalization = Literal["average", "gnmt", "none"]

LEAST = 1e-10
"""What a position counts as that nothing looked at, since log 0 would outweigh everything."""

AttentiveStep = Callable[[Tensor, State], tuple[Tensor, State, Tensor]]
"""A step that also gives the attention (N,S) of each row over the memory."""


@dataclass(frozen=True)
class LengthPenalty:
    """What log-probabilities are divided by: of a hypothesis of L symbols

    average  L^exponent; the exponent 1 is the mean of its symbols' log-probabilities
    gnmt     ((5 + L) / 6)^exponent, which weighs the length of short ones less (Wu et al. 2016, eq. 14)
    none     1
    """

    kind: LengthNormalization = "average"
    exponent: float = 1.0

    def divisor(self, length: int) -> float:
        """lp(length)."""
        if self.kind == "none":
            return 1.0
        return float((length if self.kind == "average" else (5 + length) / 6) ** self.exponent)

    def score(self, log_prob: float, length: int) -> float:
        """The normalised score of a hypothesis of so many symbols."""
        return log_prob / self.divisor(length)

    def bound(self, log_prob: float, longest: int) -> float:
        """The best score that a live hypothesis can still reach: a log-probability only falls, and the divisor is largest at the end."""
        return log_prob / self.divisor(longest)


class Coverage:
    """The coverage penalty cp = strength · Σ_i log(min(Σ_t a_ti, 1)) over the real positions i of the memory (Wu et al. 2016, eq. 14).

    `step` is the model's, with its attention; `mask (B,S)` says which positions are real. The sums over the steps stand beside the
    hypotheses and change places with them. cp is never above 0, so that the bound of a score holds with it too.
    """

    def __init__(self, step: AttentiveStep, mask: Tensor, strength: float) -> None:
        self.step = step
        self.strength = strength
        self._mask = mask
        self._sums = torch.zeros(mask.shape, device=mask.device)

    def select(self, rows: Tensor) -> None:
        """The hypotheses that `rows` names, in that order."""
        self._mask, self._sums = self._mask.index_select(0, rows), self._sums.index_select(0, rows)

    def add(self, attention: Tensor) -> Tensor:
        """Take in the attention (N,S) of a step: the penalty (N,1) of what ends with it."""
        self._sums = self._sums + attention
        return self.strength * uncovered(self._sums.masked_fill(~self._mask, 1.0))[:, None]


def uncovered(sums: Tensor) -> Tensor:
    """Sums (…,S) of the attention that each position got → Σ log(min(sum, 1)), (…), at most 0."""
    return sums.clamp(LEAST, 1.0).log().sum(dim=-1)
