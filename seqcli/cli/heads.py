"""`seqcli visualize heads`: what each attention head of a model does, measured over many sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli.arguments import Checkpoint, Dark, Json, Overrides, Quiet, RunFolder, check_picture, checked_split

if TYPE_CHECKING:
    from seqcli.analysis.heads import Head


def heads(
    run: RunFolder,
    overrides: Overrides = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    examples: Annotated[int, typer.Option("--examples", min=1, help="How many of its examples to measure on.")] = 100,
    removal: Annotated[
        bool, typer.Option("--removal/--no-removal", help="Measure the loss without each head, a pass for each.")
    ] = True,
    words: Annotated[bool, typer.Option("--words", help="Merge subwords or characters into words.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also draw them: .png, .svg or .pdf.")] = None,
    dark: Dark = False,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what each head does while the targets of a split are written: uniform, diagonal, at rest or dead.

    Entropy is in nats, evenness its share of the largest there could be, distance in symbols (in cross-attention from the diagonal), confidence
    the mean of the largest weight, and removal by how much the loss rises without the head, in nats a symbol: dead is below 0.001.
    """
    from seqcli.cli.console import busy, note, notes, print_json

    notes.quiet = quiet
    check_picture(output, f"--output {output}")
    part = checked_split(split)
    with busy("measuring"):
        from seqcli.run import load

        loaded = load(run, overrides or [], checkpoint=checkpoint)
        found = loaded.heads(part, examples=examples, removal=removal, words=words)
    if as_json:
        print_json([head.as_json() for head in found])
    else:
        _print(found)
    if output is not None:
        from seqcli.figures.heads import heads_figure
        from seqcli.figures.saving import save_figures

        for path in save_figures([heads_figure(found, dark=dark)], output):
            note(f"wrote {path}")


def _print(found: list[Head]) -> None:
    """A row for each head."""
    from seqcli.cli.console import data, figure, table

    columns = ["attention", "layer", "head", "entropy", "evenness", "distance", "confidence"]
    removal = any(head.removal is not None for head in found)
    rows = [
        [
            head.kind,
            str(head.layer),
            str(head.head),
            figure(head.entropy),
            f"{head.evenness:.0%}",
            "–" if head.distance is None else figure(head.distance),
            figure(head.confidence),
            *([figure(head.removal or 0.0)] if removal else []),
        ]
        for head in found
    ]
    data.print(table(None, [*columns, *(["removal"] if removal else [])], rows))
    data.print()
    for head in found:
        if head.words:
            place = f"{head.kind} layer {head.layer} head {head.head}"
            data.print(f"{place}  {head.words}", soft_wrap=True)
