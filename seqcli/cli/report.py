"""`seqcli report`: all there is to see of a run on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli.arguments import (
    BeamSize,
    Checkpoint,
    Json,
    Metrics,
    Quiet,
    Resamples,
    RunsAndOverrides,
    SeedOfTests,
    SplitOfRuns,
    Trials,
    load_all,
    metric_names,
    split_of,
)


def report(
    runs: RunsAndOverrides,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page: .html.")] = Path("report.html"),
    split: SplitOfRuns = None,
    metrics: Metrics = None,
    number: Annotated[
        int,
        typer.Option(
            "--number", "-n", min=0, help="How many of the best, the worst, and the sentences that moved most."
        ),
    ] = 5,
    resamples: Resamples = 1000,
    trials: Trials = 10000,
    seed: SeedOfTests = 12345,
    beam_size: BeamSize = None,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write one page on a run, or on several side by side: scores, curves, sentences, attention, gradients, cost, data, recipe.

    It refers to nothing outside of itself, so it can be mailed, and has at most 5 MB.
    """
    from seqcli.cli.console import busy, note, notes, print_json
    from seqcli.errors import RecipeError
    from seqcli.extras import require
    from seqcli.report.write import write_report

    notes.quiet = quiet
    require("plots", "seqcli report")
    names = metric_names(metrics)
    with busy("reporting"):
        loaded = load_all(runs, checkpoint)
        if not loaded:
            raise RecipeError("no run given; name run directories before the overrides")
        size = write_report(
            loaded,
            output,
            split=split_of(split, loaded),
            metrics=names,
            beam_size=beam_size,
            sentences=number,
            resamples=resamples,
            trials=trials,
            seed=seed,
        )
    if as_json:
        print_json({"report": str(output), "bytes": size})
    note(f"wrote {output}, {size / 1e6:.1f} MB")
