"""Recurrent layers step by step, so that every state on the way can be seen and differentiated by.

torch's kernels take a whole sequence at once and show the states of the top layer alone, through which no gradient passes to the
states before. Inside `with trace_states(model) as walks:` every recurrence of the model walks instead, with the same weights by the
formulas below; walked and fast output are equal, and tested so.

    rnn     h' = tanh(a + U h)                                                                  (Elman 1990)
    lstm    i, f, o = σ(a + U h)   g = tanh(a_g + U_g h)   c' = f c + i g   h' = o tanh(c')     (Hochreiter & Schmidhuber 1997;
                                                                                                 Gers et al. 2000)
    gru     r, z = σ(a + U h)      n = tanh(a_n + r U_n h)   h' = (1-z) n + z h                 (Cho et al. 2014)

with a what the input gives, W x + b.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CellState = tuple[Tensor, ...]


@dataclass(frozen=True)
class Walk:
    """One layer's states in one direction: after the symbol at each position `hidden (B,D)`, and of an LSTM `cell (B,D)`, else empty."""

    layer: int
    backward: bool
    hidden: list[Tensor] = field(default_factory=list)
    cell: list[Tensor] = field(default_factory=list)


Walks = dict[tuple[int, bool], Walk]
_recording: ContextVar[dict[nn.Module, Walks] | None] = ContextVar("walks", default=None)


def tracing_states() -> bool:
    """Whether somebody wants to see the states now; never of what is compiled, which could not look here."""
    return not torch.compiler.is_compiling() and _recording.get() is not None


@contextmanager
def trace_states(model: nn.Module) -> Iterator[dict[str, list[Walk]]]:
    """Have all recurrences inside the block walk step by step, and keep their states, attached to the graph of their computation.

    Yields a dictionary that is filled when the block ends: the recurrence's name in `model` → its layers' walks, lowest first. Calls
    of the same recurrence, one a step, are joined.
    """
    walks: dict[str, list[Walk]] = {}
    recording: dict[nn.Module, Walks] = {}
    token = _recording.set(recording)
    try:
        yield walks
        for name, module in model.named_modules():
            if module in recording:
                walks[name] = list(recording[module].values())
    finally:
        _recording.reset(token)


def unroll(
    module: nn.Module,
    kind: str,
    stack: nn.RNNBase,
    inputs: Tensor,
    state: dict[str, Tensor] | None,
    lengths: Tensor | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Inputs (B,T,E) through all layers of `stack`, from `state` (B,L,D) or from zeros on → outputs (B,T,D·directions) and final state.

    Of each row the first `lengths (B,)` symbols count, all if None; outputs behind them are 0, as torch's packed sequences have it.
    The states are kept under `module`, if somebody is tracing.
    """
    batch, steps, _ = inputs.shape
    real = torch.ones(batch, steps, dtype=torch.bool, device=inputs.device)
    if lengths is not None:
        real = torch.arange(steps, device=inputs.device) < lengths.to(inputs.device)[:, None]
    finals: list[CellState] = []
    for layer in range(stack.num_layers):
        before = _first_state(kind, stack, layer, state, inputs)
        sides = [
            _walk(module, kind, stack, layer, backward, inputs, before, real)
            for backward in ((False, True) if stack.bidirectional else (False,))
        ]
        inputs = torch.cat([outputs for outputs, _ in sides], dim=-1)
        parts = zip(*(final for _, final in sides), strict=True)
        finals.append(tuple(torch.cat(part, dim=-1) for part in parts))
        if layer + 1 < stack.num_layers:
            inputs = F.dropout(inputs, stack.dropout, stack.training)
    names = ("hidden", "cell") if kind == "lstm" else ("hidden",)
    return inputs, {name: torch.stack(part, dim=1) for name, part in zip(names, zip(*finals, strict=True), strict=True)}


def _first_state(kind: str, stack: nn.RNNBase, layer: int, state: dict[str, Tensor] | None, like: Tensor) -> CellState:
    if state is not None:
        return tuple(part[:, layer] for part in state.values())
    zeros = like.new_zeros(like.shape[0], stack.hidden_size)
    return (zeros, zeros) if kind == "lstm" else (zeros,)


def _walk(
    module: nn.Module,
    kind: str,
    stack: nn.RNNBase,
    layer: int,
    backward: bool,
    inputs: Tensor,
    state: CellState,
    real: Tensor,
) -> tuple[Tensor, CellState]:
    """One direction of one layer: outputs (B,T,D), and the state at the end of the walk."""
    suffix = f"_l{layer}{'_reverse' if backward else ''}"
    given = F.linear(inputs, getattr(stack, f"weight_ih{suffix}"), getattr(stack, f"bias_ih{suffix}"))
    matrix, bias = getattr(stack, f"weight_hh{suffix}"), getattr(stack, f"bias_hh{suffix}")
    states: list[CellState] = []
    places = range(inputs.shape[1])
    for place in reversed(places) if backward else places:
        here = real[:, place, None]
        after = recurrent_step(kind, given[:, place], state, matrix, bias)
        # behind a row's end nothing happens: its state stays
        state = tuple(torch.where(here, new, old) for new, old in zip(after, state, strict=True))
        states.append(state)
    if backward:
        states.reverse()
    _keep(module, layer, backward, states)
    outputs = torch.stack([each[0] for each in states], dim=1)
    return outputs * real[:, :, None], state


def recurrent_step(kind: str, given: Tensor, state: CellState, matrix: Tensor, bias: Tensor) -> CellState:
    """The state (hidden, and of an LSTM cell) after one symbol; `given (B,G·D)` is what its input adds to the G gates."""
    hidden = state[0]
    if kind == "rnn":
        return (torch.tanh(given + F.linear(hidden, matrix, bias)),)
    if kind == "lstm":
        enter, keep, new, show = (given + F.linear(hidden, matrix, bias)).chunk(4, dim=-1)
        cell = keep.sigmoid() * state[1] + enter.sigmoid() * new.tanh()
        return show.sigmoid() * cell.tanh(), cell
    reset, keep, new = given.chunk(3, dim=-1)
    past_reset, past_keep, past_new = F.linear(hidden, matrix, bias).chunk(3, dim=-1)
    candidate = torch.tanh(new + (reset + past_reset).sigmoid() * past_new)
    kept = (keep + past_keep).sigmoid()
    return ((1 - kept) * candidate + kept * hidden,)


def _keep(module: nn.Module, layer: int, backward: bool, states: list[CellState]) -> None:
    recording = _recording.get()
    if recording is None:
        return
    walk = recording.setdefault(module, {}).setdefault((layer, backward), Walk(layer, backward))
    walk.hidden.extend(state[0] for state in states)
    walk.cell.extend(state[1] for state in states if len(state) > 1)
