"""The penalty of doubly stochastic attention against its formula, Σ_i (1 - Σ_t α_ti)²."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seqcli.nn.doubly_stochastic import doubly_stochastic_penalty


def test_by_hand() -> None:
    # two steps over two positions: they receive 0.75 + 0.5 and 0.25 + 0.5, so 0.25² + 0.25²
    weights = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]])
    both = torch.tensor([[True, True]])
    assert doubly_stochastic_penalty([weights], both, both).item() == pytest.approx(0.125)
    # the second step is padding: 0.25² + 0.75²
    assert doubly_stochastic_penalty([weights], torch.tensor([[True, False]]), both).item() == pytest.approx(0.625)
    # the second position is padding: 0.25²
    assert doubly_stochastic_penalty([weights], both, torch.tensor([[True, False]])).item() == pytest.approx(0.0625)


def test_it_is_the_mean_of_heads_and_layers_that_counts() -> None:
    """Four heads in two layers, each on a position of its own, look at everything once: after four steps nothing is missing."""
    heads = torch.eye(4)[None, :, None, :].expand(1, 4, 4, 4)
    everything = torch.ones(1, 4, dtype=torch.bool)
    assert doubly_stochastic_penalty([heads[:, :2], heads[:, 2:]], everything, everything).item() == 0
    # the first two alone look at two positions twice, and never at the other two
    assert doubly_stochastic_penalty([heads[:, :2]], everything, everything).item() == 4


def case() -> tuple[list[Tensor], Tensor, Tensor]:
    """Two layers of three heads: three sentences, four steps, six positions, of the second and third not all."""
    draw = torch.Generator().manual_seed(0)
    steps = torch.arange(4) < torch.tensor([4, 1, 3])[:, None]
    positions = torch.arange(6) < torch.tensor([6, 4, 2])[:, None]
    weights = [
        torch.randn(3, 3, 4, 6, generator=draw, dtype=torch.float64)
        .masked_fill(~positions[:, None, None], -torch.inf)
        .softmax(dim=-1)
        for _ in range(2)
    ]
    return weights, steps, positions


@pytest.mark.parametrize(("grid", "cells"), [(None, 6), ((1, 2), 2), ((2, 2), 4), ((2, 3), 6)])
def test_equals_the_formula_written_out(grid: tuple[int, int] | None, cells: int) -> None:
    weights, steps, positions = case()
    expected = 0.0
    for row, (length, width) in enumerate([(4, 6), (1, 4), (3, 2)]):
        for i in range(min(width, cells)):
            received = sum(
                float(layer[row, head, t, i]) for layer in weights for head in range(3) for t in range(length)
            )
            expected += (1 - received / 6) ** 2
    assert doubly_stochastic_penalty(weights, steps, positions, grid).item() == pytest.approx(expected)


def test_its_gradient() -> None:
    weights, steps, positions = case()
    leaves = [layer.requires_grad_() for layer in weights]
    assert torch.autograd.gradcheck(lambda *layers: doubly_stochastic_penalty(layers, steps, positions), leaves)


def test_sums_of_weights_in_16_bits_are_exact() -> None:
    """A thousand steps that each give a position 1/1000."""
    weights = torch.full((1, 1, 1000, 1000), 1e-3, dtype=torch.bfloat16)
    everything = torch.ones(1, 1000, dtype=torch.bool)
    penalty = doubly_stochastic_penalty([weights], everything, everything)
    assert penalty.dtype == torch.float32
    each = 1000 * float(weights[0, 0, 0, 0])
    assert penalty.item() == pytest.approx(1000 * (1 - each) ** 2, rel=1e-2)
