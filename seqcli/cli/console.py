"""Notes and tables. Data goes to stdout; all that is said about it to stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqcli.cli.screen import can_move
from seqcli.errors import printable
from seqcli.json_text import json_text

if TYPE_CHECKING:
    from seqcli.evaluation.reader import Reader
    from seqcli.types import Metric

notes = Console(stderr=True, highlight=False, emoji=False, markup=False)
data = Console(highlight=False, emoji=False, markup=False)

SHOWN_CHARACTERS = 200


def note(message: str) -> None:
    """Say something about what is going on, on stderr."""
    notes.print(message, soft_wrap=True)


def warn(message: str) -> None:
    """Say that something is not as it should be, on stderr."""
    notes.print(Text("warning: ", style="yellow") + Text(message), soft_wrap=True)


def busy(title: str) -> AbstractContextManager[object]:
    """A block during which a line on stderr, where that is a terminal, says what is going on."""
    # rich takes a plain text for markup here, whatever the console is told, and a pipe for a terminal under FORCE_COLOR
    return notes.status(Text(title)) if can_move(notes) else nullcontext()


def print_json(value: object) -> None:
    """Print what a programme is to read, on one line of stdout."""
    typer.echo(json_text(value))


def tell_cut(translator: Reader) -> None:
    """Say how many sources were too long to be read whole."""
    for reader in translator.members:
        if reader.cut:
            which = f"{len(reader.cut):,} sources are" if len(reader.cut) > 1 else "a source is"
            warn(
                f"{which} longer than {reader.longest_source - 1:,} symbols and read only that far "
                f"({', '.join(list(reader.cut)[:3])}{', …' if len(reader.cut) > 3 else ''})"
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
