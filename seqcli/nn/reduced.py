"""A copy of a model to decode with, whose matrix products are in 16 bits, on processors that have a unit for them; all else, and all sums, stay
in float32.

A product's factors are rounded to bfloat16, which has the exponents of float32 and 8 bits of its digits; it is summed up in float32 by the unit
itself, and what comes out is rounded once more. Whether that is faster depends on the processor: `pays` measures it.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqcli.nn.twin import Module, twin

Precision = Literal["float32", "bf16", "auto"]
NARROW = 16
"""Layers with fewer inputs or outputs stay as they are: there is nothing to win."""
WORTHWHILE = 1.5
"""How many times as fast products must be."""


def reduced(model: Module, dtype: torch.dtype = torch.bfloat16) -> Module:
    """A copy of a model, to decode with, whose linear and recurrent layers work in `dtype`, and take and give float32.

    Everything else, embeddings and norms among it, is shared with the model.
    """
    copied = twin(model)
    for module in copied.modules():
        if isinstance(module, nn.RNNBase) or (isinstance(module, nn.Linear) and min(module.weight.shape) >= NARROW):
            _work_in(module, dtype)
    return copied


def narrowed(layer: nn.Linear, rows: Tensor) -> nn.Linear:
    """The layer that has only some of a layer's outputs, `rows (U,)`, and works in the type that it works in."""
    part = nn.Linear(layer.in_features, len(rows), bias=layer.bias is not None, device="meta")
    part.weight = nn.Parameter(layer.weight[rows], requires_grad=False)
    if layer.bias is not None:
        part.bias = nn.Parameter(layer.bias[rows], requires_grad=False)
    if layer.weight.dtype != torch.float32:
        _work_in(part, layer.weight.dtype)
    return part


def _work_in(module: nn.Module, dtype: torch.dtype) -> None:
    """Give a layer weights of its own in `dtype`, and cast what it takes and gives."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        setattr(module, name, nn.Parameter(parameter.detach().to(dtype), requires_grad=False))
    module.register_forward_pre_hook(lambda _, inputs: _cast(inputs, dtype))
    module.register_forward_hook(lambda _module, _inputs, outputs: _cast(outputs, torch.float32))


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """All that is a float in a tensor, a packed sequence, or a tuple of them."""
    if isinstance(value, PackedSequence):
        return value.to(dtype)
    if isinstance(value, tuple):
        return tuple(_cast(part, dtype) for part in value)
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def reduces(precision: Precision, device: torch.device) -> bool:
    """Whether products are to be in 16 bits, on this device."""
    return precision == "bf16" or (precision == "auto" and pays(device))


@cache
def pays(device: torch.device, *, rows: int = 320, width: int = 512, rounds: int = 5) -> bool:
    """Whether products in bfloat16 are at least `WORTHWHILE` times as fast as in float32 here and now, by the best of some rounds of
    (rows,width)·(width,width): some milliseconds' work."""
    exact, rounded = (_seconds(dtype, device, rows, width, rounds) for dtype in (torch.float32, torch.bfloat16))
    return exact > WORTHWHILE * rounded


def _seconds(dtype: torch.dtype, device: torch.device, rows: int, width: int, rounds: int) -> float:
    inputs = torch.ones(rows, width, dtype=dtype, device=device)
    # not a layer: its weights would be drawn from the generator that training draws from
    weight = torch.ones(width, width, dtype=dtype, device=device)
    taken = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            start = time.perf_counter()
            # what is read from it has been computed, on every kind of device
            float(F.linear(inputs, weight)[0, 0])
            taken.append(time.perf_counter() - start)
    return min(taken[1:])
