"""`seqcli sweep`: a recipe in all combinations of some values, and what of it matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.arguments import Json, Quiet, metric_names
from seqcli.cli.signals import passed_on

if TYPE_CHECKING:
    from rich.status import Status

    from seqcli.sweep import Plan, Setting, Sweep


def sweep(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped recipe.")],
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY.PATH=A,B,C...",
            help="Keys with their values; a comma inside brackets, braces or quotes does not part two values.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder of the runs; runs/<recipe name>-sweep if not given."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs side by side; they share the cores.")] = 1,
    split: Annotated[str, typer.Option("--split", help="What is scored: validation or test.")] = "test",
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="A,B", help="Metrics to compute; the recipe's if not given.")
    ] = None,
    against: Annotated[
        str, typer.Option("--against", help="What p values compare with: the first row, or the best.")
    ] = "first",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs, and stop.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a recipe in all combinations of some values, score each, and compare them over their seeds.

    As in `seqcli sweep dates model.decoder.kind=gru,lstm seed=1,2,3`, which is six runs. The same command again goes on where it
    stopped, and with more values adds the runs that are new. The table has mean ± standard deviation over the seeds, and p of
    Welch's t-test over the runs, raised by Holm's method for the number of rows. A run that fails is named in the end, and the others go on.
    """
    from seqcli.cli.console import busy, data, note, notes, print_json
    from seqcli.errors import RecipeError
    from seqcli.recipe.load import recipe_name
    from seqcli.recipe.sweep import read_axes

    notes.quiet = quiet
    if against not in ("first", "best"):
        raise RecipeError(f"--against {against}: there are first and best")
    if split not in ("validation", "test"):
        raise RecipeError(f"--split {split}: there are validation and test")
    metric_names(metrics)  # asked for now, not after the first run
    axes = read_axes(values)
    folder = output or Path(f"runs/{recipe_name(recipe)}-sweep")
    with busy("reading the recipes"):
        from seqcli.sweep import Sweep, compare_settings, plan_sweep

        plan = plan_sweep(recipe, axes, folder)
    _tell_plan(plan)
    if dry_run:
        if as_json:
            print_json(_planned(recipe, plan))
        else:
            typer.echo("\n".join(str(run.folder) for run in plan.runs))
        return
    with _View(plan) as view, passed_on((made := Sweep(plan, split, metrics, view.tell)).send):
        made.run(jobs)
    compared = compare_settings(plan, made.scores, against=against)  # type: ignore[arg-type]
    if as_json:
        print_json(_as_json(recipe, made, compared, against))
    elif made.scores:
        for table in _tables(compared, split):
            data.print(table)
            data.print()
        _tell_tests(compared)
    _end(made, len(plan.runs), note)


def _tell_plan(plan: Plan) -> None:
    from seqcli.cli.console import note, warn

    note(f"{len(plan.runs)} runs in {plan.folder}")
    for failure in plan.invalid:
        warn(f"{failure.run} is no valid recipe and is left out:\n{failure.message}")


def _end(made: Sweep, planned: int, note: Any) -> None:
    """What has failed or is not done yet, and the exit code that says so."""
    for failure in made.failures:
        typer.echo(f"failed: {failure.run} (exit code {failure.exit_code}): {failure.message}", err=True)
    if made.stopped_by is not None:
        note(f"stopped with {len(made.scores)} of {planned} runs finished; the same command goes on")
        raise typer.Exit(128 + made.stopped_by)
    if made.failures:
        codes = {failure.exit_code for failure in made.failures}
        raise typer.Exit(codes.pop() if len(codes) == 1 else 1)


class _View:
    """What one sees of a sweep: on a terminal a line that renews itself for what is going on, else the lines that the runs say."""

    def __init__(self, plan: Plan) -> None:
        from seqcli.cli.console import notes
        from seqcli.cli.screen import can_move

        self.numbers = {run.name: number for number, run in enumerate(plan.runs, start=1)}
        self.latest: dict[str, str] = {}
        self.status: Status | None = notes.status("") if can_move(notes) else None

    def __enter__(self) -> _View:
        if self.status:
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status:
            self.status.stop()

    def tell(self, name: str, line: str) -> None:
        """Take in a line; the samples of a validation, which are indented, are left out."""
        from rich.text import Text

        from seqcli.cli.console import note

        if not line.strip() or line.startswith(" "):
            return
        shown = f"[{self.numbers[name]}/{len(self.numbers)}] {name}: {line}"
        if self.status is None or not line.startswith("step "):
            note(shown)
        if self.status is not None:
            self.latest[name] = shown
            self.status.update(Text("\n".join(list(self.latest.values())[-4:]), overflow="ellipsis"))


def _tables(settings: Sequence[Setting], split: str) -> Iterator[Any]:
    """A table for each metric: the settings, how many runs, mean and standard deviation, and the comparison."""
    from seqcli.cli.console import figure, table

    keys = [key for key, _ in settings[0].settings]
    for metric in dict.fromkeys(name for each in settings for name in each.metrics):
        rows = []
        for each in settings:
            found = each.metrics.get(metric)
            values = [value for _, value in each.settings]
            if found is None:
                rows.append([*values, f"0 of {each.planned}", "–", "", "", "", ""])
                continue
            scores = [run[metric] for run in each.runs.values()]
            spread = found.spread
            rows.append(
                [
                    *values,
                    str(spread.count) if spread.count == each.planned else f"{spread.count} of {each.planned}",
                    figure(spread.mean) + (f" ± {figure(spread.sd)}" if spread.sd is not None else ""),
                    f"{figure(min(scores))}–{figure(max(scores))}" if spread.count > 1 else "",
                    ""
                    if found.difference is None
                    else f"{'+' if found.difference > 0 else ''}{figure(found.difference)}",
                    _p(found.p),
                    _p(found.p_holm),
                ]
            )
        columns = [*keys, "runs", "mean ± sd", "range", "difference", "p", "p (Holm)"]
        kept = [place for place in range(len(columns)) if place <= len(keys) + 1 or any(row[place] for row in rows)]
        yield table(
            f"{metric} ({split})", [columns[i] for i in kept], [[row[i] for i in kept] for row in rows], left=len(keys)
        )


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _tell_tests(settings: Sequence[Setting]) -> None:
    """Where there is no p, why, and what would give one."""
    from seqcli.cli.console import note

    if len(settings) > 1 and not any(one.p is not None for each in settings for one in each.metrics.values()):
        note(
            "no p values: a test over seeds needs two or more for each setting, as in seed=1,2,3; "
            "whether two runs differ on these very sentences is what `seqcli compare` tells"
        )


def _planned(recipe: str, plan: Plan) -> dict[str, Any]:
    """What --dry-run prints as JSON."""
    return {
        "recipe": recipe,
        "folder": str(plan.folder),
        "runs": [
            {"run": run.name, "folder": str(run.folder), "settings": dict(run.settings), "seed": run.seed}
            for run in plan.runs
        ],
        "failed": [failure.as_json() for failure in plan.invalid],
    }


def _as_json(recipe: str, made: Sweep, settings: Sequence[Setting], against: str) -> dict[str, Any]:
    return {
        "recipe": recipe,
        "folder": str(made.plan.folder),
        "split": made.split,
        "against": against,
        "test": "Welch's t-test over runs, two-sided; p_holm: Holm's method",
        "settings": [
            {
                "settings": dict(each.settings),
                "planned": each.planned,
                "runs": {name: dict(scores) for name, scores in each.runs.items()},
                "metrics": {
                    name: {
                        "mean": one.spread.mean,
                        "sd": one.spread.sd,
                        "count": one.spread.count,
                        "difference": one.difference,
                        "p": one.p,
                        "p_holm": one.p_holm,
                    }
                    for name, one in each.metrics.items()
                },
            }
            for each in settings
        ],
        "failed": [failure.as_json() for failure in made.failures],
        "stopped": made.stopped_by is not None,
    }
