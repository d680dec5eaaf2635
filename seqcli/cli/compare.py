"""`seqcli compare`: runs against each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    check_picture,
    load_all,
    metric_names,
    split_of,
)

if TYPE_CHECKING:
    from seqcli.comparison import Comparison
    from seqcli.run import Run


def compare(
    runs: RunsAndOverrides,
    split: SplitOfRuns = None,
    metrics: Metrics = None,
    number: Annotated[
        int, typer.Option("--number", "-n", min=0, help="How many of the sentences whose score changed most to show.")
    ] = 5,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="METRIC", help="What sentences moved in; the first metric of texts if not given."),
    ] = None,
    resamples: Resamples = 1000,
    trials: Trials = 10000,
    seed: SeedOfTests = 12345,
    beam_size: BeamSize = None,
    checkpoint: Checkpoint = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also draw all learning curves: .png, .svg or .pdf.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="The curves light on dark.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare runs on one test set: scores, tests of their differences, recipes, and the sentences that moved most."""
    from seqcli.cli.console import busy, note, notes, print_json, warn
    from seqcli.comparison import compare as compare_runs

    notes.quiet = quiet
    check_picture(output, f"--output {output}")
    names = metric_names(metrics)
    with busy("comparing"):
        loaded = load_all(runs, checkpoint)
        found = compare_runs(
            loaded,
            split_of(split, loaded),
            metrics=names,
            beam_size=beam_size,
            resamples=resamples,
            trials=trials,
            seed=seed,
        )
    moved_by = moving_metric(found, by)
    if as_json:
        print_json(_as_json(found, loaded, moved_by, number))
    else:
        from seqcli.cli.comparison import print_comparison

        count = len(found.evaluations[0].examples)
        note(f"{found.split}, {count:,} examples; checkpoints {', '.join(run.checkpoint.name for run in loaded)}")
        print_comparison(found, moved_by, number)
        for told in found.notes:
            warn(told)
    if output is not None:
        for path in _draw(loaded, output, dark):
            note(f"wrote {path}")


def moving_metric(found: Comparison, by: str | None) -> str | None:
    """What sentences are ordered by: `by`, or the first metric of texts; None where there is none. RecipeError where it was not computed."""
    from seqcli.errors import RecipeError

    counted = list(found.evaluations[0].counts)
    if by is not None and by not in counted:
        raise RecipeError(
            f"--by {by}: give one of the metrics of texts that are computed: {', '.join(counted) or 'none'}"
        )
    return by or next(iter(counted), None)


def _draw(runs: Sequence[Run], output: Path, dark: bool) -> list[Path]:
    from seqcli.figures.curves import curves_figure
    from seqcli.figures.saving import save_figures
    from seqcli.metrics import read_records
    from seqcli.run import METRICS

    records = {str(run.folder): read_records(run.folder / METRICS) for run in runs}
    return save_figures([curves_figure(records, dark=dark)], output)


def _as_json(found: Comparison, runs: Sequence[Run], by: str | None, number: int) -> dict[str, Any]:
    """What --json prints."""
    return {
        "split": found.split,
        "examples": len(found.evaluations[0].examples),
        "runs": [
            {
                "run": name,
                "checkpoint": run.checkpoint.name,
                "metrics": {key: metric.as_json() for key, metric in evaluation.metrics.items()},
            }
            for name, run, evaluation in zip(found.names, runs, found.evaluations, strict=True)
        ],
        "tests": [
            {"run": name, "against": found.names[0], **test.as_json()}
            for name, tests in found.tests.items()
            for test in tests
        ],
        "recipe": found.recipe,
        "moved": {"by": by, "sentences": [each.as_json() for each in found.moved(by, number)] if by else []},
        "notes": found.notes,
    }
