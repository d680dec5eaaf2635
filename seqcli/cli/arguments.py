"""Arguments and options that several commands take, so that they are called and explained alike."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seqcli.data.corpus import Split
    from seqcli.run import Run

Subject = Annotated[
    str, typer.Argument(metavar="RECIPE|RUN", help="A recipe, of which the start is shown, or a run directory.")
]
RunsAndOverrides = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN... [KEY.PATH=VALUE]...",
        help="Run directories, the first the one that the others are compared with; and keys of all recipes to set.",
    ),
]
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
Quantization = Annotated[
    str,
    typer.Option(
        "--quantization", metavar="TYPE", help="CTranslate2's weights: float32, float16, bfloat16, int16, or int8."
    ),
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
        help="Let the unknown symbol be written, and replace each by the source word that got most attention.",
    ),
]
Lexicon = Annotated[
    Path | None,
    typer.Option(
        "--lexicon",
        metavar="FILE",
        help="A dictionary for --replace-unknown, lines of a word, a tab and its translation: write that instead of the source word.",
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="NAME", help="Which task the sources are of, where the run has learnt several (data.tasks)."
    ),
]
SplitOfRuns = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="train, validation or test; test if not given, or validation where a recipe names no test split.",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option("--metrics", metavar="A,B", help="Metrics to compute; those of the first run if not given."),
]
Resamples = Annotated[
    int, typer.Option("--resamples", min=40, help="Resamples for the intervals and the paired bootstrap.")
]
Trials = Annotated[int, typer.Option("--trials", min=1, help="Trials of approximate randomisation.")]
SeedOfTests = Annotated[int, typer.Option("--seed", min=0, help="What resamples and trials are drawn from.")]
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
        metavar="output|input",
        help="Whose attention links a word: output, the step that writes it, which is usual, or input, the next step, which reads it.",
    ),
]
AlignLayer = Annotated[
    int | None,
    typer.Option(
        "--align-layer",
        min=1,
        help="The layer, or hop, to read. Default: the last; for a Transformer the last but one.",
    ),
]
AlignThreshold = Annotated[
    float | None,
    typer.Option(
        "--align-threshold",
        min=0.0,
        max=1.0,
        help="Link every source word that gets at least this share of the attention, not only the one that gets most.",
    ),
]
AlignWords = Annotated[bool, typer.Option("--align-words", help="Link words where the symbols are characters.")]


def checked_split(name: str) -> Split:
    """The value of --split; RecipeError where there is no such split."""
    from seqcli.data.corpus import SPLITS
    from seqcli.errors import RecipeError

    if name not in SPLITS:
        raise RecipeError(f"--split {name}: there are train, validation and test")
    return name


def refuse_uneven(sources: int, targets: list[str] | None) -> None:
    """RecipeError where some of the sources have a --target and others have none."""
    from seqcli.errors import RecipeError

    if targets and len(targets) != sources:
        raise RecipeError(f"{sources} sources, but {len(targets)} times --target; give one for each")


def is_override(argument: str) -> bool:
    """Whether a command-line argument sets a key: one with `=` in it that is the name of nothing that is there."""
    return "=" in argument and not os.path.exists(argument)  # Path.exists fails on a long one


def split_overrides(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is named by command-line arguments, recipes or runs, and the overrides among them."""
    every = list(arguments)
    overrides = [argument for argument in every if is_override(argument)]
    return [argument for argument in every if argument not in overrides], overrides


def load_all(arguments: Sequence[str], checkpoint: str | None) -> list[Run]:
    """The runs among the arguments, the overrides among them written into the recipe of each."""
    from seqcli.run import load

    folders, overrides = split_overrides(arguments)
    return [load(folder, overrides, checkpoint=checkpoint) for folder in folders]


def split_of(name: str | None, runs: Sequence[Run]) -> Split:
    """The value of --split, or the split that all runs are scored on. RecipeError where there is none of that name."""
    from seqcli.build.data import open_split

    if name is None:
        return "test" if all(open_split(run.recipe.data, "test") for run in runs) else "validation"
    return checked_split(name)


def metric_names(metrics: str | None) -> list[str] | None:
    """The names given with --metrics; None where none are given. RecipeError where one is none."""
    from typing import get_args

    from seqcli.errors import RecipeError
    from seqcli.recipe.section import MetricName

    if metrics is None:
        return None
    names = [name.strip() for name in metrics.split(",")]
    unknown = [name for name in names if name not in get_args(MetricName)]
    if unknown:
        raise RecipeError(f"--metrics {', '.join(unknown)}: there are {', '.join(get_args(MetricName))}")
    return names


def check_picture(output: Path | None, what: str, *, but: Collection[str] = ()) -> None:
    """Ask whether a picture can be drawn, and be called so, before there is anything to draw: that may take minutes.

    RecipeError where `what` needs packages that are not installed, or where the name has another ending than those of pictures. Names that
    end in one of `but` are of no picture.
    """
    from seqcli.extras import require
    from seqcli.figures.saving import picture_ending

    if output is not None and output.suffix.lower() not in but:
        require("plots", what)
        picture_ending(output)
