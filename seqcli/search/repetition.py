"""The repetition penalty of CTRL: symbols that a hypothesis has written already become less likely."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def penalised(scores: Tensor, written: Sequence[Sequence[int]], penalty: float) -> Tensor:
    """Raw scores (N,V) in which those of each row's `written` symbols are divided by `penalty`, or, below 0, multiplied by it
    (Keskar et al. 2019, §4.1, who divide all, which would favour what has a score below 0)."""
    pairs = [(row, symbol) for row, ids in enumerate(written) for symbol in set(ids)]
    if not pairs:
        return scores
    rows, symbols = torch.tensor(pairs, device=scores.device).unbind(dim=1)
    found = scores[rows, symbols]
    lowered = scores.clone()
    lowered[rows, symbols] = torch.where(found > 0, found / penalty, found * penalty)
    return lowered
