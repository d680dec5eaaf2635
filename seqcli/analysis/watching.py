"""Every nonlinearity of a model in one pass: what it was given and what came out, with the graph still attached.

Hooks do it, so the model's own code knows nothing of being watched. A recurrent stack's output is replaced by the same computed
step by step (`nn.unrolled`), because torch's kernels keep their gates to themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from seqcli.models.bridge import DenseBridge
from seqcli.models.feedforward import DenseStack
from seqcli.models.transformer import DecoderLayer, EncoderLayer
from seqcli.models.vision import GridMemory, ResidualBlock
from seqcli.nn.layers import ACTIVATIONS, FeedForward, Readout
from seqcli.nn.unrolled import BLOCKS, CANDIDATE, GATES, Unrolled, UnrolledLayer, cell_kind, stepwise

LINEAR = "linear"
"""The nonlinearity of what has none: a sum, such as a Transformer layer's output, or a recurrent state that is a product."""

Incoming = tuple[Tensor, Tensor | None]
"""The weights (units,inputs) that come into some units, and their biases (units,·)."""


@dataclass
class Place:
    """Where a nonlinearity acts.

    `name` is for people, `chain` is that of the stack whose layer number `depth` it is, from 0. Of a recurrent layer it is one `part`, a gate
    or a state, in one direction. `pre` and `post` are the tensors of the computation, each (B,D) of one step, or (B,T,D). `incoming` is
    what comes into its units, where they have weights of their own. `reads` is "source" or "target", whose
    positions the steps are, "" for neither.
    """

    name: str
    chain: str
    depth: int
    nonlinearity: str
    incoming: Incoming | None
    reads: str
    part: str = ""
    backward: bool = False
    pre: list[Tensor] = field(default_factory=list)
    post: list[Tensor] = field(default_factory=list)


def side_by_side(tensors: list[Tensor]) -> Tensor:
    """Steps (B,D) and stretches (B,T,D) or (N,C,h,w) one after the other, (B,T,D)."""
    return torch.cat([_stretch(tensor) for tensor in tensors], dim=1)


def _stretch(tensor: Tensor) -> Tensor:
    if tensor.dim() == 4:
        return tensor.flatten(2).transpose(1, 2)
    return tensor[:, None] if tensor.dim() == 2 else tensor


@contextmanager
def watch(model: nn.Module) -> Iterator[dict[str, Place]]:
    """Within this block the passes of `model`, in evaluation mode, leave their nonlinearities in the dictionary, by name."""
    places: dict[str, Place] = {}
    handles = []
    grids = [name for name, module in model.named_modules() if isinstance(module, GridMemory)]
    for name, module in model.named_modules():
        side = _side(name)
        reads = "" if name.startswith(tuple(grids)) else {"decoder": "target"}.get(side, "source")
        for watched, hook in _hooks(module, name, side, reads, places):
            handles.append(watched.register_forward_hook(hook))
    try:
        yield places
    finally:
        for handle in handles:
            handle.remove()


Hook = Callable[..., Any]


def _hooks(
    module: nn.Module, name: str, side: str, reads: str, places: dict[str, Place]
) -> Iterator[tuple[nn.Module, Hook]]:
    number = _number(name)
    if isinstance(module, DenseStack):
        for depth, layer in enumerate(module.layers):
            about = (f"{side} layer {depth + 1}", side, depth, _name_of(module.activation))
            yield layer, _before(module.activation, Place(*about, _incoming(layer), ""), places)
    elif isinstance(module, FeedForward):
        chain = f"{side} feed-forward"
        about = (f"{side} layer {number + 1} feed-forward", chain, number, _name_of(module.activation))
        yield module.inner, _before(module.activation, Place(*about, _incoming(module.inner), reads), places)
    elif isinstance(module, (EncoderLayer, DecoderLayer)):
        yield module, _after(Place(f"{side} layer {number + 1}", side, number, LINEAR, None, reads), places)
    elif isinstance(module, Readout):
        about = ("readout", "readout", 0, "tanh")
        yield module.mix, _before(torch.tanh, Place(*about, _incoming(module.mix), reads), places)
    elif isinstance(module, DenseBridge):
        about = ("bridge", "bridge", 0, "tanh")
        yield module.hidden, _before(torch.tanh, Place(*about, _incoming(module.hidden), ""), places)
    elif isinstance(module, ResidualBlock):
        about = (f"{side} block {number + 1}", side, number, "relu")
        yield module.first_norm, _before(torch.relu, Place(*about, None, ""), places)
    elif isinstance(module, nn.RNNBase):
        yield module, stepwise(_keeping(module, side, reads, places))


def _before(activation: Callable[[Tensor], Tensor], place: Place, places: dict[str, Place]) -> Hook:
    """A hook on what computes the pre-activation; the activation is put on once more, to be seen without dropout."""

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        kept = places.setdefault(place.name, place)
        kept.pre.append(output)
        kept.post.append(activation(output))

    return hook


def _after(place: Place, places: dict[str, Place]) -> Hook:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        kept = places.setdefault(place.name, place)
        kept.post.append(output[0] if isinstance(output, tuple) else output)

    return hook


def _keeping(stack: nn.RNNBase, side: str, reads: str, places: dict[str, Place]) -> Callable[[Unrolled], None]:
    def keep(taken: Unrolled) -> None:
        for layer in taken.layers:
            _keep(stack, layer, side, reads, places)

    return keep


def _keep(stack: nn.RNNBase, layer: UnrolledLayer, side: str, reads: str, places: dict[str, Place]) -> None:
    """Put the parts of one recurrent layer with those of the calls before."""
    kind = cell_kind(stack)
    way = " backward" if layer.backward else ""
    for part, values in layer.parts.items():
        name, chain = f"{side} layer {layer.number + 1}{way} {part}", f"{side}{way} {part}"
        if part in GATES[kind]:
            nonlinearity = "sigmoid"
        else:
            nonlinearity = "tanh" if part in (CANDIDATE[kind], "cell") else LINEAR
        incoming = None if part == "cell" else _recurrent_weights(stack, layer, part)
        place = Place(name, chain, layer.number, nonlinearity, incoming, reads, part, layer.backward)
        kept = places.setdefault(name, place)
        kept.pre += values.pre
        kept.post += values.post


def _recurrent_weights(stack: nn.RNNBase, layer: UnrolledLayer, part: str) -> Incoming:
    """What comes into each unit of a gate from below and from the step before; into an LSTM's or GRU's state, of all gates side by side."""
    ending = f"_l{layer.number}{'_reverse' if layer.backward else ''}"
    inputs, states, *biases = (
        getattr(stack, f"{one}{ending}") for one in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    found = []
    for rows in (torch.cat((inputs, states), dim=1), torch.stack(biases, dim=1)):
        blocks = dict(zip(BLOCKS[cell_kind(stack)], torch.split(rows, stack.hidden_size), strict=True))
        found.append(blocks[part] if part in blocks else torch.cat(list(blocks.values()), dim=1))
    return found[0], found[1]


def _incoming(layer: nn.Module) -> Incoming:
    linear = cast(nn.Linear, layer)
    return linear.weight, None if linear.bias is None else linear.bias[:, None]


def _side(name: str) -> str:
    """encoder, decoder, or which of an encoder's two."""
    parts = name.split(".")
    return " ".join(parts[:2]) if parts[:2] in (["encoder", "image"], ["encoder", "text"]) else parts[0]


def _number(name: str) -> int:
    """The last number in a module's name, its place in its stack."""
    numbers = [int(part) for part in name.split(".") if part.isdecimal()]
    return numbers[-1] if numbers else 0


def _name_of(activation: Callable[[Tensor], Tensor]) -> str:
    return next((name for name, known in ACTIVATIONS.items() if known is activation), LINEAR)
