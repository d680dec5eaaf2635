"""Attention weights on demand.

The fast path returns no weights. Inside `with trace_attention(model) as maps:` every attention of the model computes them
explicitly and hands them to `record`; when the block ends, `maps` holds them by the module's name. `collect_attention` is the same
for a loss of the weights: through these, gradients flow. Blocks may lie in each other: each sees all that is computed inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class _Recording:
    """The weights of each call of each module, or of one `only`, attached to the graph of their computation or not; and the recording that
    this one is part of."""

    attached: bool
    only: nn.Module | None
    outer: _Recording | None
    weights: dict[nn.Module, list[Tensor]] = field(default_factory=dict)


_recording: ContextVar[_Recording | None] = ContextVar("recording", default=None)


def tracing(module: nn.Module) -> bool:
    """Whether somebody wants to see the weights of this attention now."""
    return bool(_recordings_of(module))


def _recordings_of(module: nn.Module) -> list[_Recording]:
    """The recordings that a module's weights belong to, the innermost first; none of what is compiled, which could not look here."""
    found: list[_Recording] = []
    recording = None if torch.compiler.is_compiling() else _recording.get()
    while recording is not None:
        if recording.only is None or recording.only is module:
            found.append(recording)
        recording = recording.outer
    return found


def record(module: nn.Module, weights: Tensor) -> None:
    """Keep `weights (B,H,T,S)` of one call of `module`, if somebody is tracing."""
    for recording in _recordings_of(module):
        recording.weights.setdefault(module, []).append(weights if recording.attached else weights.detach())


@contextmanager
def trace_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the attention weights of all calls inside the block, to be looked at.

    Yields a dictionary that is filled when the block ends: the attention module's name in `model` → `(B,H,T,S)`. Calls of the
    same module, one a step, are joined along T. A causal self-attention that is called step by step sees one key more each
    time; its rows are filled with zeros on the right.
    """
    with _recorded(model, attached=False) as maps:
        yield maps


@contextmanager
def collect_attention(model: nn.Module, only: str | None = None) -> Iterator[dict[str, Tensor]]:
    """As `trace_attention`, but the weights stay attached to the graph of their computation, to be part of a loss.

    With the name of the `only` attention that is asked about, the others stay fast.
    """
    with _recorded(model, attached=True, only=only) as maps:
        yield maps


@contextmanager
def _recorded(model: nn.Module, *, attached: bool, only: str | None = None) -> Iterator[dict[str, Tensor]]:
    maps: dict[str, Tensor] = {}
    wanted = None if only is None else model.get_submodule(only)
    recording = _Recording(attached, wanted, _recording.get())
    token = _recording.set(recording)
    try:
        yield maps
        for name, module in model.named_modules() if only is None or wanted is None else [(only, wanted)]:
            if module in recording.weights:
                maps[name] = _join(recording.weights[module])
    finally:
        _recording.reset(token)


def _join(steps: list[Tensor]) -> Tensor:
    widest = max(step.shape[-1] for step in steps)
    return torch.cat([nn.functional.pad(step, (0, widest - step.shape[-1])) for step in steps], dim=2)
