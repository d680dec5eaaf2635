"""A recurrence step by step, so that every state and gate on the way can be seen and differentiated by.

torch's kernels do all steps in one call and show the states of the top layer alone, through which no gradient passes to the states
before. Here the same weights go through the published equations one step after the other. With σ the sigmoid, ⊙ the product of
elements, and biases in every W and U:

    RNN    h_t = tanh(W x_t + U h_{t-1})                                           (Elman 1990)
    LSTM   i, f, o = σ(W x_t + U h_{t-1})        g = tanh(W x_t + U h_{t-1})
           c_t = f ⊙ c_{t-1} + i ⊙ g             h_t = o ⊙ tanh(c_t)               (Hochreiter & Schmidhuber 1997; Gers et al. 2000)
    GRU    r, z = σ(W x_t + U h_{t-1})           n = tanh(W x_t + r ⊙ U h_{t-1})
           h_t = (1 − z) ⊙ n + z ⊙ h_{t-1}                                         (Cho et al. 2014, with r after U as in cuDNN)

z is the share of the old state that is kept: 1 is a closed update gate. That outputs, states and gradients are the kernels' is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqcli.nn.masks import length_mask

GATES = {"rnn": (), "lstm": ("input", "forget", "output"), "gru": ("reset", "update")}
"""The gates of each cell, all of them sigmoids."""
CANDIDATE = {"rnn": "hidden", "lstm": "candidate", "gru": "candidate"}
"""What each cell calls its tanh of input and state; an RNN's is the new state itself."""
BLOCKS = {
    "rnn": ("hidden",),
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("reset", "update", "candidate"),
}
"""What the rows of torch's matrices are, `hidden_size` of them each."""

CellState = tuple[Tensor, ...]
"""Hidden, and of an LSTM cell, (B,D) each."""
Step = dict[str, tuple[Tensor | None, Tensor]]
"""One step's parts by name: before and after the nonlinearity, (B,D) each."""


@dataclass(frozen=True)
class Part:
    """A gate, a candidate or a state: what its nonlinearity was given and what came out, (B,D) a step.

    They are the tensors that the computation went through, so a gradient can be asked for at each of them. `pre` is empty for the
    hidden state of an LSTM or GRU, which is a product or a mean and no nonlinearity of one thing.
    """

    pre: list[Tensor] = field(default_factory=list)
    post: list[Tensor] = field(default_factory=list)

    @property
    def values(self) -> Tensor:
        """What came out at every step, (B,T,D)."""
        return torch.stack(self.post, dim=1)


@dataclass(frozen=True)
class UnrolledLayer:
    """One layer in one direction: its parts by name, the state `hidden` among them, and an LSTM's tanh of its `cell`.

    Step t stands at place t of the sequence in both directions; the backward one takes them from the last to the first.
    Behind a row's end `hidden` stays what it was.
    """

    number: int
    backward: bool
    parts: dict[str, Part]


@dataclass(frozen=True)
class Unrolled:
    """Outputs (B,T,D·directions) of the top layer, the states after the last step, each (L·directions,B,D), and all layers."""

    outputs: Tensor
    hidden: Tensor
    cell: Tensor | None
    layers: list[UnrolledLayer]


@contextmanager
def trace_recurrences(model: nn.Module) -> Iterator[dict[str, list[UnrolledLayer]]]:
    """Have all recurrent stacks of `model`, in evaluation mode, walk step by step inside the block.

    Yields a dictionary that fills with the passes: a stack's name in `model` → its layers, lowest first. Calls of the same stack, one
    a step, are joined.
    """
    traces: dict[str, list[UnrolledLayer]] = {}
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, nn.RNNBase):
                hooks.callback(module.register_forward_hook(stepwise(_joining(traces, name))).remove)
        yield traces


def _joining(traces: dict[str, list[UnrolledLayer]], name: str) -> Callable[[Unrolled], None]:
    def join(taken: Unrolled) -> None:
        if name not in traces:
            traces[name] = taken.layers
            return
        for layer, more in zip(traces[name], taken.layers, strict=True):
            for each, part in layer.parts.items():
                part.pre.extend(more.parts[each].pre)
                part.post.extend(more.parts[each].post)

    return join


def stepwise(keep: Callable[[Unrolled], None]) -> Callable[[nn.RNNBase, Any, Any], Any]:
    """A forward hook of a recurrent stack that shows `keep` its steps taken one by one, and gives back their outputs for the kernel's."""

    def hook(stack: nn.RNNBase, inputs: Any, output: Any) -> Any:
        given, initial = inputs[0], inputs[1] if len(inputs) > 1 else None
        if isinstance(initial, Tensor):
            initial = (initial,)
        mask = lengths = None
        if isinstance(given, PackedSequence):
            given, lengths = pad_packed_sequence(given, batch_first=True)
            mask = length_mask(lengths.to(given.device), given.shape[1])
        taken = unroll(stack, given, initial, mask)
        keep(taken)
        final = taken.hidden if taken.cell is None else (taken.hidden, taken.cell)
        if lengths is None:
            return taken.outputs, final
        return pack_padded_sequence(taken.outputs, lengths, batch_first=True, enforce_sorted=False), final

    return hook


def unroll(
    stack: nn.RNNBase,
    inputs: Tensor,
    initial: CellState | None = None,
    mask: Tensor | None = None,
) -> Unrolled:
    """Take `inputs (B,T,E)` through a stack of torch's RNN, LSTM or GRU; gradients flow through every step.

    `initial` is hidden, and for the LSTM cell, each (L·directions,B,D), zeros if not given. Where `mask (B,T)` is False the
    state stays as it is and the output is 0, as with packed sequences. ValueError where dropout would act between layers.
    """
    if stack.training and stack.dropout > 0 and stack.num_layers > 1:
        raise ValueError("dropout between layers is drawn inside the kernel; unroll a model in evaluation mode")
    directions = 2 if stack.bidirectional else 1
    ends: list[CellState] = []
    layers = []
    for number in range(stack.num_layers):
        sides = []
        for backward in (False, True)[:directions]:
            place = number * directions + backward
            start = _zeros(stack, inputs) if initial is None else tuple(part[place] for part in initial)
            parts, end = _one_way(stack, number, backward, inputs, start, mask)
            layers.append(UnrolledLayer(number, backward, parts))
            outputs = parts["hidden"].values
            sides.append(outputs if mask is None else outputs * mask[:, :, None])
            ends.append(end)
        inputs = torch.cat(sides, dim=-1)
    finals = [torch.stack(parts) for parts in zip(*ends, strict=True)]
    return Unrolled(inputs, finals[0], finals[1] if len(finals) > 1 else None, layers)


def _zeros(stack: nn.RNNBase, inputs: Tensor) -> CellState:
    zeros = inputs.new_zeros(inputs.shape[0], stack.hidden_size)
    return (zeros, zeros) if stack.mode == "LSTM" else (zeros,)


def _one_way(
    stack: nn.RNNBase, number: int, backward: bool, inputs: Tensor, state: CellState, mask: Tensor | None
) -> tuple[dict[str, Part], CellState]:
    """One layer in one direction: its parts, and the state after its last step."""
    ending = f"_l{number}{'_reverse' if backward else ''}"
    given = F.linear(inputs, getattr(stack, f"weight_ih{ending}"), getattr(stack, f"bias_ih{ending}"))
    recurrent, bias = getattr(stack, f"weight_hh{ending}"), getattr(stack, f"bias_hh{ending}")
    steps: list[Step] = [{}] * inputs.shape[1]
    places = range(inputs.shape[1])
    for place in reversed(places) if backward else places:
        parts, new = recurrent_step(cell_kind(stack), given[:, place], state, recurrent, bias)
        real = None if mask is None else mask[:, place, None]
        state = new if real is None else tuple(torch.where(real, a, b) for a, b in zip(new, state, strict=True))
        steps[place] = {**parts, "hidden": (parts["hidden"][0], state[0])}
    return {name: _over_time([step[name] for step in steps]) for name in steps[0]}, state


def _over_time(steps: list[tuple[Tensor | None, Tensor]]) -> Part:
    return Part([pre for pre, _ in steps if pre is not None], [post for _, post in steps])


def recurrent_step(kind: str, given: Tensor, state: CellState, matrix: Tensor, bias: Tensor) -> tuple[Step, CellState]:
    """The parts of one step and the state after it; `given (B,G·D)` is W x, what the input adds to the cell's G blocks, `matrix` is U."""
    return _STEP[kind](given, F.linear(state[0], matrix, bias), state)


def _rnn_step(given: Tensor, remembered: Tensor, state: CellState) -> tuple[Step, CellState]:
    pre = given + remembered
    hidden = torch.tanh(pre)
    return {"hidden": (pre, hidden)}, (hidden,)


def _lstm_step(given: Tensor, remembered: Tensor, state: CellState) -> tuple[Step, CellState]:
    pre = dict(zip(BLOCKS["lstm"], (given + remembered).chunk(4, dim=-1), strict=True))
    post = {name: torch.tanh(one) if name == "candidate" else torch.sigmoid(one) for name, one in pre.items()}
    cell = post["forget"] * state[1] + post["input"] * post["candidate"]
    seen = torch.tanh(cell)
    hidden = post["output"] * seen
    parts: Step = {name: (pre[name], post[name]) for name in pre}
    return {**parts, "cell": (cell, seen), "hidden": (None, hidden)}, (hidden, cell)


def _gru_step(given: Tensor, remembered: Tensor, state: CellState) -> tuple[Step, CellState]:
    given_r, given_z, given_n = given.chunk(3, dim=-1)
    old_r, old_z, old_n = remembered.chunk(3, dim=-1)
    pre_r, pre_z = given_r + old_r, given_z + old_z
    reset, update = torch.sigmoid(pre_r), torch.sigmoid(pre_z)
    pre_n = given_n + reset * old_n
    candidate = torch.tanh(pre_n)
    hidden = (1 - update) * candidate + update * state[0]
    parts: Step = {"reset": (pre_r, reset), "update": (pre_z, update), "candidate": (pre_n, candidate)}
    return {**parts, "hidden": (None, hidden)}, (hidden,)


_STEP = {"rnn": _rnn_step, "lstm": _lstm_step, "gru": _gru_step}


def cell_kind(stack: nn.RNNBase) -> str:
    """rnn, lstm or gru."""
    return {"RNN_TANH": "rnn", "LSTM": "lstm", "GRU": "gru"}[stack.mode]
