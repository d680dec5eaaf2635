"""A stack of recurrent layers whose state is an argument, batch-first.

torch keeps states as (L,B,D) and returns them in a shape that depends on the cell. Here they travel as a dictionary of
(B,L,D) tensors, `hidden` and for the LSTM `cell`, so that a `State` can repeat and reorder them like everything else.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqcli.nn.scan import STATES, CellKind, scan


class Recurrence(nn.Module):
    """tanh RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014) over a sequence.

    `dropout` acts between layers. The arithmetic is torch's own kernels, but for padded batches on a CPU, which `scan` reads
    faster; parity is tested sentence by sentence.
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
        """Inputs (B,S,E), the first `lengths (B,)` of each row → outputs (B,S,D), and each row's state at its own end.

        Padding changes nothing, and the backward direction starts at each row's last symbol. With two directions outputs and
        states are the two side by side.
        """
        if inputs.device.type == "cpu":
            return self._scan(inputs, lengths)
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, final = self.stack(packed)
        unpacked, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
        return unpacked, self._named(final)

    def _scan(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """`read` by our own kernel, which wants the longest rows first and time before rows."""
        longest_first = lengths.argsort(descending=True, stable=True)
        as_given, sizes = longest_first.argsort(), lengths[longest_first].tolist()
        outputs = inputs.index_select(0, longest_first).transpose(0, 1)
        final: dict[str, list[Tensor]] = {name: [] for name in STATES[self.kind]}
        directions = self._directions
        for layer in range(self.layers):
            if layer:
                outputs = F.dropout(outputs, self.stack.dropout, self.training)
            walks = [
                scan(self.kind, outputs, self.stack.all_weights[layer * directions + side], sizes, backwards=side == 1)
                for side in range(directions)
            ]
            outputs, *states = (torch.cat(parts, dim=-1) for parts in zip(*walks, strict=True))
            for name, state in zip(final, states, strict=True):
                final[name].append(state.index_select(0, as_given))
        in_order = outputs.index_select(1, as_given).transpose(0, 1)
        return in_order, {name: torch.stack(layers, dim=1) for name, layers in final.items()}

    @property
    def _directions(self) -> int:
        return 2 if self.stack.bidirectional else 1

    def _named(self, final: Tensor | tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        parts = final if isinstance(final, tuple) else (final,)
        return {name: self._batch_first(part) for name, part in zip(STATES[self.kind], parts, strict=True)}

    def _batch_first(self, states: Tensor) -> Tensor:
        """(L·directions,B,D) → (B,L,D·directions)."""
        batch, width = states.shape[1:]
        by_layer = states.view(self.layers, self._directions, batch, width)
        return by_layer.permute(2, 0, 1, 3).reshape(batch, self.layers, self._directions * width)


def zero_state(kind: CellKind, batch: int, layers: int, width: int, like: Tensor) -> dict[str, Tensor]:
    """The state of a recurrence that has read nothing: zeros (B,L,D)."""
    zeros = torch.zeros(batch, layers, width, device=like.device, dtype=like.dtype)
    return {"hidden": zeros, "cell": zeros.clone()} if kind == "lstm" else {"hidden": zeros}
