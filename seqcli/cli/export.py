"""`seqcli export`: a trained model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from seqcli.cli.arguments import Checkpoint, Overrides, Quantization, Quiet, RunFolder

if TYPE_CHECKING:
    from seqcli.run import ExportTarget


def export(
    run: RunFolder,
    overrides: Overrides = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="ctranslate2, onnx, or safetensors.")
    ] = "safetensors",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder; RUN-FORMAT beside the run if not given.")
    ] = None,
    quantization: Quantization = "float32",
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Write a run's model as a folder for other programs, with the recipe and the tokenizers beside it.

    ctranslate2: a Transformer of texts for that library, and for `seqcli translate --engine ctranslate2`. onnx: any model, as two graphs, and a
    JSON file on how to decode with them. safetensors: the weights alone, which seqcli loads as a run.
    """
    from seqcli.cli.console import busy, note, notes
    from seqcli.errors import RecipeError

    notes.quiet = quiet
    if to not in ("ctranslate2", "onnx", "safetensors"):
        raise RecipeError(f"--to {to}: there are ctranslate2, onnx and safetensors")
    beside = run if run.name not in ("", "..") else run.resolve()  # of . and .. Path knows neither name nor parent
    folder = output or beside.parent / f"{run.resolve().name}-{to}"
    with busy("exporting"):
        from seqcli.run import load

        loaded = load(run, overrides or [], checkpoint=checkpoint)
        loaded.export(folder, to=cast("ExportTarget", to), quantization=quantization)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    note(f"exported {loaded.checkpoint} to {folder} ({size / 1e6:,.1f} MB){NEXT[to].format(folder)}")


NEXT = {
    "ctranslate2": "; next: seqcli translate {} --engine ctranslate2",
    "onnx": "; model.json says how to decode with it",
    "safetensors": "; next: seqcli translate {}",
}
