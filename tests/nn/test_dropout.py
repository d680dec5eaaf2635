"""Dropout: what is dropped, how often, and that the seed decides it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from seqcli.nn.dropout import Dropout, drop_out, keep_mask


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate: float) -> None:
    torch.manual_seed(1)
    count = 1_000_000
    dropped = drop_out(torch.ones(1000, count // 1000), rate, training=True)
    deviation = math.sqrt(rate * (1 - rate) / count)
    assert abs(float((dropped == 0).float().mean()) - rate) < 5 * deviation
    # what is kept is 1/(1 - rate), to the 1/65,536 that the rate is met to
    kept = dropped[dropped != 0]
    assert float(kept.min()) == float(kept.max()) == pytest.approx(1 / (1 - rate), rel=1e-3)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=5 * deviation / (1 - rate))


def test_neighbours_rows_and_masks_are_independent() -> None:
    torch.manual_seed(2)
    first, second = (keep_mask(torch.Size((2000, 500)), 0.5)[0].double() - 0.5 for _ in range(2))
    bound = 5 * 0.25 / math.sqrt(first.numel())
    for left, right in (
        (first, second),
        (first[:, 1:], first[:, :-1]),
        (first[:, 4:], first[:, :-4]),
        (first[1:], first[:-1]),
    ):
        assert abs(float((left * right).mean())) < bound


def test_the_gradient_goes_where_the_input_went() -> None:
    torch.manual_seed(3)
    inputs = torch.randn(50, 7, requires_grad=True)
    outputs = drop_out(inputs, 0.4, training=True)
    outputs.sum().backward()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad * inputs, outputs)
    assert 0 < int((inputs.grad == 0).sum()) < inputs.numel()


def test_torchs_seed_decides_the_mask_and_moves_on() -> None:
    inputs = torch.ones(3, 5, 7)
    torch.manual_seed(4)
    first, second = drop_out(inputs, 0.5, training=True), drop_out(inputs, 0.5, training=True)
    torch.manual_seed(4)
    again = drop_out(inputs, 0.5, training=True)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_out_of_training_or_at_rate_0() -> None:
    inputs = torch.randn(4, 3)
    assert Dropout(0.5).eval()(inputs) is inputs
    assert Dropout(0.0)(inputs) is inputs


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_elements(count: int) -> None:
    assert drop_out(torch.ones(count), 0.5, training=True).shape == (count,)


def test_half_precision_stays_half_precision() -> None:
    outputs = drop_out(torch.ones(100, dtype=torch.bfloat16), 0.5, training=True)
    assert outputs.dtype == torch.bfloat16
    assert set(outputs.unique().tolist()) == {0.0, 2.0}


def test_as_torchs_own_in_distribution() -> None:
    """A layer of the same noise: mean and variance over many draws agree with F.dropout's."""
    torch.manual_seed(5)
    inputs = torch.randn(64)
    ours = torch.stack([drop_out(inputs, 0.2, training=True) for _ in range(4000)])
    torchs = torch.stack([F.dropout(inputs, 0.2) for _ in range(4000)])
    torch.testing.assert_close(ours.mean(dim=0), torchs.mean(dim=0), atol=0.08, rtol=0.1)
    torch.testing.assert_close(ours.var(dim=0), torchs.var(dim=0), atol=0.03, rtol=0.25)
