"""Arguments and options that several commands take, so that they are called and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from seqcli.build.data import Split

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, as `seqcli train` makes it.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Keys of the recipe to set, as in search.beam_size=5."),
]
Checkpoint = Annotated[
    str | None,
    typer.Option("--checkpoint", metavar="NAME", help="auto, best, last, average, or a step's number."),
]
BeamSize = Annotated[
    int | None, typer.Option("--beam-size", min=1, help="Hypotheses kept at each step; 1 is greedy search.")
]
EnsembleRuns = Annotated[
    list[Path] | None,
    typer.Option(
        "--ensemble",
        metavar="RUN",
        help="A run whose probabilities are averaged with RUN's; may be given several times.",
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--mbr",
        min=2,
        metavar="N",
        help="Draw N samples, and write the one that is most like all of them (minimum Bayes risk); its score is that likeness.",
    ),
]
LikenessBy = Annotated[
    str | None,
    typer.Option("--mbr-utility", metavar="METRIC", help="What --mbr measures likeness by: chrf (usual) or bleu."),
]
ReplaceUnknown = Annotated[
    bool,
    typer.Option(
        "--replace-unknown",
        help="Let the unknown symbol be written, and put the word of the source in its place that was looked at most.",
    ),
]
Lexicon = Annotated[
    Path | None,
    typer.Option(
        "--lexicon",
        metavar="FILE",
        help="Of that word --replace-unknown writes the translation: lines of a word, a tab, its translation.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Dark = Annotated[bool, typer.Option("--dark", help="Draw light on dark.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]

Texts = Annotated[
    list[str] | None, typer.Option("--text", "-t", help="A sentence to look at; may be given several times.")
]
Images = Annotated[
    list[Path] | None,
    typer.Option("--image", help="An image to look at, with a question to it as --text where the run reads both."),
]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="The target to look at instead of the model's own; one for each source."),
]

AlignFrom = Annotated[
    str | None,
    typer.Option(
        "--align-from",
        metavar="STEP",
        help="Whose attention is a word's: of the step that has it as output, which is usual, or of the next, that has it as input.",
    ),
]
AlignLayer = Annotated[
    int | None,
    typer.Option(
        "--align-layer", min=1, help="The layer, or hop, to read; usual is the last, of a Transformer the one before."
    ),
]
AlignThreshold = Annotated[
    float | None,
    typer.Option(
        "--align-threshold", min=0.0, max=1.0, help="Link all words with so much attention, not the one with the most."
    ),
]
AlignWords = Annotated[bool, typer.Option("--align-words", help="Link words where the symbols are characters.")]


def checked_split(name: str) -> Split:
    """The value of --split; RecipeError where there is no such split."""
    from seqcli.errors import RecipeError

    if name not in ("train", "validation", "test"):
        raise RecipeError(f"--split {name}: there are train, validation and test")
    return cast("Split", name)


def refuse_uneven(sources: int, targets: list[str] | None) -> None:
    """RecipeError where some of the sources have a --target and others have none."""
    from seqcli.errors import RecipeError

    if targets and len(targets) != sources:
        raise RecipeError(f"{sources} sources, but {len(targets)} times --target; give one for each")
