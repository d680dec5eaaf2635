"""The fused loss against torch's own, value and gradients, in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seqcli.nn import projection as room
from seqcli.nn.loss import perplexity, projected_cross_entropy
from seqcli.symbols import BOS, PAD
from seqcli.types import Batch

VOCABULARY, WIDTH = 7, 5


def case(dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (3,4,D), weight, bias, labels (3,4) of which five are PAD."""
    draw = torch.Generator().manual_seed(seed)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=dtype, generator=draw).requires_grad_()

    labels = torch.randint(1, VOCABULARY, (3, 4), generator=draw)
    labels[1, 2:], labels[2, 1:] = PAD, PAD
    return leaf(3, 4, WIDTH), leaf(VOCABULARY, WIDTH), leaf(VOCABULARY), labels


def torch_loss(features: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, smoothing: float) -> Tensor:
    logits = F.linear(features, weight, bias).flatten(0, 1)
    return F.cross_entropy(logits, labels.flatten(), ignore_index=PAD, label_smoothing=smoothing, reduction="sum")


def test_by_hand() -> None:
    # one label, two words, scores 0 and ln 3: probabilities 1/4 and 3/4; smoothing 0.2 wants 0.1 and 0.9
    features, weight = torch.tensor([[1.0]]), torch.tensor([[0.0], [math.log(3)]])
    labels = torch.tensor([1])
    assert projected_cross_entropy(features, weight, None, labels).item() == pytest.approx(-math.log(3 / 4))
    smoothed = projected_cross_entropy(features, weight, None, labels, 0.2).item()
    assert smoothed == pytest.approx(-0.1 * math.log(1 / 4) - 0.9 * math.log(3 / 4))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("rows", [1, 2, 3, 100])
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_torch(smoothing: float, rows: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of one, two, three rows (seven labels count) and all at once."""
    monkeypatch.setattr(room, "CHUNK_CELLS", rows * VOCABULARY)
    features, weight, bias, labels = case()
    leaves = (features, weight, bias) if with_bias else (features, weight)
    given_bias = bias if with_bias else None
    ours = projected_cross_entropy(features, weight, given_bias, labels, smoothing)
    theirs = torch_loss(features, weight, given_bias, labels, smoothing)
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
    # a factor before backward, as the loop's division by the tokens
    for our, their in zip(torch.autograd.grad(ours / 7, leaves), torch.autograd.grad(theirs / 7, leaves), strict=True):
        torch.testing.assert_close(our, their, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_are_those_of_small_differences(smoothing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK_CELLS", 2 * VOCABULARY)
    *leaves, labels = case()
    assert torch.autograd.gradcheck(lambda *parts: projected_cross_entropy(*parts, labels, smoothing), tuple(leaves))


def test_places_that_were_found_before_are_the_same() -> None:
    """As a batch carries them along to a device: loss and gradients equal those where they are looked for, to the last bit."""
    *leaves, labels = case()
    batch = Batch(labels, labels != PAD, F.pad(labels, (1, 0), value=BOS), torch.arange(3))
    assert batch.real_labels.tolist() == [0, 1, 2, 3, 4, 5, 8]
    arrived = batch.to("cpu")
    assert "real_labels" in vars(arrived), "moved, not to be found there"
    assert torch.equal(arrived.real_labels, batch.real_labels)
    given, found = (projected_cross_entropy(*leaves, labels, 0.1, real=real) for real in (arrived.real_labels, None))
    assert torch.equal(given, found)
    for one, other in zip(torch.autograd.grad(given, leaves), torch.autograd.grad(found, leaves), strict=True):
        assert torch.equal(one, other)
    assert [piece.real_labels.tolist() for piece in arrived.pieces(3)] == [[0, 1, 2, 3], [0, 1], [0]]


def test_all_padding_but_one() -> None:
    features, weight, bias, labels = case()
    labels[:], labels[1, 3] = PAD, 4
    ours, theirs = (loss(features, weight, bias, labels, 0.1) for loss in (projected_cross_entropy, torch_loss))
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    assert features.grad is not None
    touched = features.grad.any(dim=-1).nonzero().tolist()
    assert touched == [[1, 3]]


def test_a_second_backward_gives_the_same_and_a_second_derivative_is_refused() -> None:
    features, weight, bias, labels = case()
    loss = projected_cross_entropy(features, weight, bias, labels)
    first, second = (torch.autograd.grad(3 * loss, weight, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    (slope,) = torch.autograd.grad(loss**2, weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_without_gradients_the_value_is_the_same() -> None:
    features, weight, bias, labels = case()
    with torch.no_grad():
        value = projected_cross_entropy(features, weight, bias, labels, 0.1)
    assert not value.requires_grad
    assert torch.equal(value, projected_cross_entropy(features, weight, bias, labels, 0.1))


def test_tied_weights_gather_both_gradients() -> None:
    _, weight, bias, labels = case()
    (ours,) = torch.autograd.grad(projected_cross_entropy(weight[labels], weight, bias, labels, 0.1), weight)
    (theirs,) = torch.autograd.grad(torch_loss(weight[labels], weight, bias, labels, 0.1), weight)
    torch.testing.assert_close(ours, theirs)


def test_half_precision_adds_up_in_float32() -> None:
    features, weight, bias, labels = case()
    low = [part.detach().bfloat16().requires_grad_() for part in (features, weight, bias)]
    loss = projected_cross_entropy(*low, labels, 0.1)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(part.grad is not None and part.grad.dtype == torch.bfloat16 for part in low)
    exact = torch_loss(*(part.detach().float() for part in low), labels, 0.1)
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)


def test_perplexity() -> None:
    assert perplexity(0.0) == 1.0
    assert perplexity(math.log(8)) == pytest.approx(8)
    assert perplexity(1e6) == math.inf


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_fills_the_vocabulary_up_and_nobody_sees_it(dtype: torch.dtype) -> None:
    """57 more words than there are, whose scores would be 0, if they had any, would double the loss."""
    features, weight, bias, labels = case()
    leaves = [part.detach().float().requires_grad_() for part in (features, weight, bias)]
    with torch.autocast("cpu", dtype):
        output = room.Projection(leaves[0].flatten(0, 1), leaves[1], leaves[2], (True, True, True))
        ours = projected_cross_entropy(*leaves, labels, 0.1)
    assert (output.weight.shape, output.weight.dtype) == ((64, WIDTH), dtype)
    with torch.no_grad():
        logits = output.logits(slice(0, 3))
    assert (logits.shape, logits.dtype) == ((3, VOCABULARY), torch.float32)
    theirs = torch_loss(features, weight, bias, labels, 0.1)
    assert ours.item() == pytest.approx(theirs.item(), rel=0.01)
    for our, their in zip(
        torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, (features, weight, bias)), strict=True
    ):
        assert our.dtype == torch.float32
        assert float((our - their).norm() / their.norm()) < 0.02
