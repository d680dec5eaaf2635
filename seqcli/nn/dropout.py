"""Dropout (Srivastava et al. 2014), with masks that cost little on a CPU.

torch draws one Bernoulli variable after another on a CPU, which can take a quarter of a training step. Here an element's mask is 16
random bits compared with the rate, which is met to 1/65,536: four elements for each word of a fast 64-bit generator (SFC64, by the
author of PractRand). A draw from torch's own generator seeds it, so that a run repeats and resumes as if torch had drawn the mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEVELS = 2**16


class Dropout(nn.Module):
    """In training, each element is set to 0 with probability `rate`, and the others are scaled by 1/(1 - rate)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        """Any shape → the same."""
        return drop_out(inputs, self.rate, self.training)

    def extra_repr(self) -> str:
        """What `print(model)` says of it."""
        return f"rate={self.rate}"


def drop_out(inputs: Tensor, rate: float, training: bool) -> Tensor:
    """`inputs`, with dropout of `rate` if in training."""
    if not training or rate == 0.0:
        return inputs
    if inputs.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(inputs, rate)
    dropped: Tensor = _Dropout.apply(inputs, rate)  # type: ignore[no-untyped-call]
    return dropped


def keep_mask(shape: torch.Size, rate: float) -> tuple[Tensor, float]:
    """A mask of `shape`, int16, 1 where an element is kept and 0 where it is dropped; and the scale of what is kept.

    Drawn on the CPU; the scale is the inverse of the exact probability of being kept, so that the expectation stays.
    """
    count = shape.numel()
    seed = int(torch.randint(2**63 - 1, ()))
    words = np.random.SFC64(seed).random_raw(-(-count // 4))
    bits = torch.from_numpy(words).view(torch.int16)[:count].view(shape)
    dropped = min(round(rate * LEVELS), LEVELS - 1)
    # in place: comparing within one type is several times faster than making a mask of booleans
    torch.ge(bits, dropped - LEVELS // 2, out=bits)
    return bits, LEVELS / (LEVELS - dropped)


class _Dropout(torch.autograd.Function):
    """inputs · mask · scale; its gradient is the same product."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, rate: float) -> Tensor:
        ctx.mask, ctx.scale = keep_mask(inputs.shape, rate)
        return _masked(inputs, ctx.mask, ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        return _masked(grad_output, ctx.mask, ctx.scale), None


def _masked(values: Tensor, mask: Tensor, scale: float) -> Tensor:
    return mask.to(values.dtype).mul_(values).mul_(scale)
