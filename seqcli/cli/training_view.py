"""What one sees while a model learns: on a terminal a picture that renews itself, else a line for each record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from rich.cells import cell_len

from seqcli.cli import console
from seqcli.cli.console import excerpt, figure, note, warn
from seqcli.cli.history import History, training_figures
from seqcli.cli.pace import Pace, clock_time
from seqcli.cli.screen import Line, Screen, can_move, fit
from seqcli.cli.training_picture import training_picture

if TYPE_CHECKING:
    from seqcli.types import Progress


class TrainingView:
    """Shows the records of a run called `title` that is to take `total_steps` steps and stands at `start`.

    `watched` is the score that names the best checkpoint. With `validate_every` and `checkpoint_every`, in steps, what is
    left takes these into account; `may_end_early` says that patience may end the run.
    """

    def __init__(
        self,
        title: str,
        total_steps: int,
        start: int,
        *,
        watched: str = "loss",
        validate_every: int | None = None,
        checkpoint_every: int | None = None,
        may_end_early: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.total_steps, self.at = excerpt(title), total_steps, start
        self.history, self.may_end_early = History(watched), may_end_early
        self.pace = Pace(
            total_steps, start, validate_every=validate_every, checkpoint_every=checkpoint_every, clock=clock
        )
        self.clock, self.began = clock, clock()
        self.lock = threading.Lock()  # the screen looks from a thread of its own
        self.screen = Screen(console.notes, self.picture, self.pace.forget) if can_move(console.notes) else None
        self.open = ExitStack()

    def __enter__(self) -> TrainingView:
        if self.screen:
            self.open.enter_context(self.screen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open.close()

    def recall(self, records: Iterable[Progress]) -> None:
        """Take in what the run went through before, so that its curves are whole."""
        for record in records:
            self.history.keep(record)

    def advance(self, step: int) -> None:
        """A step is over; the records come more rarely."""
        with self.lock:
            self.at = step
            self.pace.step(step)
        if self.screen:
            self.screen.changed()

    def show(self, record: Progress) -> None:
        """Take in a record."""
        with self.lock:
            self.at = record.step
            if record.event in ("validation", "checkpoint"):
                self.pace.pause(record.event, record.step)
            else:
                self.pace.step(record.step)
            self.history.keep(record)
        problem = _problem(record)
        if problem:
            warn(problem)
        elif self.screen:
            self.screen.changed()
        elif record.event != "checkpoint":
            note(self.line(record))

    def line(self, record: Progress) -> str:
        """One record as a line of text."""
        head = f"step {record.step}/{self.total_steps}  epoch {record.epoch}"
        if record.event == "validation":
            scores = "  ".join(f"{name} {figure(value)}" for name, value in record.scores.items())
            written = "".join(f"\n  {excerpt(source)}\n  → {excerpt(text)}" for source, _, text in record.samples[:1])
            return f"{head}  validation  {scores}{written}"
        return f"{head}  {'  '.join(f'{name} {value}' for name, value in training_figures(record))}"

    def picture(self, width: int, height: int) -> list[Line]:
        """The live picture in at most `width` columns and `height` rows."""
        with self.lock:
            return training_picture(self._head(width), self.history, width, height)

    def _head(self, width: int) -> list[Line]:
        share = min(1.0, self.at / self.total_steps) if self.total_steps else 1.0
        name = fit(self.title, max(width // 3, 8))
        percent = f"{int(100 * share):3d} %"
        length = width - cell_len(name) - len(percent) - 2
        filled = int(share * length)
        bar: Line = [
            (name, "bold"),
            (" " + "━" * filled, "cyan"),
            ("─" * (length - filled), "dim"),
            (f" {percent}", ""),
        ]
        if length < 5:
            bar = [(fit(self.title, width - len(percent) - 1), "bold"), (f" {percent}", "")]
        return [bar, self._progress(width)]

    def _progress(self, width: int) -> Line:
        parts = [f"step {self.at}/{self.total_steps}"]
        remaining = self.pace.remaining()
        if remaining is not None and self.at < self.total_steps:
            most = "at most " if self.may_end_early else ""
            parts.append(f"{most}{remaining} left{'' if remaining.complete else ', validation not counted'}")
        parts.append(f"{clock_time(self.clock() - self.began)} gone")
        parts += [] if self.history.latest is None else [f"epoch {self.history.latest.epoch}"]
        while len(parts) > 1 and cell_len("  ".join(parts)) > width:
            parts.pop()
        return [(fit("  ".join(parts), width), "")]


def _problem(record: Progress) -> str:
    """What a record warns of, if it does."""
    if record.event == "memory":
        return (
            f"a batch did not fit into memory; from step {record.step + 1} on each is taken in {record.pieces} pieces"
        )
    if record.event == "spike":
        usual = figure(record.usual_loss or 0)
        return f"the loss of step {record.step} is {figure(record.loss or 0)}, usual is {usual}"
    if record.event == "rewind":
        return f"after step {record.step} weights and optimizer are those of step {record.back_to} again"
    return ""
