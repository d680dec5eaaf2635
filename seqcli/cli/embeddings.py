"""`seqcli visualize embeddings`: where words lie, and who is near whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli.arguments import Checkpoint, Dark, Json, Overrides, Quiet, Subject, check_picture


def embeddings(
    subject: Subject,
    overrides: Overrides = None,
    side: Annotated[str, typer.Option("--side", help="source, target or both.")] = "both",
    words: Annotated[
        str | None,
        typer.Option("--words", metavar="A,B", help="The words to look at; the most frequent if not given."),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the most frequent.")] = 60,
    neighbours: Annotated[int, typer.Option("--neighbours", min=1, help="Nearest words told of each.")] = 5,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf.")] = Path(
        "embeddings.png"
    ),
    as_json: Json = False,
    dark: Dark = False,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Draw words on the first two principal components of their embeddings, and print each one's neighbours by cosine."""
    from seqcli.cli.console import data, note, notes, print_json, table, tell_missing_fonts
    from seqcli.errors import RecipeError
    from seqcli.figures.embeddings import embeddings_figure
    from seqcli.figures.saving import save_figures
    from seqcli.inspection import embedding_tables, open_subject, side_embeddings

    notes.quiet = quiet
    check_picture(output, "visualize embeddings")
    if side not in ("source", "target", "both"):
        raise RecipeError(f"--side {side}: there are source, target and both")
    chosen = [word.strip() for word in words.split(",") if word.strip()] if words else []
    run = open_subject(subject, overrides or [], checkpoint=checkpoint)
    sides = list(embedding_tables(run)) if side == "both" else [side]
    maps = [side_embeddings(run, one, words=chosen, count=count, neighbours=neighbours) for one in sides]
    tell_missing_fonts([word for one in maps for word in one.words])
    if as_json:
        print_json([one.as_json() for one in maps])
    else:
        for one in maps:
            near = ["  ".join(f"{word} {cosine:.2f}" for word, cosine in each) for each in one.neighbours]
            first, second = one.explained
            data.print(f"{one.side}: {first:.1%} and {second:.1%} of the variance on the two axes", soft_wrap=True)
            data.print(table(None, ["word", "nearest by cosine"], list(zip(one.words, near, strict=True)), left=2))
    for path in save_figures([embeddings_figure(maps, dark=dark)], output):
        note(f"wrote {path}")
