"""`seqcli eval`: score a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli.arguments import (
    AlignFrom,
    AlignLayer,
    AlignThreshold,
    AlignWords,
    BeamSize,
    Checkpoint,
    EnsembleRuns,
    Json,
    Overrides,
    Quiet,
    RunFolder,
    checked_split,
    metric_names,
)
from seqcli.cli.streams import is_stream, one_line, refuse_reading

if TYPE_CHECKING:
    from seqcli.data.corpus import Corpus
    from seqcli.data.tasks import Tagging
    from seqcli.evaluation.evaluate import Evaluation
    from seqcli.symbols import Example

RESAMPLES = 1000


def evaluate(
    run: RunFolder,
    overrides: Overrides = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    source: Annotated[
        list[Path] | None, typer.Option("--source", help="A file to read instead of a split, a sentence a line.")
    ] = None,
    target: Annotated[
        list[Path] | None, typer.Option("--target", help="The references of --source, line by line.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="NAME", help="Which task --source is of, where the run has learnt several."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="A,B", help="Metrics to compute, as in bleu,chrf,ter.")
    ] = None,
    beam_size: BeamSize = None,
    ensemble: EnsembleRuns = None,
    checkpoint: Checkpoint = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the hypotheses (with --align: the links) to this file, one a line."),
    ] = None,
    by_length: Annotated[bool, typer.Option("--by-length", help="Also score short and long sources apart.")] = False,
    by_group: Annotated[
        bool,
        typer.Option(
            "--by-group", help="Also score each group of examples apart, as types of questions, or each task."
        ),
    ] = False,
    align: Annotated[
        bool, typer.Option("--align", help="Score the attention as a word alignment, against gold links, instead.")
    ] = False,
    gold: Annotated[
        Path | None,
        typer.Option(
            "--gold", help="The gold links, line by line: `0-0 1-2` sure, `1p2` possible; else those of the data."
        ),
    ] = None,
    gold_first: Annotated[
        int | None,
        typer.Option("--gold-first", help="The number of the first word in --gold: 0, or 1; 0 if not given."),
    ] = None,
    align_from: AlignFrom = None,
    align_layer: AlignLayer = None,
    align_threshold: AlignThreshold = None,
    align_words: AlignWords = False,
    intervals: Annotated[bool, typer.Option("--intervals/--no-intervals", help="95 % bootstrap intervals.")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a run on a split of its data, or on files."""
    from seqcli.cli.console import note, notes, print_json, tell_cut
    from seqcli.cli.work_view import WorkView
    from seqcli.errors import RecipeError
    from seqcli.storage import write_file

    notes.quiet = quiet
    part = checked_split(split)
    if bool(source) != bool(target):
        raise RecipeError("--source and --target go together: the sentences, and their references")
    if task is not None and not source:
        raise RecipeError("--task goes with --source; of a split every task is scored, and --by-group tells them apart")
    names = metric_names(metrics)
    if output is not None:
        if is_stream(output):
            raise RecipeError("--output -: the scores go to stdout; name a file")
        refuse_reading(output, *(source or []), *(target or []), gold)
    if align:
        if gold_first is not None and gold is None:
            raise RecipeError("--gold-first goes with --gold")
        if metrics or by_length or by_group or beam_size or ensemble:
            raise RecipeError(
                "--align goes without --metrics, --by-length, --by-group, --beam-size and --ensemble: it has its own"
            )
        from seqcli.cli.alignment import evaluate_alignment, settings_of
        from seqcli.run import load

        evaluate_alignment(
            load(run, overrides or [], checkpoint=checkpoint),
            part,
            (source, target) if source and target else None,
            task,
            settings_of(align_from, align_layer, align_threshold, words=align_words),
            gold=gold,
            gold_first=gold_first or 0,
            intervals=RESAMPLES if intervals else 0,
            output=output,
            as_json=as_json,
        )
        return
    if gold or gold_first is not None or align_from or align_layer or align_threshold is not None or align_words:
        raise RecipeError("--gold and the options of alignments go with --align")
    with WorkView("evaluating") as view:
        from seqcli.run import load

        loaded = load(run, overrides or [], checkpoint=checkpoint, ensemble=ensemble or [])
        if output is not None:
            _refuse_writing_nothing(output, names or loaded.recipe.evaluation.metrics)
        result = loaded.evaluate(
            part,
            corpus=files(source, target, loaded.tagging, task) if source and target else None,
            metrics=names,
            beam_size=beam_size,
            intervals=RESAMPLES if intervals else 0,
            lengths=by_length,
            groups=by_group,
            told=view.told,
        )
    tell_cut(loaded.translator)
    name = ", ".join(map(str, source)) if source else split
    if as_json:
        print_json(_as_json(name, result))
    else:
        together, number = "".join(f", with {each}" for each in ensemble or []), len(result.examples)
        note(f"{loaded.folder}, checkpoint {loaded.checkpoint.name}{together}, {number:,} example{'s' * (number != 1)}")
        _print_tables(name, result)
    if output is not None:
        write_file(output, "".join(f"{one_line(text)}\n" for text in result.hypotheses).encode())


def files(source: list[Path], target: list[Path], tagging: Tagging, task: str | None) -> Corpus:
    """The files' pairs; where the run has feature tags, a source line has them after a tab. DataError where there is no such task."""
    from seqcli.data.corpus import Corpus
    from seqcli.data.files import read_text

    tagging.check(task)
    lines = read_text([str(path) for path in source], [str(path) for path in target])

    def read() -> Iterator[Example]:
        for line in lines.read():
            yield tagging.example(line.source, line.index, line.origin, task=task, target=line.target)

    return Corpus(lines.name, read, lines.digest)


def _refuse_writing_nothing(path: Path, names: Sequence[str]) -> None:
    """RecipeError where no metric is one of texts, so that there will be no hypotheses."""
    from seqcli.errors import RecipeError
    from seqcli.evaluation.metrics import TEXT_METRICS

    if not set(names) & set(TEXT_METRICS):
        raise RecipeError(f"{path}: no hypotheses to write, since none of {', '.join(names)} needs any")


def _as_json(name: str, result: Evaluation) -> dict[str, object]:
    """What --json prints."""
    from seqcli.types import Scores

    record = Scores(name, result.metrics).as_json()
    if result.lengths:
        record["lengths"] = [
            {
                "low": bucket.low,
                "high": bucket.high,
                "count": bucket.count,
                "metrics": {key: metric.as_json() for key, metric in bucket.metrics.items()},
            }
            for bucket in result.lengths
        ]
    if result.groups:
        record["groups"] = [
            {
                "group": each.group,
                "count": each.count,
                "metrics": {key: metric.as_json() for key, metric in each.metrics.items()},
            }
            for each in result.groups
        ]
    return record


def _print_tables(name: str, result: Evaluation) -> None:
    from seqcli.cli.console import data, excerpt, figure, metrics_table, table

    data.print(metrics_table(name, result.metrics))
    data.print()
    for metric, found in result.metrics.items():
        # by themselves, so that they can be copied whole
        data.print(f"{metric}  {found.signature}", style="dim", soft_wrap=True)
    if result.lengths:
        names = list(result.lengths[0].metrics)
        rows = [
            [
                f"{bucket.low}–{bucket.high}" if bucket.high is not None else f"{bucket.low}–",
                f"{bucket.count:,}",
                *(figure(bucket.metrics[key].value) for key in names),
            ]
            for bucket in result.lengths
        ]
        data.print()
        data.print(table("by source length", ["symbols", "examples", *names], rows))
    if result.groups:
        names = list(result.groups[0].metrics)
        rows = [
            [excerpt(each.group) or "(none)", f"{each.count:,}", *(figure(each.metrics[key].value) for key in names)]
            for each in result.groups
        ]
        data.print()
        data.print(table("by group", ["group", "examples", *names], rows))
