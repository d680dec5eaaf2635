"""`seqcli average`: one model from several checkpoints."""

from __future__ import annotations

from typing import Annotated

import typer

from seqcli.cli.arguments import Quiet, RunFolder


def average(
    run: RunFolder,
    named: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHECKPOINT]...", help="Checkpoints to average: steps' numbers, best, last."),
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", metavar="N", min=2, help="Average the last N checkpoints.")
    ] = None,
    best: Annotated[
        int | None,
        typer.Option("--best", metavar="N", min=2, help="Average the N with the best validation score (best_metric)."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Average the weights of several checkpoints of a run (Vaswani et al. 2017, §6.1).

    The mean becomes checkpoints/average, which eval, translate and visualize use unless told otherwise. How many checkpoints
    there are is up to training.keep_checkpoints.
    """
    from seqcli.cli.console import busy, note, notes
    from seqcli.errors import RecipeError

    notes.quiet = quiet
    if sum(way is not None for way in (named or None, last, best)) != 1:
        raise RecipeError(
            "give one of --last N, --best N, or the checkpoints themselves, as in `seqcli average RUN 100 150`"
        )
    with busy("averaging"):
        from seqcli.averaging import average_checkpoints

        steps = average_checkpoints(run, last=last, best=best, named=named or [])
    shown = ", ".join(str(step) for step in steps)
    note(f"averaged the checkpoints of steps {shown}; next: seqcli eval {run} --checkpoint average")
