"""`seqcli visualize`: pictures of what a model does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli import lengths
from seqcli.cli.activations import activations
from seqcli.cli.arguments import (
    BeamSize,
    Checkpoint,
    Dark,
    Images,
    Json,
    Overrides,
    Quiet,
    RunFolder,
    Targets,
    TaskName,
    Texts,
    check_picture,
    checked_split,
    refuse_uneven,
)
from seqcli.cli.embeddings import embeddings
from seqcli.cli.gates import gates
from seqcli.cli.gradients import gradients
from seqcli.cli.heads import heads
from seqcli.cli.streams import name_of, open_input

app = typer.Typer(
    no_args_is_help=True,
    help="Pictures of what a model does: attention and its heads, gradients, activations, gates, embeddings, curves, lengths.",
)

DEFAULT_PICTURE = Path("attention.png")


@app.command()
def attention(
    run: RunFolder,
    overrides: Overrides = None,
    text: Texts = None,
    task: TaskName = None,
    image: Images = None,
    example: Annotated[
        list[int] | None,
        typer.Option(
            "--example", "-e", min=1, help="An example of --split by its number, from 1; may be given several times."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Where --example and --measure look: train, validation or test.")
    ] = "test",
    target: Targets = None,
    input_file: Annotated[Path | None, typer.Option("--input", "-i", help="Sentences, one a line; - is stdin.")] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against", metavar="RUN", help="Another run to show beside this one; may be given several times."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The picture: .png, .svg or .pdf (several: numbered, or pages); .html, to point at words; "
            "of an image also .gif, a frame a word. attention.png if not given.",
        ),
    ] = None,
    arrays: Annotated[
        Path | None, typer.Option("--arrays", help="Also write all weights to this .npz file (numbered if several).")
    ] = None,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Every layer and head by itself, of all kinds, not the last layer's mean.")
    ] = False,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="encoder or decoder (self-attention), or cross; may be given several times."),
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Merge subwords or characters into words.")] = False,
    measure: Annotated[
        int | None,
        typer.Option(
            "--measure",
            metavar="N",
            min=1,
            help="Take what is said of heads from N examples of --split, dead ones told too, not from the one sentence.",
        ),
    ] = None,
    dark: Dark = False,
    beam_size: BeamSize = None,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw what the decoder looked at in the source, a text or an image, while it wrote each symbol."""
    from seqcli.cli.attention import Look, View, draw_all, names_of, save_all_arrays
    from seqcli.cli.attention import as_json as measured
    from seqcli.cli.console import note, notes, print_json, tell_cut
    from seqcli.errors import RecipeError
    from seqcli.extras import require
    from seqcli.figures.saving import check_arrays
    from seqcli.run import load

    notes.quiet = quiet
    picture = None if as_json and output is None else output or DEFAULT_PICTURE
    check_picture(picture, "visualize attention", but=(".html", ".gif"))
    if picture is not None and picture.suffix.lower() == ".gif":
        require("plots", "visualize attention")
    if arrays is not None:
        check_arrays(arrays)
    texts, images = [*(text or []), *_lines(input_file)], [str(path) for path in image or []]
    if not texts and not images and not example:
        raise RecipeError("nothing to look at; give --text SENTENCE, --image FILE, --example NUMBER or --input FILE")
    count = max(len(texts), len(images))
    refuse_uneven(count, target)
    part = checked_split(split)
    for name in kind or []:
        if name not in ("encoder", "decoder", "cross"):
            raise RecipeError(f"--kind {name}: there are encoder, decoder and cross")
    runs = [load(folder, overrides or [], checkpoint=checkpoint) for folder in (run, *(against or []))]
    found = []
    for name, loaded in zip(names_of(runs), runs, strict=True):
        maps = loaded.attention(texts, target, images=images, task=task, beam_size=beam_size) if count else []
        maps += loaded.attention_of(part, example or [], beam_size=beam_size)
        tell_cut(loaded.translator)
        told = loaded.heads(part, examples=measure, words=words) if measure else None
        found.append([View(name, one, told) for one in maps])
    sentences = list(zip(*found, strict=True))
    look = Look(sheet, words, tuple(kind) if kind else None, dark, measure)
    if as_json:
        print_json(measured(sentences, look))
    if picture is not None:
        for path in draw_all(sentences, picture, look):
            note(f"wrote {path}")
    if arrays is not None:
        for path in save_all_arrays(sentences, arrays):
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
    each: Annotated[
        bool, typer.Option("--each", help="A line for each run, also where recipes differ in the seed alone.")
    ] = False,
    dark: Dark = False,
    quiet: Quiet = False,
) -> None:
    """Draw learning curves from the records of one or several runs.

    Runs whose recipes differ in nothing but the seed (and the run directory) are one line, their mean, over a band from the lowest to
    the highest of them; the key says what differs between the recipes.
    """
    from seqcli.cli.console import note, notes
    from seqcli.cli.groups import group_runs
    from seqcli.figures.curves import curves_figure
    from seqcli.figures.saving import save_figures
    from seqcli.metrics import read_records

    notes.quiet = quiet
    check_picture(output, "visualize curves")
    names = [name.strip() for name in metrics.split(",")] if metrics else None
    records = {str(run): read_records(run / "metrics.jsonl") for run in runs}
    groups = None if each else group_runs(runs)
    for path in save_figures([curves_figure(records, metrics=names, groups=groups, dark=dark)], output):
        note(f"wrote {path}")


def _lines(path: Path | None) -> list[str]:
    """The lines of a file, or of stdin for `-`; blank ones left out, since there is nothing to see in them."""
    from seqcli.errors import DataError

    if path is None:
        return []
    try:
        with open_input(path) as stream:
            data = stream.read()
    except OSError as error:
        raise DataError(f"{name_of(path)}: cannot be read ({error.strerror or error})") from error
    lines = data.decode("utf-8", errors="replace").removeprefix("\ufeff").split("\n")
    return [line.removesuffix("\r") for line in lines if line.strip()]


app.command("lengths")(lengths.lengths)
app.command()(gradients)
app.command()(heads)
app.command()(activations)
app.command()(gates)
app.command()(embeddings)
