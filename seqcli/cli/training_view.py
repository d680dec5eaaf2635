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
from seqcli.cli.pace import Pace, clock_time
from seqcli.cli.screen import Line, Screen, can_move, cropped, fit
from seqcli.cli.sparkline import Curve

if TYPE_CHECKING:
    from seqcli.types import Progress

LABEL, VALUE, STEP = 14, 9, 9
"""Columns of a name, of a number, and of a step in the head of a table."""
WIDEST_CURVE, TALLEST_CURVE = 100, 8
MOST_VALIDATIONS = 8
SAMPLE = ("source", "target", "written")
CURVES = ("loss", "gradient norm", "learning rate")


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
        self.watched, self.may_end_early = watched, may_end_early
        self.pace = Pace(
            total_steps, start, validate_every=validate_every, checkpoint_every=checkpoint_every, clock=clock
        )
        self.clock, self.began = clock, clock()
        self.latest: Progress | None = None
        self.validations: list[Progress] = []
        self.best: dict[str, tuple[float, int]] = {}
        self.curves: dict[str, Curve] = {}
        self.score_curves: dict[str, Curve] = {}
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
            self._keep(record)

    def advance(self, step: int) -> None:
        """A step is over; the records come more rarely."""
        with self.lock:
            self.at = step
            self.pace.step(step)
        if self.screen:
            self.screen.news = True

    def show(self, record: Progress) -> None:
        """Take in a record."""
        with self.lock:
            self.at = record.step
            if record.event in ("validation", "checkpoint"):
                self.pace.pause(record.event, record.step)
            else:
                self.pace.step(record.step)
            self._keep(record)
        problem = _problem(record)
        if problem:
            warn(problem)
        elif self.screen:
            self.screen.news = True
        elif record.event != "checkpoint":
            note(self.line(record))

    def _keep(self, record: Progress) -> None:
        if record.event == "train":
            self.latest = record
            for name, value in (
                ("loss", record.loss),
                ("gradient norm", record.grad_norm),
                ("learning rate", record.learning_rate),
            ):
                self.curves.setdefault(name, Curve(logarithmic=name == "gradient norm")).add(value)
        elif record.event == "validation":
            self.validations = [*self.validations, record][-MOST_VALIDATIONS:]
            for name, score in record.scores.items():
                self.score_curves.setdefault(name, Curve(logarithmic=name == "perplexity")).add(score)
                if name not in self.best or _is_better(name, score, self.best[name][0]):
                    self.best[name] = (score, record.step)

    def line(self, record: Progress) -> str:
        """One record as a line of text."""
        head = f"step {record.step}/{self.total_steps}  epoch {record.epoch}"
        if record.event == "validation":
            scores = "  ".join(f"{name} {figure(value)}" for name, value in record.scores.items())
            written = "".join(f"\n  {excerpt(source)}\n  → {excerpt(text)}" for source, _, text in record.samples[:1])
            return f"{head}  validation  {scores}{written}"
        return f"{head}  {'  '.join(f'{name} {value}' for name, value in _figures(record))}"

    def picture(self, width: int, height: int) -> list[Line]:
        """The live picture in at most `width` columns and `height` rows; what matters least is left out first."""
        with self.lock:
            rows = _Rows(height, self)
            blocks = [
                self._head(width)[-height:],
                self._training(width, rows) if rows.training else [],
                self._scores(width, rows) if rows.scores else [],
                self._samples(width, rows.samples, rows.apart) if rows.samples else [],
            ]
        lines: list[Line] = []
        for block in blocks:
            if block:
                lines += [[], *block] if lines and rows.spaced else block
        return [cropped(line, width) for line in lines[:height]]

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
        parts += [] if self.latest is None else [f"epoch {self.latest.epoch}"]
        while len(parts) > 1 and cell_len("  ".join(parts)) > width:
            parts.pop()
        return [(fit("  ".join(parts), width), "")]

    def _training(self, width: int, rows: _Rows) -> list[Line]:
        """A curve for each of the first figures, and the others in a line."""
        lines: list[Line] = []
        figures = dict(_figures(self.latest)) if self.latest else {}
        bounds = {name: _bounds(name, self.curves[name]) for name in CURVES[: rows.curves]}
        # as wide as each other, so that what is above each other happened at once
        length = min(width - LABEL - VALUE - max(map(len, bounds.values())) - 4, WIDEST_CURVE)
        for name in bounds:
            curve = self.curves[name]
            drawn = curve.draw(length, rows.tall if name == "loss" else 1) if length >= 8 else [""]
            for row, points in enumerate(drawn):
                first = row == 0
                lines.append(
                    [
                        (fit(name if first else "", LABEL).ljust(LABEL), ""),
                        (figures[name].rjust(VALUE) if first else " " * VALUE, "bold"),
                        (f"  {points.ljust(max(length, 0))}", "cyan"),
                        (f"  {bounds[name]}" if first and length >= 8 else "", "dim"),
                    ]
                )
        if rows.figures:
            rest = [f"{name} {value}" for name, value in figures.items() if name not in CURVES[: rows.curves]]
            while len(rest) > 1 and len("  ".join(rest)) > width:
                rest.pop()
            lines.append([(fit("  ".join(rest), width), "")])
        return lines

    def _scores(self, width: int, rows: _Rows) -> list[Line]:
        """A table: a row for each score, with its curve, the best value and when it was, and the latest ones."""
        names = self._score_names()
        cut = len(names) - rows.scores
        title = f"validation +{cut}" if cut else "validation"
        label = min(max(map(cell_len, [*names, title])), max(LABEL, width // 6))
        left = width - label
        best = left >= VALUE + 2 * STEP + 3
        left -= (VALUE + STEP + 2) if best else 0
        curve = min(max(left // 3, 0), WIDEST_CURVE // 2) if left >= 40 else 0
        left -= curve + 2 if curve else 0
        latest = self.validations[-max(1, left // (STEP + 1)) :]
        head: list[tuple[str, str]] = [(_padded(title, label), "bold")]
        if curve:
            head.append((" " * (2 + curve), ""))
        if best:
            head.append((f" {'best':>{VALUE}} {'at step':>{STEP}}", "bold"))
        head += [(f" {fit(str(one.step), STEP):>{STEP}}", "bold") for one in latest]
        lines: list[Line] = [head]
        for name in names[: rows.scores]:
            line = [(_padded(name, label), "bold" if name == self.watched else "")]
            if curve:
                line.append(("  " + self.score_curves[name].draw(curve)[0].ljust(curve), "cyan"))
            if best:
                value, step = self.best[name]
                line.append((f" {figure(value):>{VALUE}} {step:>{STEP}}", ""))
            for one in latest:
                line.append((f" {figure(one.scores[name]) if name in one.scores else '':>{STEP}}", ""))
            lines.append(line)
        return lines

    def _score_names(self) -> list[str]:
        """The scores of the last validation, the watched one first."""
        return sorted(self.validations[-1].scores, key=lambda name: name != self.watched) if self.validations else []

    def _samples(self, width: int, count: int, apart: bool) -> list[Line]:
        """The first `count` samples, with an empty line between them if they stand `apart`."""
        lines: list[Line] = []
        for sample in self.validations[-1].samples[:count]:
            lines += [[]] * (apart and bool(lines))
            for label, text in zip(SAMPLE, sample, strict=True):
                style = "bold" if label == "written" else ""
                lines.append([(label.ljust(9), "dim"), (fit(excerpt(text), max(width - 9, 0)), style)])
        return lines


class _Rows:
    """Which parts fit into `height` rows beside the head: the first of each kind before the second of any."""

    def __init__(self, height: int, view: TrainingView) -> None:
        self.left = height - 2
        self.curves, self.tall, self.figures, self.scores, self.samples = 0, 1, 0, 0, 0
        self.spaced, self.apart = height >= 12, False
        gap = int(self.spaced)
        names = len(view._score_names())
        samples = len(view.validations[-1].samples) if view.validations else 0
        if view.latest is not None:
            self.curves = self._take(1 + gap)
        if names and self._take(2 + gap):
            self.scores = 1
        if samples and self._take(3 + gap):
            self.samples = 1
        if self.curves:
            self.figures = self._take(1)
            self.curves += sum(self._take(1) for _ in CURVES[1:])
        self.scores += sum(self._take(1) for _ in range(names - 1)) if self.scores else 0
        self.samples += sum(self._take(3) for _ in range(samples - 1)) if self.samples else 0
        self.apart = self.samples > 1 and bool(self._take(self.samples - 1))
        if self.curves:
            self.tall += sum(self._take(1) for _ in range(TALLEST_CURVE - 1))

    @property
    def training(self) -> bool:
        """Whether anything of training is shown."""
        return self.curves > 0

    def _take(self, rows: int) -> int:
        """1 and so many rows fewer, or 0 where they are not there."""
        if rows > self.left:
            return 0
        self.left -= rows
        return 1


def _figures(record: Progress) -> list[tuple[str, str]]:
    """The averages of a training record, as they are shown."""
    return [
        ("loss", "–" if record.loss is None else figure(record.loss)),
        ("learning rate", f"{record.learning_rate or 0.0:.2e}"),
        ("gradient norm", figure(record.grad_norm or 0.0)),
        ("tokens/s", f"{record.tokens_per_second or 0.0:,.0f}"),
        ("padding", f"{100 * (record.padding or 0.0):.1f} %"),
        *([("skipped steps", str(record.skipped))] if record.skipped else []),
        *([("spikes", str(record.spikes))] if record.spikes else []),
    ]


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


def _bounds(name: str, curve: Curve) -> str:
    if curve.low > curve.high:
        return ""
    low, high = (f"{bound:.2e}" if name == "learning rate" else figure(bound) for bound in (curve.low, curve.high))
    return f"{low} to {high}"


def _padded(text: str, width: int) -> str:
    shown = fit(text, width)
    return shown + " " * (width - cell_len(shown))


def _is_better(name: str, new: float, old: float) -> bool:
    from seqcli.evaluation.metrics import is_better

    return is_better(name, new, old)
