"""One step of training: from a group of batches to new weights.

A GPU works through a queue, and to ask it for a number is to wait until the queue is empty. So what a step computes stays on the
device until its turn comes to be read, many steps at once; even whether a step is skipped is decided there. On a CPU there is
nothing to wait for, and a step is read as soon as it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqcli.errors import SeqcliError
from seqcli.models.seq2seq import Seq2Seq
from seqcli.nn.batch_norm import batch_norms
from seqcli.training.gradients import clip_gradient, gradient_norms, joint_norm, multiply_gradient, norms_by_part
from seqcli.training.optim import Optimizer
from seqcli.training.precision import SMALLEST_SCALE, LossScale, TrainingPrecision, computing_in
from seqcli.training.scheduled_sampling import ScheduledSampling
from seqcli.training.team import Team
from seqcli.types import Batch

LATE = 10**9
"""The number of a step by which all that changes with the steps has come to its end: what those take who measure a step."""
NORM = "norm/"
"""What the sum of a part's gradient norms is called, before the part."""


@dataclass(frozen=True)
class Objective:
    """How a batch becomes a gradient."""

    label_smoothing: float
    clip_norm: float | None
    teacher_forcing: float
    accumulation: int
    norms_by_part: bool = False
    r_drop: float | None = None
    doubly_stochastic: float | None = None
    coverage_loss: float | None = None
    scheduled_sampling: ScheduledSampling | None = None
    precision: TrainingPrecision = "float32"
    compiled: bool = False


@dataclass(frozen=True)
class Step:
    """What the step with this number leaves behind.

    `kept` and `figures` are on the device: whether loss and gradient were numbers, so that the weights were changed; and the
    summed loss in nats, the norm of the gradient, the scale of the loss, and the norm of each of the `parts`.
    """

    number: int
    group: Sequence[Batch]
    tokens: float
    cells: float
    empty: float
    parts: Sequence[str]
    kept: Tensor
    figures: Tensor


def queued(device: torch.device) -> bool:
    """Whether the device works through a queue, so that asking it for a number is to wait."""
    return device.type == "cuda"


def train_step(
    model: Seq2Seq,
    optimizer: Optimizer,
    learning_rate: float,
    group: Sequence[Batch],
    objective: Objective,
    team: Team | None = None,
    scale: LossScale | None = None,
    number: int = 1,
) -> Step:
    """One update from the gradients of several batches, the team's shares of them together, weighted by their target tokens.

    Where loss or gradient are not numbers nothing is changed, but the scale of the loss, if that may mend it.
    """
    model.train()
    team = team or Team()
    sizes = [batch.source.numel() + batch.labels.numel() for batch in group]
    empty_cells = sum(batch.padding * size for batch, size in zip(group, sizes, strict=True))
    tokens, cells, empty = team.total(sum(batch.target_tokens for batch in group), sum(sizes), empty_cells)
    for parameter in model.parameters():
        parameter.grad = None
    averaging = batch_norms(model)
    for layer in averaging:
        layer.seen.zero_()
    with _compiler_failure_told(objective.compiled):
        loss = _backward(model, group, objective, team, tokens, scale, number)
    norms = team.lengths(gradient_norms(model))
    factor = torch.ones_like(loss) if scale is None else scale.value.to(loss.dtype)
    norm = joint_norm(norms.values()) / factor
    kept = loss.isfinite() & norm.isfinite()
    _update(model, optimizer, learning_rate, objective.clip_norm, norm, kept, scale)
    for layer in averaging:
        team.add_up(layer.seen)
        layer.settle(kept)
    parts = norms_by_part(norms) if objective.norms_by_part else {}
    figures = torch.stack([loss, norm, factor, *(length / factor for length in parts.values())])
    if scale is not None:
        scale.adapt(loss.isfinite() & ~norm.isfinite())
    return Step(number, group, tokens, cells, empty, list(parts), kept, figures)


def losses(replica: nn.Module, batch: Batch, objective: Objective, number: int = LATE) -> tuple[Tensor, Tensor]:
    """What is to be minimised in the step with this number, summed over the labels of a batch, and the summed cross-entropy, to be reported."""
    sampling = objective.scheduled_sampling
    both: tuple[Tensor, Tensor] = replica(
        batch,
        objective.label_smoothing,
        objective.teacher_forcing,
        objective.r_drop,
        objective.doubly_stochastic,
        objective.coverage_loss,
        *(() if sampling is None else (sampling.given(number), sampling.pick)),
    )
    return both


def _backward(
    model: Seq2Seq,
    group: Sequence[Batch],
    objective: Objective,
    team: Team,
    tokens: float,
    scale: LossScale | None,
    number: int,
) -> Tensor:
    """Give every parameter the gradient of the mean loss of `tokens` symbols, times the scale; return the loss, summed."""
    replica = team.replica(model, compiled=objective.compiled)
    device = next(model.parameters()).device
    # MPS has no float64
    total = torch.zeros((), device=device, dtype=torch.float32 if device.type == "mps" else torch.float64)
    for taken, batch in enumerate(group, start=1):
        with team.alone(replica, more=taken < len(group)):
            with computing_in(objective.precision, device):
                loss, cross_entropy = losses(replica, batch.to(device), objective, number)
            # the team's gradients are averaged, but it is their sum over all tokens that counts
            loss = loss * (team.size / tokens)
            torch.autograd.backward(loss if scale is None else loss * scale.value)
        total += cross_entropy
    return team.add_up(total)


@contextmanager
def _compiler_failure_told(compiled: bool) -> Iterator[None]:
    """What torch raises where it cannot compile, in the forward pass or only in the backward pass, as a sentence."""
    if not compiled:
        yield
        return
    # seconds, which only those who compile are to pay
    from torch._dynamo.exc import BackendCompilerFailed

    try:
        yield
    except BackendCompilerFailed as error:
        reason = str(error.inner_exception).strip().splitlines()[0]
        raise SeqcliError(
            f"training.compile: the model cannot be compiled on this machine ({reason}); a CPU needs a C++ compiler such as g++; "
            "install one, or set training.compile: false"
        ) from error


def _update(
    model: Seq2Seq,
    optimizer: Optimizer,
    learning_rate: float,
    clip_norm: float | None,
    norm: Tensor,
    kept: Tensor,
    scale: LossScale | None,
) -> None:
    """Take the scale off the gradient, clip what is left, `norm` long, and move the weights, if the step is to be `kept`."""
    if queued(norm.device):
        # the optimizer's kernel divides, and does nothing where it is told so, without our knowing
        divisor = torch.ones_like(norm) if clip_norm is None else (norm / clip_norm).clamp(min=1.0)
        optimizer.step(learning_rate, divisor if scale is None else divisor * scale.value, ~kept)
    elif kept:
        if scale is not None:
            multiply_gradient(model, 1 / float(scale.value))
        clip_gradient(model, float(norm), clip_norm)
        optimizer.step(learning_rate)


def read(steps: Sequence[Step]) -> list[dict[str, float]]:
    """What each step adds to the sums of a record; waits for the device, once.

    These are loss, tokens, grad_norm, steps, cells, empty cells, skipped, and the norm of each part, called norm/ and the part. Of
    a step that changed nothing only the cells count, and that it was skipped: 1; `overflowed` is there where a smaller scale of
    the loss may mend it.
    """
    figures = iter(torch.cat([step.figures for step in steps]).tolist())
    return [_sums(step, [next(figures) for _ in range(len(step.figures))]) for step in steps]


def _sums(step: Step, figures: list[float]) -> dict[str, float]:
    loss, norm, scale, *lengths = figures
    cells = {"cells": step.cells, "empty": step.empty}
    if not math.isfinite(loss) or not math.isfinite(norm):
        overflowed = math.isfinite(loss) and scale > SMALLEST_SCALE
        return {"skipped": 1, **cells, **({"overflowed": 1} if overflowed else {})}
    counts = {"loss": loss, "tokens": step.tokens, "grad_norm": norm, "steps": 1}
    parts = {f"{NORM}{part}": length for part, length in zip(step.parts, lengths, strict=True)}
    return {**counts, **parts, "skipped": 0, **cells}
