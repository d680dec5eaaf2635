"""Whether the units of a layer are the same unit many times over.

Units that start equal get equal gradients, and no step makes them different: a layer of a thousand is then a layer of one.
It takes different weights at the start to break the symmetry (Rumelhart et al. 1986, "Learning representations by
back-propagating errors", p. 534).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDING = 1e-5
"""Rows that differ by less than this share of the longest are one: sums of the same numbers in another order differ so far."""


@dataclass(frozen=True)
class Symmetry:
    """Of a layer's `units`, how many are `distinct`, and the mean `distance` of two of them over their mean length, 1.41 for random rows."""

    units: int
    distinct: int
    distance: float


def symmetry(weights: Tensor, biases: Tensor | None = None) -> Symmetry:
    """How alike the units are that have the incoming `weights (units,inputs)` and `biases (units,·)`."""
    exact = (weights if biases is None else torch.cat((weights, biases), dim=1)).detach().double()
    lengths = exact.norm(dim=1)
    longest = float(lengths.max())
    distances = torch.cdist(exact, exact, compute_mode="donot_use_mm_for_euclid_dist")
    if longest == 0:
        return Symmetry(len(exact), 1, 0.0)
    alike = distances <= ROUNDING * longest
    # a unit counts where no unit before it is the same
    earlier = alike.tril(diagonal=-1).any(dim=1)
    pairs = max(1, len(exact) * (len(exact) - 1))
    return Symmetry(len(exact), int((~earlier).sum()), float(distances.sum() / pairs / lengths.mean()))
