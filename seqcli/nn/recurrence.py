"""A stack of recurrent layers whose state is an argument, batch-first.

torch keeps states as (L,B,D) and returns them in a shape that depends on the cell. Here they travel as a dictionary of
(B,L,D) tensors, `hidden` and for the LSTM `cell`, so that a `State` can repeat and reorder them like everything else.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

CellKind = Literal["rnn", "lstm", "gru"]


class Recurrence(nn.Module):
    """tanh RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014) over a sequence.

    `dropout` acts between layers. The arithmetic is torch's own kernels; parity is tested sentence by sentence.
    """

    def __init__(
        self,
        kind: CellKind,
        input_size: int,
        hidden_size: int,
        layers: int,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        cell = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind]
        self.kind = kind
        self.layers = layers
        self.stack = cell(
            input_size,
            hidden_size,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
            bidirectional=bidirectional,
        )

    def forward(self, inputs: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Inputs (B,T,E) from `state` on → outputs (B,T,D) of the top layer, and the state after the last input."""
        initial = tuple(part.transpose(0, 1).contiguous() for part in state.values())
        outputs, final = self.stack(inputs, initial if self.kind == "lstm" else initial[0])
        return outputs, self._named(final)

    def read(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Inputs (B,S,E), the first `lengths (B,)` of each row, best told in main memory, → outputs (B,S,D), and each row's state at its own end.

        Packed, so that padding changes nothing and the backward direction starts at each row's last symbol. With two
        directions outputs and states are the two side by side.
        """
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, final = self.stack(packed)
        # put in order here: torch would bring the order to main memory, for lengths that nobody asks for
        unpacked, _ = pad_packed_sequence(
            PackedSequence(outputs.data, outputs.batch_sizes), batch_first=True, total_length=inputs.shape[1]
        )
        return unpacked.index_select(0, outputs.unsorted_indices), self._named(final)

    def _named(self, final: Tensor | tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        if isinstance(final, tuple):
            return {"hidden": self._batch_first(final[0]), "cell": self._batch_first(final[1])}
        return {"hidden": self._batch_first(final)}

    def _batch_first(self, states: Tensor) -> Tensor:
        """(L·directions,B,D) → (B,L,D·directions)."""
        directions = states.shape[0] // self.layers
        batch, width = states.shape[1:]
        by_layer = states.view(self.layers, directions, batch, width)
        return by_layer.permute(2, 0, 1, 3).reshape(batch, self.layers, directions * width)


def zero_state(kind: CellKind, batch: int, layers: int, width: int, like: Tensor) -> dict[str, Tensor]:
    """The state of a recurrence that has read nothing: zeros (B,L,D)."""
    zeros = torch.zeros(batch, layers, width, device=like.device, dtype=like.dtype)
    return {"hidden": zeros, "cell": zeros.clone()} if kind == "lstm" else {"hidden": zeros}
