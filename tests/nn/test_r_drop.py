"""R-Drop's fused loss against the plain formula, value and gradients, in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seqcli.nn import projection as room
from seqcli.nn import r_drop as room_of_r_drop
from seqcli.nn.loss import projected_cross_entropy
from seqcli.nn.r_drop import projected_r_drop
from seqcli.symbols import PAD

VOCABULARY, WIDTH = 7, 5


def case(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (6,4,D) of two passes over three rows, weight, bias, labels (3,4) of which five are PAD."""
    draw = torch.Generator().manual_seed(seed)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=draw).requires_grad_()

    labels = torch.randint(1, VOCABULARY, (3, 4), generator=draw)
    labels[1, 2:], labels[2, 1:] = PAD, PAD
    return leaf(6, 4, WIDTH), leaf(VOCABULARY, WIDTH), leaf(VOCABULARY), labels


def plain(
    features: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, smoothing: float, alpha: float
) -> tuple[Tensor, Tensor]:
    """Equation 4, with torch's own losses over all logits at once."""
    real = labels != PAD
    first, second = (F.linear(part, weight, bias)[real] for part in features.chunk(2))
    entropies = [
        F.cross_entropy(logits, labels[real], label_smoothing=smoothing, reduction="sum") for logits in (first, second)
    ]
    p, q = (logits.log_softmax(dim=-1) for logits in (first, second))
    apart = [F.kl_div(*pair, log_target=True, reduction="sum") for pair in ((q, p), (p, q))]
    return sum(entropies) + alpha * sum(apart) / 2, sum(entropies) / 2


def test_by_hand() -> None:
    # P = (1/4, 3/4), Q = (1/2, 1/2), and the label is the second word
    features, weight = torch.tensor([[[1.0]], [[0.0]]]), torch.tensor([[0.0], [math.log(3)]])
    objective, entropy = projected_r_drop(features, weight, None, torch.tensor([[1]]), alpha=3.0)
    p, q = (1 / 4, 3 / 4), (1 / 2, 1 / 2)
    apart = sum(a * math.log(a / b) + b * math.log(b / a) for a, b in zip(p, q, strict=True)) / 2
    assert objective.item() == pytest.approx(-math.log(3 / 4) - math.log(1 / 2) + 3 * apart)
    assert entropy.item() == pytest.approx((-math.log(3 / 4) - math.log(1 / 2)) / 2)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_the_plain_formula(
    alpha: float, smoothing: float, rows: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CHUNK_CELLS", 2 * rows * VOCABULARY)
    features, weight, bias, labels = case()
    leaves = (features, weight, bias) if with_bias else (features, weight)
    given_bias = bias if with_bias else None
    ours, reported = projected_r_drop(features, weight, given_bias, labels, smoothing, alpha=alpha)
    theirs, entropy = plain(features, weight, given_bias, labels, smoothing, alpha)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(reported, entropy, atol=1e-12, rtol=1e-12)
    assert not reported.requires_grad
    for our, their in zip(torch.autograd.grad(ours / 7, leaves), torch.autograd.grad(theirs / 7, leaves), strict=True):
        torch.testing.assert_close(our, their, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("smoothing", "alpha"), [(0.0, 5.0), (0.1, 0.7)])
def test_gradients_are_those_of_small_differences(
    smoothing: float, alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CHUNK_CELLS", 4 * VOCABULARY)
    *leaves, labels = case()
    assert torch.autograd.gradcheck(
        lambda *parts: projected_r_drop(*parts, labels, smoothing, alpha=alpha)[0], tuple(leaves)
    )


def test_padding_gets_no_gradient() -> None:
    features, weight, bias, labels = case()
    projected_r_drop(features, weight, bias, labels, 0.1, alpha=5.0)[0].backward()
    assert features.grad is not None
    assert torch.equal(features.grad.any(dim=-1), (labels != PAD).repeat(2, 1))


def test_two_equal_passes_are_twice_the_cross_entropy() -> None:
    features, weight, bias, labels = case()
    objective, entropy = projected_r_drop(features[:3].repeat(2, 1, 1), weight, bias, labels, 0.1, alpha=5.0)
    once = projected_cross_entropy(features[:3], weight, bias, labels, 0.1)
    torch.testing.assert_close(objective, 2 * once)
    torch.testing.assert_close(entropy, once.detach())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_divergences_are_summed_in_float32_under_autocast(dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(2)
    log_probs = torch.randn(4, 2, 500, generator=draw).log_softmax(dim=-1)
    expected, gradient = room_of_r_drop._divergence(log_probs, log_probs.exp(), 5.0)
    with torch.autocast("cpu", dtype=dtype):
        found, found_gradient = room_of_r_drop._divergence(log_probs, log_probs.exp(), 5.0)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.equal(found_gradient, gradient)
