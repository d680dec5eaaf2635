"""Doubly stochastic attention: not only does each step look somewhere, each position is also looked at about once.

A step's weights sum to 1 over the positions by their softmax. That a position's weights sum to about 1 over the steps is asked for by
a penalty on the loss (Xu et al. 2015, §4.2.1, eq. 14):

    Σ_i (1 - Σ_t α_ti)²
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def doubly_stochastic_penalty(
    weights: Sequence[Tensor], steps: Tensor, positions: Tensor, grid: tuple[int, int] | None = None
) -> Tensor:
    """Σ_i (1 - Σ_t α_ti)², summed over the sentences, in float32 at least.

    `weights`, one (B,H,T,S) or more, are those of the layers or hops; α is the mean of all their heads. Steps t are those where
    `steps (B,T)` is True, positions i those where `positions (B,S)` is. With a `grid` of rows and columns, the first rows × columns
    positions are the cells of an image, and alone count: a question beside the image need not be read out.
    """
    heads = torch.cat(list(weights), dim=1)
    alpha = heads.to(torch.promote_types(heads.dtype, torch.float32)).mean(dim=1)
    received = (alpha * steps[:, :, None]).sum(dim=1)
    cells = received.shape[1] if grid is None else grid[0] * grid[1]
    missing = (1 - received[:, :cells]) * positions[:, :cells]
    return missing.square().sum()
