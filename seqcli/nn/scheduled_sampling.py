"""Scheduled sampling: a decoder that learns reads, here and there, a symbol of its own in place of the given one (Bengio et al. 2015).

In two passes, as every decoder can (Mihaylova & Martins 2019, "Scheduled sampling for Transformers", §3; Duckworth et al. 2019, "Parallel scheduled
sampling"): the model answers the given symbols, all steps at once; then it reads a mixture of them and of what it has answered, and learns from that.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from seqcli.symbols import EOS, PAD
from seqcli.types import Batch

Pick = Literal["sample", "best"]
"""Which of its answers a model reads: one drawn from their distribution, or the most likely."""

SMALLEST = 2.0**-24
"""The smallest number that noise is made of. One in float32 that is rounded down to 0 would have any symbol drawn, however unlikely."""


def own_symbols(scores: Tensor, pick: Pick) -> Tensor:
    """A symbol (…) for each distribution, given as raw scores (…,V): the most likely, or one drawn with torch's random numbers.

    Padding and BOS, which stand before all others and which no search writes, are never chosen.
    """
    possible = scores[..., EOS:]
    if pick == "sample":
        # the largest log p + g, g being Gumbel noise (Maddison et al. 2014, "A* sampling"), and so minus the logarithm of exponential noise
        noise = torch.empty_like(possible, dtype=torch.promote_types(possible.dtype, torch.float32)).exponential_()
        possible = possible - noise.clamp_(min=SMALLEST).log_()
    return possible.argmax(dim=-1) + EOS


def mixed(batch: Batch, own: Tensor, given: float) -> Tensor:
    """What the decoder is to read, (B,T): each symbol the given one with probability `given`, and else the one of `own (B,T)`, where the model has
    said what it would write at each label.

    BOS stays, and so does what is read where there is nothing left to answer.
    """
    kept = torch.rand(own[:, 1:].shape, device=own.device) < given
    kept |= batch.labels[:, 1:] == PAD
    return torch.cat((batch.inputs[:, :1], torch.where(kept, batch.inputs[:, 1:], own[:, :-1])), dim=1)
