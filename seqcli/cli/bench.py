"""`seqcli bench`: how fast a recipe trains here, and where the time goes."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli.arguments import Json, Overrides, Quiet


def bench(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped recipe.")],
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="How many training steps to time.")] = 20,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time some training steps of a recipe: tokens a second, share of the machine, memory, where the time goes.

    Nothing is kept. MFU is the arithmetic that the model needs over what this machine does in a large matrix product.
    """
    from seqcli.cli.console import busy, data, notes, print_json, table
    from seqcli.recipe.load import load_recipe

    notes.quiet = quiet
    resolved = load_recipe(recipe, overrides or [])
    with tempfile.TemporaryDirectory(prefix="seqcli-bench-") as folder, busy("reading the data"):
        from seqcli.benchmark import bench as measure
        from seqcli.experiment import prepare

        experiment = prepare(resolved, Path(folder))
    with busy(f"timing {steps} steps"):
        report = measure(experiment, steps)
    if as_json:
        print_json(asdict(report))
        return
    data.print(
        table(
            None,
            ["speed", ""],
            [
                ["target tokens/s", f"{report.tokens_per_second:,.0f}"],
                ["a step", f"{report.seconds_a_step:.3f} s"],
                ["FLOPs a token", f"{report.flops_per_token / 1e6:,.1f} M"],
                ["model FLOP/s", f"{report.flops_per_second / 1e9:,.1f} G"],
                ["matrix product FLOP/s", f"{report.machine_flops_per_second / 1e9:,.1f} G"],
                ["MFU", f"{100 * report.mfu:.1f} %"],
                ["peak memory", f"{report.peak_bytes / 2**20:,.0f} MB"],
            ],
        )
    )
    data.print()
    data.print(
        table(
            None, ["where the time goes", ""], [[kind, f"{100 * share:.1f} %"] for kind, share in report.shares.items()]
        )
    )
