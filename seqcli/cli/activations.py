"""`seqcli visualize activations`: what every layer does at the start, from other starts, and after some steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli.arguments import Checkpoint, Dark, Overrides, Quiet, Subject, check_picture

if TYPE_CHECKING:
    from seqcli.analysis.activations import LayerActivity


def activations(
    subject: Subject,
    overrides: Overrides = None,
    initialization: Annotated[
        list[str] | None,
        typer.Option(
            "--initialization",
            metavar="KIND[=SCALE]",
            help="What all weight matrices but the embeddings start from, as in orthogonal or normal=0.01; may be given several times, to compare.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Train so many steps, and look once more.")] = 0,
    sentences: Annotated[
        int, typer.Option("--examples", "--sentences", min=1, help="How many examples are read.")
    ] = 64,
    gates: Annotated[
        bool, typer.Option("--gates", help="Draw the gates of recurrent layers too, not only their states.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf.")] = Path(
        "activations.png"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers, gates and single steps too.")] = False,
    dark: Dark = False,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Draw weights, pre-activations, activations and gradients of every layer, and tell how many units are saturated or alike.

    The table: standard deviations of weights and pre-activations (input), root mean squares of activations (output) and gradients, the
    share that is saturated, by what a layer multiplies the variance going up and its gradient's going down, and how many units differ.

    Of a run, the model before its first step is shown beside what it has become.
    """
    from seqcli.analysis.activations import shown_layers
    from seqcli.cli.console import busy, note, notes, print_json
    from seqcli.errors import RecipeError
    from seqcli.figures.activations import activations_figure
    from seqcli.figures.saving import save_figures
    from seqcli.inspection import is_run, recipe_activities, run_activities

    notes.quiet = quiet
    check_picture(output, "visualize activations")
    given = overrides or []
    if is_run(subject):
        if initialization or steps:
            raise RecipeError(
                f"{subject} is a run, which has started and trained already; --initialization and --steps are for recipes"
            )
        found = run_activities(subject, given, checkpoint=checkpoint, sentences=sentences)
    else:
        if checkpoint is not None:
            raise RecipeError(f"--checkpoint {checkpoint}: {subject} is a recipe, which has no checkpoints; give a run")
        with busy("reading the data"):
            found = recipe_activities(subject, given, starts=initialization or [], steps=steps, sentences=sentences)
    shown = found if gates else {name: shown_layers(layers) for name, layers in found.items()}
    if as_json:
        print_json({name: [one.as_json() for one in layers] for name, layers in found.items()})
    else:
        _print_tables(shown)
    for path in save_figures([activations_figure(shown, dark=dark)], output):
        note(f"wrote {path}")


COLUMNS = ("layer", "weights", "input", "output", "saturated", "gradient", "× up", "× down", "units")
"""Standard deviations of weights and pre-activations, rms of activations and gradients, what becomes of the variance, distinct units."""


def _print_tables(models: dict[str, list[LayerActivity]]) -> None:
    from seqcli.cli.console import data, table

    for number, (name, layers) in enumerate(models.items()):
        if number:
            data.print()
        data.print(table(name, COLUMNS, [_row(layer) for layer in layers]))


def _row(layer: LayerActivity) -> list[str]:
    def told(value: float | None) -> str:
        return "–" if value is None else f"{value:.2g}"

    alike = layer.symmetry
    return [
        layer.name.replace("layer ", ""),
        told(None if layer.weights is None else layer.weights.deviation),
        told(None if layer.pre is None else layer.pre.deviation),
        told(layer.activations.rms),
        "–" if layer.saturated is None else f"{layer.saturated:.0%}",
        told(layer.gradients.rms),
        told(layer.forward),
        told(layer.backward),
        "–" if alike is None else f"{alike.distinct}/{alike.units}",
    ]
