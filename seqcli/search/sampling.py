"""Sampling: each symbol is drawn from the model's distribution, or from a sharper or narrower one.

A draw takes the symbol with the largest log p + g, g being Gumbel noise (Gumbel 1954; Maddison et al. 2014, "A* sampling"). The noise of a
symbol is a hash of the seed, the source, the sample's number, the step and the symbol, so that it is the same next to whatever other
sentences, on every device; and a last digit that differs can change a draw only where two symbols are tied to that digit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Sampling:
    """What is drawn from: the scores are divided by the `temperature`; then those symbols stay that are among the `top_k` best (Fan et al.
    2018), that are needed to reach the probability `top_p` (nucleus sampling, Holtzman et al. 2020), and that have at least `min_p` times
    the best one's probability (Nguyen et al. 2024); None, 1 and 0 leave all. One filter looks at what the one before has left.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 1

    def draw(self, scores: Tensor, keys: Tensor) -> Tensor:
        """Draw a symbol (N,1) for each row of raw scores (N,V) by the row's key (N,)."""
        scores = scores / self.temperature
        symbols = None
        if self.top_k is not None or self.top_p < 1.0:
            scores, symbols = scores.topk(min(self.top_k or scores.shape[1], scores.shape[1]), dim=1)
            if self.top_p < 1.0:
                shares = scores.softmax(dim=1)
                # a symbol stays where those before it do not reach the sum
                scores = scores.masked_fill(shares.cumsum(dim=1) - shares >= self.top_p, -math.inf)
        if self.min_p > 0.0:
            least = scores.amax(dim=1, keepdim=True) + math.log(self.min_p)
            scores = scores.masked_fill(scores < least, -math.inf)
        numbers = torch.arange(scores.shape[1], device=scores.device) if symbols is None else symbols
        drawn = (scores + gumbel(keys[:, None], numbers)).argmax(dim=1, keepdim=True)
        return drawn if symbols is None else symbols.gather(1, drawn)


class Dice:
    """The keys of one sentence's draws: of the seed, its source (whatever names it), and each sample's number, so that more samples are
    the same ones and some others."""

    def __init__(self, seed: int, source: Sequence[int], samples: int) -> None:
        self._roots = []
        for sample in range(samples):
            text = f"{seed}|{' '.join(map(str, source))}|{sample}"
            self._roots.append(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little"))

    def keys(self, step: int) -> list[int]:
        """A key below 2³² for each sample at a step."""
        return [_mixed_number(root ^ _mixed_number(step + 1)) for root in self._roots]


def gumbel(keys: Tensor, numbers: Tensor) -> Tensor:
    """Gumbel noise for each number under each key: -log(-log u) of a uniform u, the hash of both."""
    bits = _mixed(_mixed(numbers.int() * _signed(0x9E3779B1)) ^ keys)
    uniform = (((bits >> 8) & 0xFFFFFF).float() + 0.5) * 2.0**-24
    # u near 0 stands for 1 - u here, since near 0 floats are finest, and there the winners are
    return -torch.log1p(-uniform).neg().clamp(max=16.0).log()


def _mixed(bits: Tensor) -> Tensor:
    """The finalizer of MurmurHash3 (Appleby, public domain) on int32."""
    bits = (bits ^ ((bits >> 16) & 0xFFFF)) * _signed(0x85EBCA6B)
    bits = (bits ^ ((bits >> 13) & 0x7FFFF)) * _signed(0xC2B2AE35)
    return bits ^ ((bits >> 16) & 0xFFFF)


def _mixed_number(number: int) -> int:
    """As `_mixed`, of one number below 2³²."""
    number &= MASK
    number = ((number ^ (number >> 16)) * 0x85EBCA6B) & MASK
    number = ((number ^ (number >> 13)) * 0xC2B2AE35) & MASK
    return number ^ (number >> 16)


def _signed(number: int) -> int:
    """The number below 2³² with the same bits as a signed one, which is what int32 holds."""
    return number - (1 << 32) if number >= 1 << 31 else number


def as_keys(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Keys (N,) int32 on `device`."""
    return torch.tensor([_signed(number) for number in numbers], dtype=torch.int32, device=device)
