"""Everything rich: the live view of training, tables, notes. Data goes to stdout; all that is said about it to stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from seqcli.errors import printable

if TYPE_CHECKING:
    from seqcli.evaluation.translator import Translator
    from seqcli.types import Metric, Progress

notes = Console(stderr=True, highlight=False)
data = Console(highlight=False)

SHOWN_VALIDATIONS = 5
SHOWN_CHARACTERS = 200
SAMPLE = ("source", "target", "written")


def note(message: str) -> None:
    """Say something about what is going on, on stderr."""
    notes.print(message, markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Say that something is not as it should be, on stderr."""
    notes.print(Text("warning: ", style="yellow") + Text(message), soft_wrap=True)


def tell_cut(translator: Translator) -> None:
    """Say how many sources were too long to be read whole."""
    if translator.cut:
        which = f"{len(translator.cut):,} sources are" if len(translator.cut) > 1 else "a source is"
        warn(
            f"{which} longer than {translator.longest_source - 1:,} symbols and read only that far "
            f"({', '.join(list(translator.cut)[:3])}{', …' if len(translator.cut) > 3 else ''})"
        )


def tell_missing_fonts(texts: Sequence[str]) -> None:
    """Say which fonts are missing for the characters of `texts`, which a picture then has boxes for."""
    from seqcli.figures.fonts import missing_fonts

    packages = missing_fonts(texts)
    if packages:
        warn(
            f"some characters have no font here and are drawn as boxes; Debian's packages {', '.join(packages)} have them"
        )


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> Table:
    """A plain table; the first `left` columns are flush left, the others flush right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number < left else "right", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def metrics_table(title: str, metrics: Mapping[str, Metric]) -> Table:
    """Scores with their intervals."""
    intervals = any(metric.interval for metric in metrics.values())
    rows = []
    for name, metric in metrics.items():
        bounds = "–".join(figure(bound) for bound in metric.interval) if metric.interval else ""
        rows.append([name, figure(metric.value), *([bounds] if intervals else [])])
    return table(title, ["metric", "value", *(["95 % interval"] if intervals else [])], rows)


def figure(value: float) -> str:
    """A number with as many places as one reads: 98.70, 0.0312, 1.5e-05."""
    if value == 0 or 0.1 <= abs(value) < 100000:
        return f"{value:.2f}"
    return f"{value:.4f}" if 0.001 <= abs(value) < 0.1 else f"{value:.2e}"


def excerpt(text: str) -> str:
    """The beginning of a text from the data, without what would steer a terminal."""
    shown = printable(text[:SHOWN_CHARACTERS])
    return shown + "…" if len(text) > SHOWN_CHARACTERS else shown


class TrainingView:
    """What one sees while a model learns: on a terminal a picture that renews itself, else a line for each record."""

    def __init__(self, title: str, total_steps: int, start: int) -> None:
        self.title = title
        self.total_steps = total_steps
        self.validations: list[Progress] = []
        self.latest: Progress | None = None
        self.began = time.monotonic()
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("step {task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            expand=True,
        )
        self.task = self.bar.add_task(title, total=total_steps, completed=start)
        moving = notes.is_terminal and not notes.is_dumb_terminal
        self.live = Live(console=notes, get_renderable=self.render, refresh_per_second=4) if moving else None

    def __enter__(self) -> TrainingView:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def advance(self, step: int) -> None:
        """Move the bar; the records come more rarely."""
        self.bar.update(self.task, completed=step)

    def show(self, record: Progress) -> None:
        """Take in a record."""
        self.advance(record.step)
        if record.event == "train":
            self.latest = record
        elif record.event == "validation":
            self.validations.append(record)
        if record.event == "memory":
            warn(
                f"a batch did not fit into memory; from step {record.step + 1} on each is taken in {record.pieces} pieces"
            )
        elif record.event == "spike":
            warn(
                f"the loss of step {record.step} is {figure(record.loss or 0)}, usual is {figure(record.usual_loss or 0)}"
            )
        elif record.event == "rewind":
            warn(f"after step {record.step} weights and optimizer are those of step {record.back_to} again")
        elif self.live is None and record.event != "checkpoint":
            note(self.line(record))

    def line(self, record: Progress) -> str:
        """One record as a line of text."""
        head = f"step {record.step}/{self.total_steps}  epoch {record.epoch}"
        if record.event == "validation":
            scores = "  ".join(f"{name} {figure(value)}" for name, value in record.scores.items())
            sample = (
                "" if record.sample is None else f"\n  {excerpt(record.sample[0])}\n  → {excerpt(record.sample[2])}"
            )
            return f"{head}  validation  {scores}{sample}"
        return f"{head}  {'  '.join(f'{name} {value}' for name, value in _train_figures(record))}"

    def render(self) -> RenderableType:
        """The live picture."""
        parts: list[RenderableType] = [self.bar]
        if self.latest is not None:
            figures = _train_figures(self.latest)
            parts.append(table(None, [name for name, _ in figures], [[value for _, value in figures]], left=0))
        if self.validations:
            shown = self.validations[-SHOWN_VALIDATIONS:]
            # a row for each score, since there may be more scores than fit side by side
            rows = [[name, *(figure(one.scores[name]) for one in shown)] for name in shown[-1].scores]
            parts += [Text(), table(None, ["validation", *(f"step {one.step}" for one in shown)], rows)]
            sample = shown[-1].sample
            if sample is not None:
                rows = [[label, excerpt(text)] for label, text in zip(SAMPLE, sample, strict=True)]
                parts += [Text(), table(None, ["sample", ""], rows, left=2)]
        return Group(*parts)


def _train_figures(record: Progress) -> list[tuple[str, str]]:
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
