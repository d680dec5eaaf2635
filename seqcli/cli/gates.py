"""`seqcli visualize gates`: what LSTMs and GRUs let through, symbol by symbol."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from seqcli.cli.arguments import (
    BeamSize,
    Checkpoint,
    Dark,
    Json,
    Overrides,
    Quiet,
    Subject,
    Targets,
    TaskName,
    Texts,
    check_picture,
    checked_split,
    refuse_uneven,
)

if TYPE_CHECKING:
    from seqcli.analysis.gates import Gate, GateMap, UnitSaturation

AnyGate = TypeVar("AnyGate", bound="Gate")


def gates(
    subject: Subject,
    overrides: Overrides = None,
    text: Texts = None,
    task: TaskName = None,
    target: Targets = None,
    saturation: Annotated[
        int | None,
        typer.Option(
            "--saturation",
            min=1,
            metavar="N",
            help="Instead of a sentence: how often each unit is open and shut over N examples of --split.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Where --saturation reads: train, validation or test.")
    ] = "test",
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", help='Draw only layers whose name starts so, as in encoder or "decoder layer 1".'),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf.")] = Path(
        "gates.png"
    ),
    as_json: Json = False,
    dark: Dark = False,
    beam_size: BeamSize = None,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Draw each gate as a map of units and symbols, with its mean and its saturated shares; from 0, shut, to 1, open."""
    from seqcli.analysis.gates import gate_maps, unit_saturation
    from seqcli.build.data import named_split
    from seqcli.cli.console import data, note, notes, print_json, table, tell_missing_fonts
    from seqcli.errors import RecipeError
    from seqcli.figures.gates import gates_figure, saturation_figure
    from seqcli.figures.saving import save_figures
    from seqcli.inspection import open_subject

    notes.quiet = quiet
    check_picture(output, "visualize gates")
    if bool(text) == (saturation is not None):
        raise RecipeError("give --text SENTENCE, or --saturation N, to look at many examples")
    refuse_uneven(len(text or []), target)
    part = checked_split(split)
    run = open_subject(subject, overrides or [], checkpoint=checkpoint)
    if saturation is not None:
        corpus = named_split(run.recipe.data, part)
        read = islice((one for one in corpus.read() if one.source.strip() and one.target), saturation)
        units = _chosen(unit_saturation(run.translator, list(read)), layer)
        symbols: list[str] = []
        figures = [saturation_figure(units, dark=dark)]
        records = [one.as_json() for one in units]
        rows = [_row(one, one.mean) for one in units]
    else:
        examples = run.examples(text or [], target, task=task)
        found = [_chosen(maps, layer) for maps in gate_maps(run.translator, examples, run.settings(beam_size))]
        symbols = [symbol for maps in found for one in maps for symbol in one.symbols]
        figures = [gates_figure(maps, dark=dark) for maps in found]
        records = [
            {"text": each, "gates": [one.as_json() for one in maps]}
            for each, maps in zip(text or [], found, strict=True)
        ]
        rows = [_row(one, float(one.values.mean())) for maps in found for one in maps]
    tell_missing_fonts(symbols)
    if as_json:
        print_json(records)
    else:
        data.print(table(None, ["gate", "mean", "shut (< 0.1)", "open (> 0.9)"], rows))
    for path in save_figures(figures, output):
        note(f"wrote {path}")


def _row(gate: GateMap | UnitSaturation, mean: float) -> list[str]:
    return [gate.name, f"{mean:.3f}", f"{gate.shut.mean():.1%}", f"{gate.open.mean():.1%}"]


def _chosen(gates: Sequence[AnyGate], layer: list[str] | None) -> list[AnyGate]:
    from seqcli.errors import RecipeError

    kept = [one for one in gates if not layer or one.name.startswith(tuple(layer))]
    if not kept:
        raise RecipeError(
            f"no gate is called {' or '.join(layer or [])} …; there are {', '.join(one.name for one in gates)}"
        )
    return kept
