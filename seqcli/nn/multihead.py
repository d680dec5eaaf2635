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
from seqcli.nn.history import Past
from seqcli.nn.hypotheses import by_sentence
from seqcli.nn.layers import SideBySide
from seqcli.nn.positions import RelativePositions, rotate
from seqcli.nn.trace import record, tracing


class SelfAttention(nn.Module):
    """Every position asks all positions, or, where there is a history, those that it comes from."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        rotary: bool = False,
        relative: RelativePositions | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.rotary, self.relative, self.dropout = heads, rotary, relative, dropout
        self.query_key_value = SideBySide(width, width, 3)
        self.output = nn.Linear(width, width)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """An encoder's inputs (B,T,D), of which `mask (B,T)` hides the padding → (B,T,D)."""
        query, keys, values = (split_heads(part, self.heads) for part in self.query_key_value.split(inputs))
        if self.rotary:
            query, keys = rotate(query), rotate(keys)
        context = attend(self, query, keys, values, mask[:, None, None, :], self.dropout, self._bias(query, 0, 1))
        output: Tensor = self.output(merge_heads(context))
        return output

    def extend(self, inputs: Tensor, past: Past, visible: Tensor | None) -> tuple[Tensor, Tensor]:
        """A decoder's inputs (R,T,D) at the positions behind the `past`, seeing of it and of themselves what `visible`
        (A,1,K·T,S·K) says, all if None → (R,T,D), and the past's keys and values, side by side, with theirs: (A,C,K,2·D)."""
        query, keys_values = self._projected(inputs, past.position)
        cells = past.extended(keys_values)
        seen = cells[:, : past.position + inputs.shape[1]].flatten(1, 2)
        query = split_heads(by_sentence(query, past.sentences), self.heads)
        keys, values = (split_heads(part, self.heads) for part in seen.chunk(2, dim=-1))
        bias = self._bias(query, past.position, cells.shape[2])
        context = attend(self, query, keys, values, visible, self.dropout, bias)
        return self.output(merge_heads(context).view(inputs.shape)), cells

    def _bias(self, query: Tensor, position: int, slots: int) -> Tensor | None:
        """What relative positions add to the scores (A,H,K·T,S·K) of queries (A,H,K·T,d) of K = `slots` hypotheses, behind `position`
        positions; None where there are none."""
        if self.relative is None:
            return None
        places = torch.arange(position + query.shape[2] // slots, device=query.device)
        bias: Tensor = self.relative(query, places[position:].repeat(slots), places.repeat_interleave(slots))
        return bias

    def _projected(self, inputs: Tensor, offset: int) -> tuple[Tensor, Tensor]:
        """The queries (R,T,D), and the keys and values side by side (R,T,2·D)."""
        width = inputs.shape[-1]
        if not self.rotary:
            projected: Tensor = self.query_key_value(inputs)
            return projected[..., :width], projected[..., width:]
        query, keys, values = self.query_key_value.split(inputs)
        query, keys = (merge_heads(rotate(split_heads(part, self.heads), offset)) for part in (query, keys))
        return query, torch.cat((keys, values), dim=-1)


class CrossAttention(nn.Module):
    """Every position of one sequence asks a memory."""

    def __init__(self, width: int, memory_size: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = SideBySide(memory_size, width, 2)
        self.output = nn.Linear(width, width)

    def project(self, states: Tensor) -> Tensor:
        """Memory states (A,S,M) → keys and values side by side (A,S,2·D), once a sentence."""
        projected: Tensor = self.key_value(states)
        return projected

    def forward(self, inputs: Tensor, keys_values: Tensor, mask: Tensor) -> Tensor:
        """Inputs (R,T,D), those of a sentence side by side, over the projected memory of A sentences with mask (A,S) → (R,T,D)."""
        query = split_heads(by_sentence(self.query(inputs), keys_values.shape[0]), self.heads)
        keys, values = (split_heads(part, self.heads) for part in keys_values.chunk(2, dim=-1))
        context = attend(self, query, keys, values, mask[:, None, None, :], self.dropout)
        output: Tensor = self.output(merge_heads(context).view(inputs.shape))
        return output


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """(B,T,D) → (B,H,T,D/H)."""
    batch, length, width = vectors.shape
    return vectors.view(batch, length, heads, width // heads).transpose(1, 2)


def merge_heads(vectors: Tensor) -> Tensor:
    """(B,H,T,D/H) → (B,T,D)."""
    return vectors.transpose(1, 2).flatten(2)


def attend(
    module: nn.Module,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    dropout: float,
    bias: Tensor | None = None,
) -> Tensor:
    """softmax(QKᵀ/√d + bias)V for every head, all (B,H,·,d); `mask` broadcasts to the shape of a `bias`, (B,H,T,S).

    The fused kernel gives no weights, so while tracing they are computed by hand and recorded under `module`; and on a CPU it
    knows no dropout.
    """
    if bias is not None and mask is not None:
        bias = bias.masked_fill(~mask, float("-inf"))
    rate = dropout if module.training else 0.0
    if not tracing(module) and (rate == 0.0 or query.device.type != "cpu"):
        return F.scaled_dot_product_attention(
            query, keys, values, attn_mask=mask if bias is None else bias, dropout_p=rate
        )
    scores = query @ keys.transpose(2, 3) / math.sqrt(query.shape[-1])
    if bias is not None:
        scores = scores + bias
    elif mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    record(module, weights)
    return drop_out(weights, rate, module.training) @ values
