"""Attention with coverage, and the coverage loss, on numbers small enough to work out by hand, and against their formulas in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from seqcli.nn.attention import AdditiveScore, Attention
from seqcli.nn.coverage import CoverageAttention, coverage_loss
from seqcli.nn.trace import trace_attention
from seqcli.types import Memory

BOTH = torch.tensor([[True, True]])


def attention_of(weight: float, *, gate: nn.Linear | None = None) -> CoverageAttention:
    """All widths are 1, all matrices 1 but that of the coverage: e = tanh(q + k + weight·c)."""
    attention = CoverageAttention(AdditiveScore(1, 1, 1), gate)
    for parameter in attention.score.parameters():
        nn.init.ones_(parameter)
    assert attention.score.key.bias is not None
    nn.init.zeros_(attention.score.key.bias)
    nn.init.constant_(attention.covered.weight, weight)
    return attention


@torch.no_grad()
def test_a_step_by_hand() -> None:
    """Keys 0 and 1, query 0.5, of which the first place was given 0.8 before and the second 0.2; the values are 1 and 0, so that the context is
    the first weight: σ of the difference of the scores."""
    attention, memory = attention_of(-2.0), torch.tensor([[[0.0], [1.0]]])
    with trace_attention(attention) as maps:
        context, covered = attention(
            torch.tensor([[[0.5]]]),
            attention.keys(memory),
            torch.tensor([[[1.0], [0.0]]]),
            BOTH,
            torch.tensor([[[0.8, 0.2]]]),
        )
    difference = math.tanh(0.5 + 0 - 2 * 0.8) - math.tanh(0.5 + 1 - 2 * 0.2)
    first = 1 / (1 + math.exp(-difference))
    assert context.item() == pytest.approx(first)
    torch.testing.assert_close(covered, torch.tensor([[[0.8 + first, 0.2 + 1 - first]]]))
    torch.testing.assert_close(maps[""], torch.tensor([[[[first, 1 - first]]]]))


@torch.no_grad()
def test_what_was_never_looked_at_is_found_as_without_coverage() -> None:
    """Also behind a gate, and by each of three hypotheses; padding gets nothing, and none of it is covered."""
    torch.manual_seed(0)
    score, gate = AdditiveScore(4, 3, 5), nn.Linear(4, 1)
    covering, plain = CoverageAttention(score, gate), Attention(score, gate)
    states, query = torch.randn(2, 6, 3), torch.randn(2, 3, 4)
    mask = torch.arange(6) < torch.tensor([6, 4])[:, None]
    start = covering.start(Memory(states, mask, states))
    assert start.shape == mask.shape
    assert start.dtype == torch.float32
    assert not start.any()
    context, covered = covering(query, covering.keys(states), states, mask, start[:, None].expand(2, 3, 6))
    torch.testing.assert_close(context, plain(query, plain.keys(states), states, mask))
    assert not covered[1, :, 4:].any()
    torch.testing.assert_close(covered.sum(dim=-1), torch.ones(2, 3))


def test_16_bits_are_summed_up_in_32() -> None:
    states = torch.zeros(1, 2, 3, dtype=torch.bfloat16)
    assert attention_of(1.0).start(Memory(states, BOTH, states)).dtype == torch.float32
    states = states.double()
    assert attention_of(1.0).start(Memory(states, BOTH, states)).dtype == torch.float64


def test_the_loss_by_hand() -> None:
    # covered before: nothing; (0.75, 0.25); (1.25, 0.75). The least of it and the look: 0; 0.5 + 0.25; 0.1 + 0.75
    weights = torch.tensor([[[[0.75, 0.25], [0.5, 0.5], [0.1, 0.9]]]])
    assert coverage_loss([weights], torch.tensor([[True, True, True]])).item() == pytest.approx(1.6)
    # the last step is padding
    assert coverage_loss([weights], torch.tensor([[True, True, False]])).item() == pytest.approx(0.75)
    # two heads, or two hops, that change places: (0.5, 0.5) each time, so all of it was there before
    both = [weights[:, :, :1].expand(1, 1, 3, 2), weights[:, :, :1].flip(-1).expand(1, 1, 3, 2)]
    for several in (both, [torch.cat(both, dim=1)]):
        assert coverage_loss(several, torch.tensor([[True, True, True]])).item() == pytest.approx(2)
    # each place once costs nothing
    assert coverage_loss([torch.eye(4)[None, None]], torch.ones(1, 4, dtype=torch.bool)).item() == 0


def case() -> tuple[list[Tensor], Tensor]:
    """Two layers of three heads: three sentences, four steps, six positions."""
    draw = torch.Generator().manual_seed(0)
    steps = torch.arange(4) < torch.tensor([4, 1, 3])[:, None]
    weights = [torch.randn(3, 3, 4, 6, generator=draw, dtype=torch.float64).softmax(dim=-1) for _ in range(2)]
    return weights, steps


def test_the_loss_equals_the_formula_written_out() -> None:
    weights, steps = case()
    looks = torch.cat(weights, dim=1).mean(dim=1)
    expected = 0.0
    for row, length in enumerate([4, 1, 3]):
        for i in range(6):
            covered = 0.0
            for t in range(length):
                expected += min(float(looks[row, t, i]), covered)
                covered += float(looks[row, t, i])
    assert expected > 1
    assert coverage_loss(weights, steps).item() == pytest.approx(expected)


def test_its_gradient() -> None:
    weights, steps = case()
    leaves = [layer.requires_grad_() for layer in weights]
    assert torch.autograd.gradcheck(lambda *layers: coverage_loss(layers, steps), leaves)


def test_sums_of_weights_in_16_bits_are_exact() -> None:
    """A thousand steps that each give a position 1/1000: all but the first find at least as much there."""
    weights = torch.full((1, 1, 1000, 1000), 1e-3, dtype=torch.bfloat16)
    loss = coverage_loss([weights], torch.ones(1, 1000, dtype=torch.bool))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(999 * 1000 * float(weights[0, 0, 0, 0]), rel=1e-4)
