"""`seqcli visualize lengths`: score against the length of the source, for one model or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.arguments import (
    BeamSize,
    Checkpoint,
    Dark,
    Json,
    Quiet,
    check_picture,
    checked_split,
    split_overrides,
)

if TYPE_CHECKING:
    from seqcli.analysis.lengths import LengthCurve
    from seqcli.data.corpus import Split
    from seqcli.evaluation.counting import Counts
    from seqcli.run import Run
    from seqcli.symbols import Example

READ_OF_TRAINING = 100_000
"""Training examples that are read to know the longest; of a larger corpus it is not told."""
RESAMPLES = 1000


def lengths(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN... [KEY.PATH=VALUE...]",
            help="Run directories; what has = in it and is no folder sets a key in all of them, as in data.longest=20.",
        ),
    ],
    metric: Annotated[
        str | None, typer.Option("--metric", help="A metric of texts; the recipe's first if not given.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    edges: Annotated[
        str | None,
        typer.Option("--edges", metavar="A,B", help="The greatest length of each bucket, as in 10,20,30,50."),
    ] = None,
    unit: Annotated[
        str, typer.Option("--unit", help="What lengths count: symbols (of the first run), words or characters.")
    ] = "symbols",
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf.")] = Path(
        "lengths.png"
    ),
    dark: Dark = False,
    beam_size: BeamSize = None,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw score against source length, with a 95 % bootstrap interval and the number of sentences of each bucket.

    All runs translate the same sentences; runs whose recipes differ in the seed alone are one line, their mean. To go beyond the
    lengths of training, set the keys of the data: data.longest=20.
    """
    from typing import get_args

    from seqcli.analysis.lengths import LengthCurve, Unit, length_edges, length_scores, source_lengths
    from seqcli.cli.console import busy, data, note, notes, print_json, tell_cut
    from seqcli.cli.groups import group_runs
    from seqcli.errors import RecipeError
    from seqcli.evaluation.metrics import higher_is_better
    from seqcli.figures.lengths import lengths_figure
    from seqcli.figures.saving import save_figures
    from seqcli.run import load

    notes.quiet = quiet
    check_picture(output, "visualize lengths")
    if unit not in get_args(Unit):
        raise RecipeError(f"--unit {unit}: there are {', '.join(get_args(Unit))}")
    part = checked_split(split)
    folders, overrides = split_overrides(arguments)
    if not folders:
        raise RecipeError("no run given; name run directories before the overrides")
    wanted = _edges(edges)
    loaded = {
        folder: load(folder, overrides, checkpoint=checkpoint)
        for folder in dict.fromkeys(str(Path(each)) for each in folders)
    }
    groups = group_runs([Path(folder) for folder in loaded])
    first = next(iter(loaded.values()))
    name = _metric(metric, first)
    examples = _same_examples(loaded, part)
    sizes = source_lengths(examples, unit, first.translator.source_tokenizer)  # type: ignore[arg-type]
    counts: dict[str, Counts] = {}
    with busy("translating"):
        for folder, run in loaded.items():
            counts[folder] = run.counts(name, examples, beam_size=beam_size)
            _tell_short_search(run, folder, examples, beam_size)
            tell_cut(run.translator)
    bounds = wanted or length_edges(sizes)
    curves = [
        LengthCurve(label, length_scores([counts[each] for each in names], sizes, bounds, resamples=RESAMPLES))
        for label, names in groups.items()
    ]
    trained_to = sorted(filter(None, {_longest_in_training(Path(folder), unit, run) for folder, run in loaded.items()}))
    shown = name if higher_is_better(name) else f"{name} (lower is better)"
    if as_json:
        about = {"metric": name, "split": split, "unit": unit, "examples": len(examples), "trained_to": trained_to}
        print_json({**about, "curves": _as_json(curves, groups, counts)})
    else:
        data.print(_table(curves, name, unit))
    for path in save_figures([lengths_figure(curves, shown, unit=unit, trained_to=trained_to, dark=dark)], output):
        note(f"wrote {path}")


def _edges(text: str | None) -> list[int] | None:
    from seqcli.errors import RecipeError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    found = [int(part) for part in parts if part.isdecimal()]
    if len(found) < len(parts) or found != sorted(set(found)):
        raise RecipeError(f"--edges {text}: these are rising whole numbers, as in 10,20,30")
    return found


def _metric(name: str | None, run: Run) -> str:
    """The metric asked for, or the first of the run's recipe that is one of texts."""
    from seqcli.errors import RecipeError
    from seqcli.evaluation.metrics import TEXT_METRICS

    if name is None:
        return next((each for each in run.recipe.evaluation.metrics if each in TEXT_METRICS), "chrf")
    if name not in TEXT_METRICS:
        raise RecipeError(f"--metric {name}: lengths are scored by a metric of texts: {', '.join(TEXT_METRICS)}")
    return name


def _same_examples(runs: dict[str, Run], split: Split) -> list[Example]:
    """The sentences that all runs are scored on. DataError where they are not the same."""
    from seqcli.build.data import open_split
    from seqcli.errors import DataError, RecipeError

    found: list[Example] = []
    for folder, run in runs.items():
        corpus = open_split(run.recipe.data, split)
        if corpus is None:
            raise RecipeError(f"{folder}: the recipe names no {split} split; give data.{split}=…")
        examples = list(corpus.read())
        if not examples:
            raise DataError(f"{corpus.name}: there is nothing to evaluate")
        if found and [(one.source, one.target) for one in found] != [(one.source, one.target) for one in examples]:
            raise DataError(
                f"{folder} has another {split} split than {next(iter(runs))}, so their scores cannot be drawn together; "
                "set the keys of the data that differ, as in data.longest=20"
            )
        found = found or examples
    return found


def _tell_short_search(run: Run, folder: str, examples: Sequence[Example], beam_size: int | None) -> None:
    """That some references cannot be written since the search ends before: the score would tell of that, not of the model."""
    from seqcli.cli.console import warn

    settings, translator = run.settings(beam_size), run.translator
    cut = sum(
        len(translator.encode_target(one.target or "")) - 1 > settings.limit(len(translator.encode(one)))
        for one in examples
    )
    if cut:
        warn(f"{folder}: {cut:,} references are longer than the search may write; raise search.max_length or max_ratio")


def _longest_in_training(folder: Path, unit: str, run: Run) -> int | None:
    """The longest source that the run was trained on; None if that is not known, or would take long to find out."""
    from itertools import islice

    from seqcli.analysis.lengths import source_lengths
    from seqcli.build.data import open_split
    from seqcli.cli.console import note
    from seqcli.errors import SeqcliError
    from seqcli.run import read_recipe

    try:
        corpus = open_split(read_recipe(folder).data, "train")
        read = [] if corpus is None else list(islice(corpus.read(), READ_OF_TRAINING + 1))
    except (SeqcliError, OSError) as error:
        note(f"{folder}: the longest source in training is not drawn, since its data cannot be read: {error}")
        return None
    if not read or len(read) > READ_OF_TRAINING:
        return None
    return max(source_lengths([one for one in read if one.source], unit, run.translator.source_tokenizer), default=None)  # type: ignore[arg-type]


def _as_json(
    curves: Sequence[LengthCurve], groups: dict[str, tuple[str, ...]], counts: dict[str, Counts]
) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from seqcli.evaluation.metrics import INTERVAL_SEED

    return [
        {
            "label": curve.label,
            "runs": list(groups[curve.label]),
            "signature": counts[groups[curve.label][0]].metric(0, 0).signature,
            "bootstrap": {"resamples": RESAMPLES, "seed": INTERVAL_SEED},
            "buckets": [asdict(score) for score in curve.scores],
        }
        for curve in curves
    ]


def _table(curves: Sequence[LengthCurve], metric: str, unit: str) -> Any:
    from seqcli.cli.console import figure, table

    rows = [
        [
            f"{bucket.low}–{bucket.high}" if bucket.low < bucket.high else str(bucket.low),
            f"{bucket.count:,}",
            *(
                f"{figure(score.value)} ({'–'.join(figure(bound) for bound in score.interval)})"
                for score in (curve.scores[place] for curve in curves)
            ),
        ]
        for place, bucket in enumerate(curves[0].scores)
    ]
    return table(f"{metric} (95 % interval)", [unit, "sentences", *(curve.label for curve in curves)], rows)
