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


def lineage_mask(slots: Tensor, width: int, queries: int) -> Tensor | None:
    """Which cells of a history the last T = `queries` positions of each hypothesis may see, with K = `width` hypotheses a sentence:
    their own, and those that they come from.

    `slots (A·K,S)` have the slot of each position (see `types.State`) → (A,1,K·T,S·K), or what broadcasts to it; None where all is seen.
    """
    rows, length = slots.shape
    if width == 1:
        return causal_mask(queries, length - queries, slots.device) if queries > 1 else None
    own = slots.view(rows // width, width, 1, length, 1) == torch.arange(width, device=slots.device)
    visible = own & causal_mask(queries, length - queries, slots.device)[:, :, None]
    return visible.flatten(3).flatten(1, 2)[:, None]
