"""The Transformer (Vaswani et al. 2017), with norms before or after each sublayer.

Post-norm, x ← norm(x + sublayer(x)), is the published order; pre-norm, x ← x + sublayer(norm(x)) with one norm at the end, is
steadier without a long warm-up (Xiong et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from seqcli.nn.dropout import Dropout
from seqcli.nn.history import Past
from seqcli.nn.hypotheses import to_hypotheses
from seqcli.nn.layers import FeedForward
from seqcli.nn.masks import lineage_mask
from seqcli.nn.multihead import CrossAttention, SelfAttention
from seqcli.types import Batch, Memory, State


class Residual(nn.Module):
    """A sublayer's norm, dropout and way past it."""

    def __init__(self, width: int, dropout: float, *, pre_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        self.pre_norm = pre_norm

    def forward(self, inputs: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """`inputs (B,T,D)` plus what `sublayer` makes of them."""
        outputs: Tensor
        if self.pre_norm:
            outputs = inputs + self.dropout(sublayer(self.norm(inputs)))
        else:
            outputs = self.norm(inputs + self.dropout(sublayer(inputs)))
        return outputs


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network."""

    def __init__(self, attention: SelfAttention, feed_forward: FeedForward, residuals: list[Residual]) -> None:
        super().__init__()
        self.attention = attention
        self.feed_forward = feed_forward
        self.residuals = nn.ModuleList(residuals)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(B,S,D) with mask (B,S) → (B,S,D)."""
        attended: Tensor = self.residuals[0](inputs, lambda x: self.attention(x, mask))
        outputs: Tensor = self.residuals[1](attended, self.feed_forward)
        return outputs


class DecoderLayer(nn.Module):
    """Causal self-attention, attention over the memory, then a feed-forward network."""

    def __init__(
        self,
        attention: SelfAttention,
        cross_attention: CrossAttention,
        feed_forward: FeedForward,
        residuals: list[Residual],
    ) -> None:
        super().__init__()
        self.attention = attention
        self.cross_attention = cross_attention
        self.feed_forward = feed_forward
        self.residuals = nn.ModuleList(residuals)

    def forward(
        self, inputs: Tensor, memory: tuple[Tensor, Tensor], past: Past, visible: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(R,T,D) over memory (keys and values, mask), behind the past of which they see what is `visible` → (R,T,D), and the past's cells
        with theirs."""
        grown: list[Tensor] = []

        def attend_to_self(x: Tensor) -> Tensor:
            outputs: Tensor
            outputs, present = self.attention.extend(x, past, visible)
            grown.append(present)
            return outputs

        attended = self.residuals[0](inputs, attend_to_self)
        informed = self.residuals[1](attended, lambda x: self.cross_attention(x, *memory))
        outputs: Tensor = self.residuals[2](informed, self.feed_forward)
        return outputs, grown[0]


class TransformerStack(nn.Module):
    """What both stacks share: scaled embeddings with positions below, layers, and a norm above."""

    def __init__(
        self,
        embedding: nn.Embedding,
        positions: nn.Module,
        layers: Sequence[nn.Module],
        norm: nn.Module,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.positions = positions
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        # Vaswani et al. 2017, §3.4: keeps embeddings of variance 1/D from drowning under the positions
        self.scale = math.sqrt(embedding.embedding_dim)

    def embed(self, ids: Tensor, offset: int = 0) -> Tensor:
        """Ids (B,T) at positions offset … offset+T-1 → what the first layer reads, (B,T,D)."""
        embedded: Tensor = self.dropout(self.positions(self.embedding(ids) * self.scale, offset))
        return embedded


class TransformerEncoder(TransformerStack):
    """A stack of encoder layers; the memory is its top, the summary its mean."""

    def forward(self, batch: Batch) -> Memory:
        """Source ids (B,S) → Memory with states (B,S,D)."""
        mask = batch.source_mask
        states = self.embed(batch.source)
        for layer in self.layers:
            states = layer(states, mask)
        states = self.norm(states)
        real = mask[:, :, None].to(states.dtype)
        summary = (states * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
        return Memory(states, mask, summary)


class TransformerDecoder(TransformerStack):
    """A stack of decoder layers; the history holds each layer's keys and values.

    Where there is a `bridge` from the memory's summary, what it makes of that is added to the first symbol: so a question on an image starts
    this decoder as it starts a recurrent one (Yang et al. 2016, §3.3).
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        positions: nn.Module,
        layers: Sequence[nn.Module],
        norm: nn.Module,
        *,
        dropout: float,
        bridge: nn.Linear | None = None,
    ) -> None:
        super().__init__(embedding, positions, layers, norm, dropout=dropout)
        self.bridge = bridge

    def start(self, memory: Memory) -> State:
        """The memory projected for every layer, and an empty past."""
        constants = {"mask": memory.mask}
        if self.bridge is not None:
            constants["start"] = self.bridge(memory.summary[:, -1:])
        for number, layer in enumerate(self.layers):
            constants[f"layers.{number}"] = cast(DecoderLayer, layer).cross_attention.project(memory.states)
        return State(constants, {})

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Ids (R,T) from `state` on → features (R,T,D), and the state after them."""
        hidden, sentences = self.embed(inputs, state.position), state.memory["mask"].shape[0]
        width, length = inputs.shape[0] // sentences, inputs.shape[1]
        if self.bridge is not None and state.position == 0:
            started = hidden[:, :1] + to_hypotheses(state.memory["start"], inputs.shape[0])
            hidden = torch.cat((started, hidden[:, 1:]), dim=1)
        visible = lineage_mask(state.slots(sentences, width, length), width, length)
        history: dict[str, Tensor] = {}
        for number, layer in enumerate(self.layers):
            name = f"layers.{number}"
            past = Past(state.position, sentences, state.history.get(name))
            hidden, history[name] = layer(hidden, (state.memory[name], state.memory["mask"]), past, visible)
        return self.norm(hidden), replace(state, history=history, position=state.position + length)
