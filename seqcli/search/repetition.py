"""The repetition penalty of CTRL: symbols that a hypothesis has written already become less likely."""

from __future__ import annotations

import torch
from torch import Tensor


def penalised(scores: Tensor, rows: Tensor, symbols: Tensor, penalty: float) -> Tensor:
    """Raw scores (N,V) in which those of `symbols` (n,), which `rows` (n,) have written, are divided by `penalty`, or, below 0, multiplied by it
    (Keskar et al. 2019, §4.1, who divide all, which would favour what has a score below 0)."""
    found = scores[rows, symbols]
    lowered = scores.clone()
    lowered[rows, symbols] = torch.where(found > 0, found / penalty, found * penalty)
    return lowered
