"""Copies of a model that share what they do not change, to decode with: one beside the other, neither costs the memory of two."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def twin(model: Module) -> Module:
    """A copy of the model whose weights and buffers are the model's own, until they are replaced."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def by_columns(model: Module) -> Module:
    """A copy of the model, to decode with, for which the weights of layers that have more outputs than inputs are laid out column by column.

    A product with a single row of inputs, which greedy search of one sentence is made of, then adds up columns and writes each output once a
    block, in place of a sum across the processor's lanes for each output: measured in docs/performance.md. What comes out differs in the last
    digits at most.
    """
    copied = twin(model)
    for layer in copied.modules():
        if isinstance(layer, nn.Linear) and layer.out_features > layer.in_features:
            layer.weight = nn.Parameter(layer.weight.detach().t().contiguous().t(), requires_grad=False)
    return copied
