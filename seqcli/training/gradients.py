"""How long gradients are, the whole and each part of the model by itself, and how a long one is shortened."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from seqcli.training.sharding import local

LAYER = re.compile(r"\blayers\.(\d+)\.|_l(\d+)(?:_reverse)?$")
"""A layer's number in a parameter's name: of a Transformer or a feed-forward stack, or as torch writes it in recurrent ones."""

SIDE = re.compile(r"encoder\.(?:image|text)(?=\.)|[^.]+")
"""The encoder, or each of two, the decoder, the output layer, the gate between writing and copying."""


def part_of(name: str) -> str:
    """The part of the model that a parameter belongs to: `encoder.layers.0`, `encoder.image.stages`, `decoder.embedding`, `output`.

    The two directions of a recurrent layer are one part. A tied table goes by its first name, the encoder's.
    """
    whole = SIDE.match(name)
    assert whole is not None
    side, rest = whole[0], name[whole.end() + 1 :].split(".")
    layer = LAYER.search(name)
    return ".".join([side, "layers", layer[1] or layer[2]] if layer else [side, *rest[:-1][:1]])


def gradient_norms(model: nn.Module) -> dict[str, Tensor]:
    """The length of each parameter's gradient, or of this process's stripe of it, by the parameter's name, where it has one."""
    return {
        name: torch.linalg.vector_norm(local(parameter.grad))
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def joint_norm(norms: Iterable[Tensor]) -> Tensor:
    """The length of several gradients as one vector, from the length of each."""
    joint: Tensor = torch.linalg.vector_norm(torch.stack(list(norms)))
    return joint


def norms_by_part(norms: dict[str, Tensor]) -> dict[str, Tensor]:
    """The length of the gradient of each part of the model, from those of its parameters."""
    parts: dict[str, list[Tensor]] = {}
    for name, norm in norms.items():
        parts.setdefault(part_of(name), []).append(norm)
    return {part: joint_norm(those) for part, those in parts.items()}


def clip_gradient(model: nn.Module, norm: float, clip_norm: float | None) -> None:
    """Shorten the gradient of all parameters together, which is `norm` long, to `clip_norm` (Pascanu et al. 2013, algorithm 1)."""
    if clip_norm is not None and norm > clip_norm:
        multiply_gradient(model, clip_norm / norm)


def multiply_gradient(model: nn.Module, factor: float) -> None:
    """Multiply the gradient of every parameter that has one."""
    gradients = [local(parameter.grad) for parameter in model.parameters() if parameter.grad is not None]
    torch._foreach_mul_(gradients, factor)
