"""The commands of `seqcli`, joined. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli import __version__
from seqcli.cli import (
    average,
    bench,
    compare,
    doctor,
    evaluate,
    explain,
    export,
    lesson,
    recipe,
    report,
    score,
    serve,
    sweep,
    train,
    translate,
    visualize,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train, evaluate, run and see sequence-to-sequence models.",
    epilog="First steps: seqcli train dates; seqcli eval runs/dates",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seqcli {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, evaluate, run and see sequence-to-sequence models."""


app.command("train")(train.train)
app.command("average")(average.average)
app.command("eval")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("translate")(translate.translate)
app.command("export")(export.export)
app.command("score")(score.score)
app.command("serve")(serve.serve)
app.command("bench")(bench.bench)
app.command("sweep")(sweep.sweep)
app.command("explain")(explain.explain)
app.command("doctor")(doctor.doctor)
app.command("lesson")(lesson.lesson)
app.add_typer(visualize.app, name="visualize")
app.add_typer(recipe.app, name="recipe")
