"""What the loss of the last target step feels of every state before it: ∂loss_T/∂h_t (Bengio et al. 1994; Pascanu et al. 2013)."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.analysis.flow import Chain, GradientFlow, RecurrentMatrix
from seqcli.errors import SeqcliError
from seqcli.models.seq2seq import Seq2Seq
from seqcli.models.transformer import TransformerStack
from seqcli.nn.recurrence import Recurrence
from seqcli.nn.trace import trace_attention
from seqcli.nn.unrolled import BLOCKS, trace_recurrences
from seqcli.types import Batch

JACOBIAN_EXAMPLES = 2
ROWS = 64
"""Rows of a Jacobian that are computed side by side."""

Side = Literal["encoder", "decoder"]


@dataclass(frozen=True)
class States:
    """One layer's states of one pass: (B,T,D) each, or, where they were made one by one, T of (B,D)."""

    side: Side
    layer: int
    backward: bool
    tensors: list[Tensor]

    def norms(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """The length of the gradient by each state, (B,T)."""
        lengths: Tensor = torch.linalg.vector_norm(self.joined(gradients), dim=-1)
        return lengths

    def joined(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """The gradients of the states, (B,T,D); 0 where none comes."""
        filled = [
            torch.zeros_like(state) if gradient is None else gradient
            for state, gradient in zip(self.tensors, gradients, strict=True)
        ]
        return filled[0] if len(filled) == 1 and filled[0].ndim == 3 else torch.stack(filled, dim=1)

    @property
    def length(self) -> int:
        """How many states there are, T."""
        return self.tensors[0].shape[1] if self.tensors[0].ndim == 3 else len(self.tensors)

    def last(self) -> Tensor:
        """The state of the last position, (B,D)."""
        return self.tensors[0][:, -1] if self.tensors[0].ndim == 3 else self.tensors[-1]


def measure_gradients(model: Seq2Seq, batch: Batch, *, step: int, jacobians: bool = True) -> GradientFlow:
    """The gradient by every state of `model` on `batch`, whose sources are of one length, and whose targets are, so that nothing is padded.

    In float64 and without dropout, on a copy; the model stays as it is. Without `jacobians` these have no rows. `SeqcliError` for a
    model without states: a feed-forward decoder answers at all positions at once.
    """
    if not bool(batch.source_mask.all()) or batch.target_tokens != batch.labels.numel():
        raise ValueError(
            "gradients are compared state by state, so all sources, and all targets, must be of one length"
        )
    twin = copy.deepcopy(model).to("cpu", torch.float64).eval()
    batch = _in_float64(batch)
    loss, states = loss_and_states(twin, batch)
    gradients = _gradients(loss.sum(), states)
    found = _jacobians(twin, batch) if jacobians else [torch.zeros(0, each.length) for each in states]
    target_length = batch.labels.shape[1]
    chains = tuple(
        Chain(
            each.side,
            each.layer,
            each.backward,
            _steps_back(each, target_length),
            each.norms(part).numpy(),
            jacobian.double().numpy(),
        )
        for each, part, jacobian in zip(states, gradients, found, strict=True)
    )
    return GradientFlow(
        describe(model),
        step,
        batch.source.shape[1],
        target_length,
        len(batch.index),
        float(loss.detach().mean()),
        chains,
        recurrent_matrices(twin),
    )


def loss_and_states(model: Seq2Seq, batch: Batch) -> tuple[Tensor, list[States]]:
    """The loss of the last target step of each row, (B,), in nats, and all states that it is made of, lowest layer first."""
    with traced(model) as states:
        scores = model.logits(batch)[:, -1]
    if not any(each.side == "decoder" for each in states):
        raise SeqcliError("this model has no states from step to step: its decoder is feed-forward")
    return F.cross_entropy(scores, batch.labels[:, -1], reduction="none"), states


@contextmanager
def traced(model: Seq2Seq) -> Iterator[list[States]]:
    """Collect the states of the pass inside the block, attached to their graph; the list is filled when the block ends.

    Attention is computed explicitly, since it is differentiated in float64 on a CPU.
    """
    found: list[States] = []
    transformers = [
        (_side_of(name), module) for name, module in model.named_modules() if isinstance(module, TransformerStack)
    ]
    outputs_of: dict[nn.Module, list[Tensor]] = {}

    def keep(module: nn.Module, inputs: object, outputs: Tensor | tuple[Tensor, object]) -> None:
        outputs_of.setdefault(module, []).append(outputs[0] if isinstance(outputs, tuple) else outputs)

    with ExitStack() as stack:
        stack.enter_context(trace_attention(model))
        recurrences = stack.enter_context(trace_recurrences(model))
        for _, transformer in transformers:
            for module in (transformer.dropout, *transformer.layers):
                stack.callback(module.register_forward_hook(keep).remove)
        yield found
    for name, layers in recurrences.items():
        found += [States(_side_of(name), each.number + 1, each.backward, each.parts["hidden"].post) for each in layers]
    for side, transformer in transformers:
        for number, module in enumerate((transformer.dropout, *transformer.layers)):
            found.append(States(side, number, False, outputs_of[module]))


def _side_of(name: str) -> Side:
    return "encoder" if name.startswith("encoder") else "decoder"


def _gradients(value: Tensor, states: Sequence[States]) -> list[list[Tensor | None]]:
    """∂value/∂ every state, layer by layer."""
    flat = [tensor for each in states for tensor in each.tensors]
    gradients = iter(torch.autograd.grad(value, flat, allow_unused=True))
    return [list(itertools.islice(gradients, len(each.tensors))) for each in states]


def _jacobians(model: Seq2Seq, batch: Batch) -> list[Tensor]:
    """‖∂h_T/∂h_t‖₂ of every state, (M,T) a layer, h_T being the last state of the decoder's top layer.

    An example is passed once for each row of its Jacobian, all side by side, and each pass asks for the gradient of its own component.
    """
    examples = []
    width = _last_state(loss_and_states(model, batch.select(torch.tensor([0])))[1]).shape[1]
    for row in range(min(JACOBIAN_EXAMPLES, len(batch.index))):
        parts: list[list[Tensor]] = []
        for start in range(0, width, ROWS):
            rows = torch.arange(start, min(start + ROWS, width))
            _, states = loss_and_states(model, batch.select(torch.full_like(rows, row)))
            components = _last_state(states)[torch.arange(len(rows)), rows].sum()
            gradients = _gradients(components, states)
            parts.append([each.joined(part) for each, part in zip(states, gradients, strict=True)])
        # (D,T,D) a layer: which component of h_T, of which state, by which of its components
        whole = [torch.cat(layer) for layer in zip(*parts, strict=True)]
        examples.append([torch.linalg.matrix_norm(layer.transpose(0, 1), ord=2) for layer in whole])
    return [torch.stack(layer) for layer in zip(*examples, strict=True)]


def _last_state(states: Sequence[States]) -> Tensor:
    """The last state of the decoder's top layer, (B,D)."""
    return [each for each in states if each.side == "decoder"][-1].last()


def _steps_back(states: States, target_length: int) -> NDArray[np.int64]:
    """Steps from each state to the last one of the decoder."""
    places = np.arange(states.length)
    if states.side == "decoder":
        return target_length - 1 - places
    return target_length + (places if states.backward else states.length - 1 - places)


def recurrent_matrices(model: nn.Module) -> tuple[RecurrentMatrix, ...]:
    """Spectral radius and largest singular value of the matrix from state to state of each gate and candidate of each recurrent layer."""
    found = []
    for name, module in model.named_modules():
        if not isinstance(module, Recurrence):
            continue
        side = name.removesuffix(".recurrence")
        for parameter, matrix in module.stack.named_parameters():
            if not parameter.startswith("weight_hh"):
                continue
            layer, _, backward = parameter.removeprefix("weight_hh_l").partition("_")
            where = f"{side} layer {int(layer) + 1}{', backward' if backward else ''}"
            gates = matrix.detach().double().split(module.stack.hidden_size)
            for gate, square in zip(BLOCKS[module.kind], gates, strict=True):
                radius = float(torch.linalg.eigvals(square).abs().max())
                found.append(RecurrentMatrix(where, gate, radius, float(torch.linalg.matrix_norm(square, ord=2))))
    return tuple(found)


def describe(model: Seq2Seq) -> str:
    """What the model is, in words: `bidirectional gru → gru + attention`."""
    return f"{_describe_side(model.encoder)} → {_describe_side(model.decoder)}"


def _describe_side(side: object) -> str:
    assert isinstance(side, nn.Module)
    stack = next((each for each in side.modules() if isinstance(each, (Recurrence, TransformerStack))), None)
    if stack is None:
        return type(side).__name__.removesuffix("Encoder").removesuffix("Decoder").lower()
    if isinstance(stack, TransformerStack):
        return "transformer"
    both = "bidirectional " if stack.stack.bidirectional else ""
    return f"{both}{stack.kind}{' + attention' if hasattr(side, 'attention') else ''}"


def _in_float64(batch: Batch) -> Batch:
    batch = batch.to("cpu")
    return batch if batch.image is None else replace(batch, image=batch.image.double())
