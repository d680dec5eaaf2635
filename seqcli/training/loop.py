"""The training loop: a generator of `Progress` records. It prints nothing and knows no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
import torch

from seqcli.errors import is_out_of_memory
from seqcli.models.seq2seq import Seq2Seq
from seqcli.training.checkpoint import Position
from seqcli.training.memory import peak_bytes
from seqcli.training.moving_average import MovingAverage
from seqcli.training.optim import Optimizer
from seqcli.training.precision import LossScale
from seqcli.training.prefetch import one_ahead
from seqcli.training.schedule import Schedule
from seqcli.training.scheduled_sampling import ScheduledSampling
from seqcli.training.spikes import Spikes
from seqcli.training.step import NORM, Objective, Step, queued, train_step
from seqcli.training.tally import Tally
from seqcli.training.team import Team
from seqcli.types import Batch, Progress

Rows = np.ndarray
Sample = tuple[str, str, str]


@dataclass(frozen=True)
class Limits:
    """When things happen, in optimizer steps; `epochs` or `steps` is None."""

    steps: int | None
    epochs: int | None
    validate_every: int | None
    checkpoint_every: int
    log_every: int
    patience: int | None


@dataclass(frozen=True)
class Plateau:
    """Multiply the learning rate by `factor` after more than `patience` validations without improvement."""

    factor: float
    patience: int


@dataclass(frozen=True)
class Hooks:
    """What the loop asks of the world outside.

    `validate` gives the validation scores and some samples (source, reference, hypothesis); `watched` picks the score that counts,
    with a sign that makes more better, never NaN; `save` keeps a checkpoint, under "best" or "step"; `stop` says whether somebody wants the
    run to end, `save_now` whether somebody wants a checkpoint though none is due; `describe` names the examples of batches that
    training cannot digest; `rewind` puts weights, optimizer, moving average and random state back where the last checkpoint has
    them and returns its step, None if there is none.
    """

    validate: Callable[[], tuple[dict[str, float], tuple[Sample, ...]]] | None
    watched: Callable[[dict[str, float]], float]
    save: Callable[[str, Position], None]
    stop: Callable[[], bool]
    save_now: Callable[[], bool] = lambda: False
    describe: Callable[[Sequence[Batch]], str] = lambda group: "a batch"
    rewind: Callable[[], int | None] = lambda: None


def fit(
    model: Seq2Seq,
    optimizer: Optimizer,
    schedule: Schedule,
    learning_rate: float,
    plan: Callable[[int], Sequence[Rows]],
    load: Callable[[Rows, int], Batch],
    position: Position,
    limits: Limits,
    objective: Objective,
    hooks: Hooks,
    plateau: Plateau | None = None,
    average: MovingAverage | None = None,
    team: Team | None = None,
    spikes: Spikes | None = None,
) -> Iterator[Progress]:
    """Train from `position` on, changing model, optimizer and position in place; yield a record whenever there is news.

    `plan(epoch)` lists the batches of an epoch, the same each time it is asked; `load(rows, epoch)` makes one, a step ahead and in a thread of
    its own, so it must not draw from torch's random numbers. Ends when `limits` are reached, when patience is out, or after `hooks.stop()`; a
    checkpoint is saved in each case.

    A step whose loss or gradient is not a number changes nothing and is counted; after several in a row, `SeqcliError`. A
    step that does not fit into memory is taken in smaller pieces, and so are all that follow. Where there is a moving `average`
    of the weights, it is what is validated, and kept as the best. In a team only the leader validates and keeps the best; all save,
    and give what they have. Losses far above those before them are told where `spikes` says what that is.
    """
    team = team or Team()
    # the sums may have tokens of before an interruption, whose seconds this clock has not seen
    clock, uncounted = Clock(), position.sums.get("tokens", 0.0)
    device = next(model.parameters()).device
    fp16 = objective.precision == "fp16"
    scale = LossScale(position.loss_scale, position.steps_at_scale, device) if fp16 else None
    tally = Tally(position, scale, hooks.describe, spikes, hooks.rewind)
    make = partial(_load_group, load, team, queued(device))
    with closing(one_ahead(make, _planned(plan, position, limits, objective.accumulation))) as groups:
        while not done(position, limits):
            epoch = position.epoch
            group, ends_epoch = next(groups)
            team.draw_apart(position.step)
            rate = learning_rate * schedule(position.step + 1) * position.factor
            before = position.pieces
            step = _step_in_pieces(model, optimizer, rate, group, objective, position, team, scale)
            if position.pieces > before:
                yield Progress("memory", position.step, position.epoch, pieces=position.pieces)
            yield from tally.add(step)
            position.step += 1
            if average is not None and (queued(device) or step.kept):
                average.update(position.step, step.kept if queued(device) else None)
            position.batch += len(group)
            if ends_epoch:
                position.epoch, position.batch = epoch + 1, 0

            if position.step % limits.log_every == 0 or done(position, limits):
                yield from tally.settle()
                yield _train_record(position, rate, clock, uncounted, scale, objective.scheduled_sampling, device)
                uncounted = 0.0
            with clock.paused():
                if hooks.validate is not None and _validation_due(position, epoch, limits):
                    yield from tally.settle()
                    with average.in_use() if average else nullcontext(), team.gathered(model):
                        record = _validate(team.plain(model), position, hooks, plateau) if team.leads else None
                    if record is not None:
                        yield record
                    team.follow(position)
                interrupted, asked = team.agree(hooks.stop(), team.leads and hooks.save_now())
                due = done(position, limits) or position.step % limits.checkpoint_every == 0
                if interrupted or due or asked:
                    yield from tally.settle()
                    hooks.save("step", position)
                    yield Progress("checkpoint", position.step, position.epoch)
                if interrupted:
                    return


def done(position: Position, limits: Limits) -> bool:
    """Whether steps, epochs or patience are used up."""
    return (
        (limits.steps is not None and position.step >= limits.steps)
        or (limits.epochs is not None and position.epoch >= limits.epochs)
        or (limits.patience is not None and position.stale >= limits.patience)
    )


def _planned(
    plan: Callable[[int], Sequence[Rows]], position: Position, limits: Limits, accumulation: int
) -> Iterator[tuple[Sequence[Rows], int, bool]]:
    """The batches of each step from `position` on, epoch after epoch, their epoch, and whether they are its last."""
    first = position.batch
    for epoch in count(position.epoch) if limits.epochs is None else range(position.epoch, limits.epochs):
        batches = plan(epoch)
        for start in range(first, len(batches), accumulation):
            yield batches[start : start + accumulation], epoch, start + accumulation >= len(batches)
        first = 0


def _load_group(
    load: Callable[[Rows, int], Batch], team: Team, pin: bool, planned: tuple[Sequence[Rows], int, bool]
) -> tuple[list[Batch], bool]:
    """This process's share of the batches of a step; `pin` keeps them where a GPU copies from while we go on."""
    batches, epoch, ends_epoch = planned
    group = [team.batch(lambda share: load(share, epoch), rows) for rows in batches]
    return [batch.pinned() for batch in group] if pin else group, ends_epoch


def _validation_due(position: Position, epoch: int, limits: Limits) -> bool:
    """Every so many steps, or at the end of `epoch`; and always when training ends."""
    due = position.epoch > epoch if limits.validate_every is None else position.step % limits.validate_every == 0
    return due or done(position, limits)


def _step_in_pieces(
    model: Seq2Seq,
    optimizer: Optimizer,
    learning_rate: float,
    group: Sequence[Batch],
    objective: Objective,
    position: Position,
    team: Team,
    scale: LossScale | None,
) -> Step:
    """`train_step`, with the batches cut smaller until it fits into memory; the update stays that of the whole group."""
    largest = max(len(batch.index) for batch in group)
    while True:
        pieces = [piece for batch in group for piece in batch.pieces(position.pieces)]
        try:
            return train_step(model, optimizer, learning_rate, pieces, objective, team, scale, position.step + 1)
        except (MemoryError, RuntimeError) as error:
            # the others of a team wait for gradients that will not come, so there is no second try
            if not is_out_of_memory(error) or position.pieces >= largest or team.size > 1:
                raise
        # outside the handler, which would keep the step's tensors alive
        position.pieces *= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _validate(model: Seq2Seq, position: Position, hooks: Hooks, plateau: Plateau | None) -> Progress:
    """Score the model, remember whether it is the best, and let patience and plateau draw their conclusions."""
    assert hooks.validate is not None
    model.eval()
    scores, samples = hooks.validate()
    watched = hooks.watched(scores)
    if position.best is None or watched > position.best:
        position.best, position.stale, position.plateau_stale = watched, 0, 0
        hooks.save("best", position)
    else:
        position.stale += 1
        position.plateau_stale += 1
    if plateau is not None and position.plateau_stale > plateau.patience:
        position.factor, position.plateau_stale = position.factor * plateau.factor, 0
    return Progress("validation", position.step, position.epoch, scores=scores, samples=samples)


def _train_record(
    position: Position,
    rate: float,
    clock: Clock,
    uncounted: float,
    scale: LossScale | None,
    sampling: ScheduledSampling | None,
    device: torch.device,
) -> Progress:
    """The averages since the last record, which starts anew; the clock has not seen `uncounted` of the tokens."""
    sums, position.sums = position.sums, {}
    seconds = clock.lap()
    return Progress(
        "train",
        position.step,
        position.epoch,
        loss=sums["loss"] / sums["tokens"] if "tokens" in sums else None,
        learning_rate=rate,
        grad_norm=sums["grad_norm"] / sums["steps"] if "steps" in sums else None,
        gradient_norms={
            name.removeprefix(NORM): total / sums["steps"] for name, total in sums.items() if name.startswith(NORM)
        },
        tokens_per_second=(sums.get("tokens", 0.0) - uncounted) / seconds,
        padding=sums["empty"] / sums["cells"],
        skipped=int(sums["skipped"]) or None,
        spikes=int(sums.get("spikes", 0)) or None,
        loss_scale=None if scale is None else position.loss_scale,
        given=None if sampling is None else sampling.given(position.step),
        seconds=seconds,
        peak_bytes=peak_bytes(device),
    )


class Clock:
    """Seconds of training, without those spent on validation and checkpoints."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        seconds, self.start = now - self.start, now
        return max(seconds, 1e-9)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A block whose time does not count."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.start += time.perf_counter() - began
