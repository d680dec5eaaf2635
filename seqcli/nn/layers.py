"""Small layers that several models are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn.dropout import Dropout

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
}


class SideBySide(nn.Linear):
    """Several projections of the same input, kept in one matrix so that they are one product."""

    def __init__(self, input_size: int, output_size: int, parts: int) -> None:
        super().__init__(input_size, parts * output_size)
        self.parts = parts

    def split(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """(…, input_size) → `parts` tensors (…, output_size)."""
        projected: Tensor = self(inputs)
        return projected.chunk(self.parts, dim=-1)


GATES = {"RNN_TANH": 1, "GRU": 3, "LSTM": 4}


def matrices_in(layer: nn.Module) -> int:
    """How many matrices, one below another, each weight of a layer is: gates, which torch keeps in one, or projections `SideBySide`."""
    if isinstance(layer, nn.RNNBase):
        return GATES[layer.mode]
    return layer.parts if isinstance(layer, SideBySide) else 1


def matrices_by_weight(model: nn.Module) -> dict[str, int]:
    """How many matrices each weight of a model is, by its name; those that are one are left out."""
    return {
        f"{place}.{name}" if place else name: count
        for place, layer in model.named_modules()
        if (count := matrices_in(layer)) > 1
        for name, _ in layer.named_parameters(recurse=False)
        if name.startswith("weight")
    }


class FeedForward(nn.Module):
    """W₂·activation(W₁·x), the same at every position (Vaswani et al. 2017, §3.3)."""

    def __init__(self, width: int, hidden_size: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden_size)
        self.outer = nn.Linear(hidden_size, width)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B,T,D) → (B,T,D)."""
        outputs: Tensor = self.outer(self.dropout(self.activation(self.inner(inputs))))
        return outputs


class Readout(nn.Module):
    """tanh(W·[a; b; …]), then dropout: what a recurrent decoder makes of state and context before it names a word.

    Luong et al. 2015, eq. 5 (the attentional state); the deep output of Bahdanau et al. 2015, §A.2.2, with tanh for maxout.
    """

    def __init__(self, input_size: int, output_size: int, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Linear(input_size, output_size, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, *parts: Tensor) -> Tensor:
        """Parts (B,T,·) whose widths add up to input_size → (B,T,output_size)."""
        mixed: Tensor = self.dropout(torch.tanh(self.mix(torch.cat(parts, dim=-1))))
        return mixed
