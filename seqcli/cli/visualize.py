"""`seqcli visualize`: pictures of what a model does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli.arguments import BeamSize, Checkpoint, Overrides, Quiet, RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqcli.evaluation.attention import AttentionMaps

app = typer.Typer(no_args_is_help=True, help="Pictures of what a model does: attention, learning curves.")


@app.command()
def attention(
    run: RunFolder,
    overrides: Overrides = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", help="A sentence to look at; may be given several times.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="The target to look at instead of the model's own translation; one for each --text."
        ),
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", help="Sentences, one a line; stdin if - is given.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf (several sentences: numbered, or pages)."),
    ] = Path("attention.png"),
    arrays: Annotated[
        Path | None, typer.Option("--arrays", help="Also write all weights to this .npz file (numbered if several).")
    ] = None,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Every layer and head by itself, not the last layer's mean.")
    ] = False,
    words: Annotated[bool, typer.Option("--words", help="Merge subwords or characters into words.")] = False,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
    beam_size: BeamSize = None,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Draw what the decoder looked at in the source while it wrote each symbol."""
    from seqcli.cli.console import note, notes, tell_cut
    from seqcli.errors import RecipeError
    from seqcli.figures.saving import save_figures
    from seqcli.run import load

    notes.quiet = quiet
    texts = [*(text or []), *_lines(input_file)]
    if not texts:
        raise RecipeError("nothing to look at; give --text SENTENCE or --input FILE")
    if target and len(target) != len(texts):
        raise RecipeError(f"{len(texts)} sentences, but {len(target)} times --target; give one for each sentence")
    loaded = load(run, overrides or [], checkpoint=checkpoint)
    maps = loaded.attention(texts, target, beam_size=beam_size)
    tell_cut(loaded.translator)
    _tell_missing_fonts(maps)
    figures = [_figure(one, sheet=sheet, words=words, dark=dark) for one in maps]
    for path in save_figures(figures, output):
        note(f"wrote {path}")
    if arrays is not None:
        for path in _save_arrays(maps, arrays):
            note(f"wrote {path}")


@app.command()
def curves(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf.")] = Path(
        "curves.png"
    ),
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="A,B", help="Panels to draw, as in loss,bleu; all if not given.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Draw learning curves from the records of one or several runs."""
    from seqcli.cli.console import note, notes
    from seqcli.figures.curves import curves_figure, read_records
    from seqcli.figures.saving import save_figures

    notes.quiet = quiet
    names = [name.strip() for name in metrics.split(",")] if metrics else None
    records = {str(run): read_records(run / "metrics.jsonl") for run in runs}
    for path in save_figures([curves_figure(records, metrics=names)], output):
        note(f"wrote {path}")


def _lines(path: Path | None) -> list[str]:
    """The lines of a file, or of stdin for `-`; blank ones left out, since there is nothing to see in them."""
    from seqcli.errors import DataError

    if path is None:
        return []
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    lines = data.decode("utf-8", errors="replace").removeprefix("\ufeff").split("\n")
    return [line.removesuffix("\r") for line in lines if line.strip()]


def _figure(maps: AttentionMaps, *, sheet: bool, words: bool, dark: bool) -> Figure:
    from seqcli.figures.attention import attention_figure, attention_sheet, merge_words

    weights, source, target = maps.cross, list(maps.source), list(maps.target)
    if words:
        weights = merge_words(weights, maps.target_words, maps.source_words)
        source, target = _joined(source, maps.source_words), _joined(target, maps.target_words)
    if not sheet:
        return attention_figure(weights[-1].mean(axis=0), source, target, dark=dark)
    layers, heads = weights.shape[:2]
    return attention_sheet(
        weights,
        source,
        target,
        row_titles=[f"layer {layer + 1}" for layer in range(layers)],
        col_titles=[f"head {head + 1}" for head in range(heads)],
        dark=dark,
    )


def _joined(symbols: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[str]:
    """The words that the spans make of the symbols; ▁ is sentencepiece's space."""
    return ["".join(symbols[start:end]).replace("▁", " ").strip() for start, end in spans]


def _save_arrays(maps: Sequence[AttentionMaps], path: Path) -> list[Path]:
    from seqcli.figures.saving import save_arrays

    several = len(maps) > 1
    written = []
    for number, one in enumerate(maps, start=1):
        kinds = {"cross": one.cross, "encoder": one.encoder, "decoder": one.decoder}
        present = {name: weights for name, weights in kinds.items() if weights is not None}
        place = path.with_name(f"{path.stem}-{number}{path.suffix}") if several else path
        written.append(save_arrays(place, present, one.source, one.target))
    return written


def _tell_missing_fonts(maps: Sequence[AttentionMaps]) -> None:
    from seqcli.cli.console import warn
    from seqcli.figures.fonts import missing_fonts

    packages = missing_fonts([symbol for one in maps for symbol in (*one.source, *one.target)])
    if packages:
        warn(
            f"some characters have no font here and are drawn as boxes; Debian's packages {', '.join(packages)} have them"
        )
