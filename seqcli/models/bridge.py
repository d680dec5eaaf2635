"""From what an encoder holds at its end to a recurrent decoder's first state."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from seqcli.nn.recurrence import CellKind, zero_state
from seqcli.types import Memory


class Bridge(Protocol):
    """Makes `hidden (B,L,D)`, and for an LSTM `cell (B,L,D)`, out of a memory."""

    def __call__(self, memory: Memory) -> dict[str, Tensor]:
        """The decoder's first state."""
        ...


class DenseBridge(nn.Module):
    """tanh(W·summary) for every decoder layer (Bahdanau et al. 2015, §A.2.2); an LSTM's cell is W'·cell, or W'·summary where the
    encoder has no cell. Fits any encoder."""

    def __init__(self, kind: CellKind, summary_size: int, layers: int, hidden_size: int) -> None:
        super().__init__()
        self.shape = (layers, hidden_size)
        self.hidden = nn.Linear(summary_size, layers * hidden_size)
        self.cell = nn.Linear(summary_size, layers * hidden_size) if kind == "lstm" else None

    def forward(self, memory: Memory) -> dict[str, Tensor]:
        """From the top row of the summary."""
        top = memory.summary[:, -1]
        state = {"hidden": torch.tanh(self.hidden(top)).view(-1, *self.shape)}
        if self.cell is not None:
            carried = top if memory.cell is None else memory.cell[:, -1]
            state["cell"] = self.cell(carried).view(-1, *self.shape)
        return state


class CopyBridge(nn.Module):
    """The encoder's own states, layer by layer (Sutskever et al. 2014, §2); both sides must be built alike."""

    def forward(self, memory: Memory) -> dict[str, Tensor]:
        """Hidden, and cell where there is one."""
        return {"hidden": memory.summary} if memory.cell is None else {"hidden": memory.summary, "cell": memory.cell}


class ZeroBridge(nn.Module):
    """Zeros: the decoder knows the source only through attention."""

    def __init__(self, kind: CellKind, layers: int, hidden_size: int) -> None:
        super().__init__()
        self.kind, self.layers, self.hidden_size = kind, layers, hidden_size

    def forward(self, memory: Memory) -> dict[str, Tensor]:
        """Zeros of the right shape."""
        return zero_state(self.kind, memory.states.shape[0], self.layers, self.hidden_size, memory.states)
