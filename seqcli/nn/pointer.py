"""The mixture of words of one's own with those that stand in the source (see `models/copying.py`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seqcli.symbols import NOT_THERE

COPIES = "copies"
"""What the memory of a state calls the symbols that can be copied from each place of a source, (A,S)."""
NEVER = -1e9
"""The log-probability of what cannot be: small enough to be nothing, and large enough to be added and differentiated."""


def mixture(logits: Tensor, gate: Tensor, looked: Tensor, copies: Tensor) -> Tensor:
    """The log-probabilities (…,V) of what is written or copied: `logits (…,V)` and `gate (…,1)` before softmax and σ, attention `looked (…,S)`,
    and the symbols `copies (…,S)` that stand there, `NOT_THERE` where there is none. In float32 at least.

    No symbol's is -inf, and no gradient is: those that cannot be copied have what the softmax gives them.
    """
    precise = torch.promote_types(logits.dtype, torch.float32)
    logits, gate, looked = (part.to(precise) for part in (logits, gate, looked))
    there = copies != NOT_THERE
    lost = looked.masked_fill(there, 0.0).sum(dim=-1, keepdim=True)
    write, copy = F.logsigmoid(gate), F.logsigmoid(-gate)
    written = _plus(write, copy, lost) + logits.log_softmax(dim=-1)
    pointed = torch.zeros_like(logits).scatter_add(-1, copies.clamp_min(0), looked.masked_fill(~there, 0.0))
    return _plus(written, copy, pointed)


def mixture_of_one(logits: Tensor, gate: Tensor, copies: Tensor) -> Tensor:
    """The `mixture` where all attention is on one place, that of the symbol `copies (…,1)`: only that symbol's probability is a sum."""
    precise = torch.promote_types(logits.dtype, torch.float32)
    logits, gate = logits.to(precise), gate.to(precise)
    there = copies != NOT_THERE
    written = logits.log_softmax(dim=-1) + F.logsigmoid(gate).masked_fill(~there, 0.0)
    place = copies.clamp_min(0)
    both = torch.cat((written.gather(-1, place), F.logsigmoid(-gate).masked_fill(~there, NEVER)), dim=-1)
    return written.scatter(-1, place, both.logsumexp(dim=-1, keepdim=True))


def _plus(one: Tensor, other: Tensor, times: Tensor) -> Tensor:
    """log(eᵃ + times·eᵇ); where it is 0 times, which has no logarithm to go backward through, a."""
    some = times > 0
    both = torch.stack((one, other + times.masked_fill(~some, 1.0).log()))
    return torch.where(some, both.logsumexp(dim=0), one)
