"""An exponential moving average of the weights: steadier than the weights of any one step, and better from early on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seqcli.nn.batch_norm import statistics
from seqcli.training.sharding import laid_out, local


class MovingAverage:
    """θ̄ ← d·θ̄ + (1-d)·θ after each step (Polyak & Juditsky 1992, with weights that fall exponentially).

    The decay d rises to `decay` as min(decay, (1+n)/(10+n)) at step n, so that the average reaches back over about a ninth of the
    steps so far, and a young one is not held back by weights that had learnt nothing.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.averages = {name: tensor.clone() for name, tensor in _learned(model)}

    def update(self, step: int, kept: Tensor | None = None) -> None:
        """Take in the model's weights after its step number `step`, counted from 1; or not, where a `kept` on the device says no."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages = [local(average) for average in self.averages.values()]
        current = [local(tensor) for _, tensor in _learned(self.model)]
        if kept is None:
            torch._foreach_lerp_(averages, current, 1 - decay)
        else:
            torch._foreach_lerp_(averages, current, [kept * (1 - decay)] * len(averages))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside this block the model has the averaged weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state(self) -> dict[str, Tensor]:
        """The weights that training goes on with: a checkpoint's model has the averaged ones."""
        return {f"{name}/trained": tensor.clone() for name, tensor in _learned(self.model)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take the model's weights as the averages, and the kept ones as the model's."""
        for name, tensor in _learned(self.model):
            self.averages[name].copy_(tensor)
            tensor.copy_(laid_out(state[f"{name}/trained"], tensor))

    def _exchange(self) -> None:
        # by value: a GPU's recurrent kernels want their weights to stay where they are
        for name, tensor in _learned(self.model):
            trained = tensor.clone()
            tensor.copy_(self.averages[name])
            self.averages[name].copy_(trained)


def _learned(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weights of `model`, and the statistics that its norms keep."""
    for name, parameter in model.named_parameters():
        yield name, parameter.data
    yield from statistics(model)
