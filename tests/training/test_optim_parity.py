"""The optimizers ≡ torch's fused ones, to the last bit, over steps with changing learning rates.

The only test module that imports an optimizer of torch's: that costs seconds.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seqcli.training.optim import Adam, Optimizer, Sgd, decayed

DECAY = 0.1
RATES = [0.1, 0.05, 0.2, 0.0, 0.01]


class Small(nn.Module):
    """A parameter of every sort that decay treats differently, and one that gets no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 5)
        self.linear = nn.Linear(5, 3)
        self.norm = nn.LayerNorm(3)
        self.unused = nn.Linear(3, 3)


def twins() -> tuple[Small, Small]:
    torch.manual_seed(0)
    ours, theirs = Small(), Small()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def torch_groups(model: Small) -> list[dict[str, Any]]:
    pulled = [model.linear.weight, model.unused.weight]
    free = [parameter for parameter in model.parameters() if all(parameter is not other for other in pulled)]
    return [{"params": pulled, "weight_decay": DECAY}, {"params": free, "weight_decay": 0.0}]


def assert_same_path(ours: Small, theirs: Small, mine: Optimizer, torchs: torch.optim.Optimizer) -> None:
    start = {name: parameter.detach().clone() for name, parameter in ours.named_parameters()}
    draw = torch.Generator().manual_seed(1)
    for rate in RATES:
        for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
            left.grad = torch.randn(left.shape, generator=draw)
            right.grad = left.grad.clone()
        for model in (ours, theirs):
            model.unused.weight.grad = model.unused.bias.grad = None
        for group in torchs.param_groups:
            group["lr"] = rate
        mine.step(rate)
        torchs.step()
        for (name, left), right in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert torch.equal(left, right), (name, rate)
    moved = {name for name, parameter in ours.named_parameters() if not torch.equal(parameter, start[name])}
    assert moved == {name for name in start if not name.startswith("unused")}


@pytest.mark.parametrize("decoupled", [True, False], ids=["adamw", "adam"])
@pytest.mark.parametrize("weight_decay", [DECAY, 0.0])
def test_adam(decoupled: bool, weight_decay: float) -> None:
    ours, theirs = twins()
    mine = Adam(
        ours.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=weight_decay, decoupled=decoupled
    )
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    groups = torch_groups(theirs) if weight_decay else [{"params": list(theirs.parameters()), "weight_decay": 0.0}]
    assert_same_path(ours, theirs, mine, kind(groups, betas=(0.9, 0.98), eps=1e-9, fused=True))


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd(momentum: float, nesterov: bool) -> None:
    ours, theirs = twins()
    mine = Sgd(ours.named_parameters(), momentum=momentum, nesterov=nesterov, weight_decay=DECAY)
    groups = torch_groups(theirs)
    assert_same_path(
        ours, theirs, mine, torch.optim.SGD(groups, lr=1.0, momentum=momentum, nesterov=nesterov, fused=True)
    )


def test_decay_pulls_at_matrices_only() -> None:
    pulled = {name for name, parameter in Small().named_parameters() if decayed(name, parameter)}
    assert pulled == {"linear.weight", "unused.weight"}


@pytest.mark.parametrize("momentum", [None, 0.9], ids=["adam", "sgd"])
def test_a_kept_state_goes_on_to_the_last_bit(momentum: float | None) -> None:
    def optimizer(model: Small) -> Optimizer:
        if momentum is None:
            return Adam(model.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=DECAY, decoupled=True)
        return Sgd(model.named_parameters(), momentum=momentum, nesterov=False, weight_decay=DECAY)

    straight, resumed = twins()
    first, second = optimizer(straight), optimizer(resumed)

    def step(model: Small, using: Optimizer, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=draw)
        using.step(0.1)

    step(straight, first, 1)
    kept = {name: tensor.clone() for name, tensor in first.state().items()}
    assert any(tensor.any() for tensor in kept.values())
    resumed.load_state_dict(straight.state_dict())
    second.restore(kept)
    step(straight, first, 2)
    step(resumed, second, 2)
    for left, right in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)
