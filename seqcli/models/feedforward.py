"""The vanilla baseline: feed-forward networks over a fixed window of positions.

They show what a network without memory can and cannot do with sequences. The encoder puts the embeddings of its window side by
side and passes them through dense layers, so every position has weights of its own, nothing is shared along the sequence, and
symbols beyond the window do not exist for it. The decoder answers all positions at once, none knowing what the others say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn.dropout import Dropout
from seqcli.nn.hypotheses import to_hypotheses
from seqcli.types import Batch, Memory, State


class DenseStack(nn.Module):
    """Dense layers of one width, each followed by the nonlinearity and dropout."""

    def __init__(
        self, input_size: int, hidden_size: int, layers: int, activation: Callable[[Tensor], Tensor], dropout: float
    ) -> None:
        super().__init__()
        sizes = [input_size] + [hidden_size] * layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.activation = activation
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B,·) → (B,hidden_size)."""
        for layer in self.layers:
            inputs = self.dropout(self.activation(layer(inputs)))
        return inputs


class FeedforwardEncoder(nn.Module):
    """A window of embeddings side by side → dense layers → one vector, and from it one state a position."""

    def __init__(
        self, embedding: nn.Embedding, stack: DenseStack, window: int, hidden_size: int, *, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.embedding_dropout = Dropout(dropout)
        self.stack = stack
        self.window = window
        self.states = nn.Linear(hidden_size, window * hidden_size)

    def forward(self, batch: Batch) -> Memory:
        """Source ids (B,S) → Memory with states (B,min(S,window),D); what lies beyond is not seen."""
        seen, visible = batch.source[:, : self.window], batch.source_mask[:, : self.window]
        embedded = self.embedding_dropout(self.embedding(seen)) * visible[:, :, None]
        # an absent symbol is a zero vector, whether the batch has a cell for it or not
        filled = F.pad(embedded, (0, 0, 0, self.window - seen.shape[1]))
        summary = self.stack(filled.flatten(1))
        states = self.states(summary).unflatten(1, (self.window, -1))[:, : seen.shape[1]]
        return Memory(states, visible, summary[:, None])


class FeedforwardDecoder(nn.Module):
    """The encoder's summary → dense layers → the features of every target position at once.

    It does not read the target: position t is answered without knowing what was said before. Positions beyond the window all
    get the last one's answer.
    """

    def __init__(self, stack: DenseStack, window: int, hidden_size: int) -> None:
        super().__init__()
        self.stack = stack
        self.window = window
        self.positions = nn.Linear(hidden_size, window * hidden_size)

    def start(self, memory: Memory) -> State:
        """All answers, (B,window,D), before the first question."""
        hidden = self.stack(memory.summary[:, -1])
        return State({"answers": self.positions(hidden).unflatten(1, (self.window, -1))}, {})

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Ids (R,T), of which only the number counts → features (R,T,D) of the next T positions."""
        end = state.position + inputs.shape[1]
        answers = state.memory["answers"]
        rows = torch.arange(state.position, end, device=answers.device).clamp(max=self.window - 1)
        return to_hypotheses(answers.index_select(1, rows), inputs.shape[0]), replace(state, position=end)
