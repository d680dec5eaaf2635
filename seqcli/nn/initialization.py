"""What weights are before the first step.

Weights start as small random numbers around 0: equal weights would learn the same thing for ever, large ones saturate tanh and
sigmoid, and the variance that keeps signals alive through a layer is known (Glorot & Bengio 2010; He et al. 2015; Saxe et al.
2014).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqcli.nn.batch_norm import BatchNorm
from seqcli.nn.layers import matrices_in
from seqcli.nn.recurrence import Recurrence


def initialize(
    model: nn.Module,
    *,
    weights: str,
    recurrent: str,
    embeddings: str,
    scale: float | None = None,
    recurrent_radius: float | None = None,
    forget_bias: float = 1.0,
) -> None:
    """Fill the parameters of `model` in place; those of other layers than are named here keep what these have given them.

    Matrices from state to state follow `recurrent`, embeddings (learned positions too) `embeddings`, other matrices `weights`;
    with a `recurrent_radius`, the former are then scaled to this spectral radius (Pascanu et al. 2013, §2.1). Norms start at 1, biases at 0, an
    LSTM's forget gates at `forget_bias`. Gates that torch keeps in one matrix, and the fused query-key-value projection, are filled one by
    one: what counts is the width of each. Draws from torch's global generator.
    """
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            fill(module.weight, embeddings, scale, width=module.embedding_dim)
        elif isinstance(module, nn.Linear):
            for block in module.weight.data.chunk(matrices_in(module)):
                fill(block, weights, scale)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            # a kernel is a matrix from all that it sees to its channels
            fill(module.weight.data.flatten(1), weights, scale)
        elif isinstance(module, (nn.LayerNorm, BatchNorm)):
            module.reset_parameters()
        elif isinstance(module, Recurrence):
            _fill_recurrence(module, weights, recurrent, scale, recurrent_radius, forget_bias)


def fill(weight: Tensor, kind: str, scale: float | None, width: int | None = None) -> None:
    """Fill one matrix in place; `scale` is normal's standard deviation, uniform's bound, constant's value, and the gain of the others."""
    gain = 1.0 if scale is None else scale
    # init's functions look at the shape alone, so a view of rows is filled like a matrix of its own
    if kind == "xavier_uniform":
        nn.init.xavier_uniform_(weight, gain)
    elif kind == "xavier_normal":
        nn.init.xavier_normal_(weight, gain)
    elif kind == "he_uniform":
        nn.init.uniform_(weight, -(bound := gain * math.sqrt(6 / weight.shape[1])), bound)
    elif kind == "he_normal":
        nn.init.normal_(weight, 0.0, gain * math.sqrt(2 / weight.shape[1]))
    elif kind == "orthogonal":
        nn.init.orthogonal_(weight, gain)
    elif kind == "normal":
        nn.init.normal_(weight, 0.0, (width or weight.shape[1]) ** -0.5 if scale is None else scale)
    elif kind == "uniform":
        bound = 0.1 if scale is None else scale
        nn.init.uniform_(weight, -bound, bound)
    elif kind == "constant":
        # 1/width: each unit gets the mean of its inputs, so that nothing saturates and only the symmetry is to blame
        nn.init.constant_(weight, 1 / (width or weight.shape[1]) if scale is None else scale)
    elif kind == "zeros":
        nn.init.zeros_(weight)
    else:
        raise ValueError(f"unknown initialisation {kind!r}")


def scale_to_radius(matrix: Tensor, radius: float) -> None:
    """Scale a square matrix in place so that its largest eigenvalue, by absolute value, is `radius`.

    ValueError for a matrix whose eigenvalues are all 0: no multiple of it has another radius.
    """
    largest = float(torch.linalg.eigvals(matrix.double()).abs().max())
    if largest == 0.0:
        raise ValueError("a matrix with no eigenvalue but 0 cannot be scaled to a spectral radius")
    matrix.mul_(radius / largest)


def _fill_recurrence(
    module: Recurrence, weights: str, recurrent: str, scale: float | None, radius: float | None, forget_bias: float
) -> None:
    hidden = module.stack.hidden_size
    for name, parameter in module.stack.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            # torch adds two biases; the forget gate is the second of four (input, forget, cell, output)
            if module.kind == "lstm" and name.startswith("bias_ih"):
                parameter.data[hidden : 2 * hidden] = forget_bias
        else:
            from_state = name.startswith("weight_hh")
            for gate in parameter.data.chunk(matrices_in(module.stack)):
                fill(gate, recurrent if from_state else weights, scale)
                if from_state and radius is not None:
                    scale_to_radius(gate, radius)
