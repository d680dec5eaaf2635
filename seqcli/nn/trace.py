"""Attention weights on demand.

The fast path returns no weights. Inside `with trace_attention(model) as maps:` every attention of the model computes them
explicitly and hands them to `record`; when the block ends, `maps` holds them by the module's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_recording: ContextVar[dict[nn.Module, list[Tensor]] | None] = ContextVar("recording", default=None)


def tracing() -> bool:
    """Whether somebody wants to see attention weights now; never of what is compiled, which could not look here."""
    return not torch.compiler.is_compiling() and _recording.get() is not None


def record(module: nn.Module, weights: Tensor) -> None:
    """Keep `weights (B,H,T,S)` of one call of `module`, if somebody is tracing."""
    recording = _recording.get() if tracing() else None
    if recording is not None:
        recording.setdefault(module, []).append(weights.detach())


@contextmanager
def trace_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the attention weights of all calls inside the block.

    Yields a dictionary that is filled when the block ends: the attention module's name in `model` → `(B,H,T,S)`. Calls of the
    same module, one a step, are joined along T. A causal self-attention that is called step by step sees one key more each
    time; its rows are filled with zeros on the right.
    """
    maps: dict[str, Tensor] = {}
    token = _recording.set({})
    try:
        yield maps
        recording = _recording.get() or {}
        for name, module in model.named_modules():
            if module in recording:
                maps[name] = _join(recording[module])
    finally:
        _recording.reset(token)


def _join(steps: list[Tensor]) -> Tensor:
    widest = max(step.shape[-1] for step in steps)
    return torch.cat([nn.functional.pad(step, (0, widest - step.shape[-1])) for step in steps], dim=2)
