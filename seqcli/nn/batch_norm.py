"""Normalisation by the statistics of a batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOMENTUM = 0.1
"""How far a step moves the kept statistics to those of its batches, as in torch."""


class BatchNorm(nn.Module):
    """Each channel's mean and variance over all images and places of a batch become 0 and 1 (Ioffe & Szegedy 2015, algorithm 1).

    In training they are those of the batch at hand, which gradients go through, and on several devices of each one's share; else, and
    where a channel has a single value and so no variance, the kept ones. These change when a step is taken, in `settle`, not in the forward
    pass: of several batches that make up a step, whichever device saw them, the mean counts, and a step that is skipped leaves no trace.
    """

    mean: Tensor
    variance: Tensor
    seen: Tensor

    def __init__(self, channels: int, gain: float = 1.0, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = gain
        self.eps = eps
        self.weight = nn.Parameter(torch.full((channels,), gain))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        # the batches of a step so far: sums of their means and variances, and how many they are
        self.register_buffer("seen", torch.zeros(2 * channels + 1), persistent=False)

    def reset_parameters(self) -> None:
        """The weights as they are at the start: `gain`, and no shift."""
        nn.init.constant_(self.weight, self.gain)
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        if not self.training or features[:, 0].numel() == 1:
            return F.batch_norm(features, self.mean, self.variance, self.weight, self.bias, eps=self.eps)
        mean, variance = torch.zeros_like(self.mean), torch.zeros_like(self.variance)
        # with a momentum of 1 what torch keeps is what this batch has
        outputs = F.batch_norm(
            features, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps
        )
        with torch.no_grad():
            self.seen += torch.cat((mean, variance, mean.new_ones(1)))
        return outputs

    @torch.no_grad()
    def settle(self, kept: Tensor) -> None:
        """Move the kept statistics towards the mean of the batches in `seen`, unless `kept` is false or there were none."""
        channels = len(self.mean)
        means, variances, batches = self.seen[:channels], self.seen[channels:-1], self.seen[-1]
        # not by a share of 0: what is skipped may be infinite, or no number
        moves = kept & (batches > 0)
        self.mean.copy_(torch.where(moves, self.mean.lerp(means / batches, MOMENTUM), self.mean))
        self.variance.copy_(torch.where(moves, self.variance.lerp(variances / batches, MOMENTUM), self.variance))


def batch_norms(model: nn.Module) -> list[BatchNorm]:
    """The norms of `model` that keep statistics."""
    return [module for module in model.modules() if isinstance(module, BatchNorm)]


def statistics(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What `model` keeps beside its parameters and learns as they do, by name: the statistics of its norms."""
    for name, module in model.named_modules():
        if isinstance(module, BatchNorm):
            yield f"{name}.mean", module.mean
            yield f"{name}.variance", module.variance
