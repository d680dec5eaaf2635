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


app.command("train", short_help="Train a model, or go on with it.")(train.train)
app.command("average", short_help="Average the weights of several checkpoints of a run.")(average.average)
app.command("eval", short_help="Score a run, with signatures and intervals.")(evaluate.evaluate)
app.command("compare", short_help="Compare runs on one test set, with tests of their differences.")(compare.compare)
app.command("report", short_help="Write a page on a run, or on several side by side.")(report.report)
app.command("translate", short_help="Translate: one line in, one line out.")(translate.translate)
app.command("export", short_help="Write a run for CTranslate2, ONNX, or its weights alone.")(export.export)
app.command("score", short_help="Tell how likely given targets are, a number a line.")(score.score)
app.command("serve", short_help="Answer requests over HTTP, with a page to try the model on.")(serve.serve)
app.command("bench", short_help="Measure how fast a recipe trains, and where the time goes.")(bench.bench)
app.command("sweep", short_help="Train, score and compare a recipe with several values.")(sweep.sweep)
app.command("explain", short_help="Show how sure a model is, and what else it might write.")(explain.explain)
app.command("doctor", short_help="Look for faults in data, and write a copy without them.")(doctor.doctor)
app.command("lesson", short_help="List the chapters of the lecture, or run one.")(lesson.lesson)
app.add_typer(visualize.app, name="visualize", short_help="Draw attention, heads, gradients, gates, curves and more.")
app.add_typer(recipe.app, name="recipe", short_help="Check, find, print and copy recipes.")
