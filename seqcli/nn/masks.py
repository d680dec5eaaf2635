"""Masks. One polarity everywhere: True = may be attended to."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths → (B,size), True on the first `length` cells of each row."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def causal_mask(queries: int, past: int, device: torch.device) -> Tensor:
    """(T, past+T): query t may see all `past` keys and the new ones up to itself."""
    return torch.ones(queries, past + queries, dtype=torch.bool, device=device).tril(past)
