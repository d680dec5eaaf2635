"""Multi-head attention (Vaswani et al. 2017, §3.2.2): over oneself, and over a memory.

Both are `scaled_dot_product_attention` between projections; they differ in where keys and values come from and in what is
kept from step to step. Parity with `nn.MultiheadAttention` is tested.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn.dropout import drop_out
from seqcli.nn.layers import SideBySide
from seqcli.nn.masks import causal_mask
from seqcli.nn.positions import rotate
from seqcli.nn.trace import record, tracing


class SelfAttention(nn.Module):
    """Every position asks all positions, or, when `causal`, those up to itself."""

    def __init__(self, width: int, heads: int, *, causal: bool, rotary: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.causal, self.rotary, self.dropout = heads, causal, rotary, dropout
        self.query_key_value = SideBySide(width, width, 3)
        self.output = nn.Linear(width, width)

    def forward(
        self, inputs: Tensor, mask: Tensor | None = None, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Inputs (B,T,D) → outputs (B,T,D), and all keys and values so far, each (B,H,P+T,D/H).

        `mask (B,S)` hides padding (an encoder's); `past` holds the keys and values of the P positions before (a decoder's).
        """
        query, keys, values = (split_heads(part, self.heads) for part in self.query_key_value.split(inputs))
        offset = 0 if past is None else past[0].shape[2]
        if self.rotary:
            query, keys = rotate(query, offset), rotate(keys, offset)
        if past is not None:
            keys, values = torch.cat((past[0], keys), dim=2), torch.cat((past[1], values), dim=2)
        visible = None if mask is None else mask[:, None, None, :]
        if self.causal and inputs.shape[1] > 1:
            causal = causal_mask(inputs.shape[1], offset, inputs.device)
            visible = causal if visible is None else visible & causal
        context = attend(self, query, keys, values, visible, self.dropout)
        return self.output(merge_heads(context)), (keys, values)


class CrossAttention(nn.Module):
    """Every position of one sequence asks a memory."""

    def __init__(self, width: int, memory_size: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = SideBySide(memory_size, width, 2)
        self.output = nn.Linear(width, width)

    def project(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Memory states (B,S,M) → keys and values (B,H,S,D/H), once a sentence."""
        keys, values = self.key_value.split(states)
        return split_heads(keys, self.heads), split_heads(values, self.heads)

    def forward(self, inputs: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Inputs (B,T,D) over projected memory with mask (B,S) → (B,T,D)."""
        query = split_heads(self.query(inputs), self.heads)
        context = attend(self, query, keys, values, mask[:, None, None, :], self.dropout)
        output: Tensor = self.output(merge_heads(context))
        return output


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """(B,T,D) → (B,H,T,D/H)."""
    batch, length, width = vectors.shape
    return vectors.view(batch, length, heads, width // heads).transpose(1, 2)


def merge_heads(vectors: Tensor) -> Tensor:
    """(B,H,T,D/H) → (B,T,D)."""
    return vectors.transpose(1, 2).flatten(2)


def attend(
    module: nn.Module, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """softmax(QKᵀ/√d)V for every head, all (B,H,·,d); `mask` broadcasts to (B,H,T,S).

    The fused kernel gives no weights, so while tracing they are computed by hand and recorded under `module`; and on a CPU it
    knows no dropout.
    """
    rate = dropout if module.training else 0.0
    if not tracing() and (rate == 0.0 or query.device.type != "cpu"):
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, dropout_p=rate)
    scores = query @ keys.transpose(2, 3) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    record(module, weights)
    return drop_out(weights, rate, module.training) @ values
