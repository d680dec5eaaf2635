"""What `seqcli train --dry-run` prints: the data, the vocabularies, the model by parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.build.batches import task_repetitions, task_sizes
from seqcli.cli.console import data, excerpt, table
from seqcli.data.batching import plan_padding
from seqcli.data.encoded import EncodedCorpus
from seqcli.data.tokenizer import Tokenizer
from seqcli.experiment import Experiment
from seqcli.recipe.data import TasksData

SHOWN_EXAMPLES = 3
UNREADABLE = "left out, image unreadable"
SPLIT_ROWS = (
    "examples",
    "left out, empty",
    "left out, too long",
    UNREADABLE,
    "source length",
    "target length",
    "unknown in source",
    "unknown in target",
)


def print_summary(experiment: Experiment) -> None:
    """Print the summary of a prepared experiment to stdout."""
    prepared = experiment.data
    splits = {"train": prepared.train, "validation": prepared.validation}
    there = {name: _split_column(corpus) for name, corpus in splits.items() if corpus is not None}
    rows = [
        row for row in zip(SPLIT_ROWS, *there.values(), strict=True) if row[0] != UNREADABLE or _has_images(experiment)
    ]
    data.print(table(None, ["data", *there], rows))
    if tasks := _tasks(experiment):
        data.print()
        data.print(table(None, ["task", "examples", "times an epoch"], [_task_row(*task) for task in tasks.items()]))
    sides = {"source": prepared.source_tokenizer, "target": prepared.target_tokenizer}
    data.print()
    data.print(table(None, ["vocabulary", "kind", "symbols"], [_side_row(*side) for side in sides.items()], left=2))
    data.print()
    data.print(
        table(None, ["parameters", "count"], [[part, f"{count:,}"] for part, count in _parameters(experiment).items()])
    )
    data.print()
    data.print(table(None, ["training", ""], _training_rows(experiment), left=2))
    data.print()
    for row in range(min(SHOWN_EXAMPLES, len(prepared.train))):
        data.print(table(None, [f"example {row + 1}", ""], _example_rows(prepared.train, row, sides), left=2))


def summary_as_json(experiment: Experiment) -> dict[str, Any]:
    """The same as plain numbers and texts."""
    prepared = experiment.data
    splits = {"train": prepared.train, "validation": prepared.validation}
    sides = {"source": prepared.source_tokenizer, "target": prepared.target_tokenizer}
    return {
        "splits": {name: _split_as_json(corpus) for name, corpus in splits.items() if corpus is not None},
        **({"tasks": tasks} if (tasks := _tasks(experiment)) else {}),
        "vocabularies": {name: {"kind": one.kind, "symbols": one.size} for name, one in sides.items()},
        "parameters": _parameters(experiment),
        "batches_an_epoch": len(experiment.plan(0)),
        "steps": experiment.total_steps,
        "padding": _padding(experiment),
        "run": str(experiment.folder),
    }


def _split_as_json(corpus: EncodedCorpus) -> dict[str, Any]:
    report = corpus.report
    lengths = {"source": corpus.source_lengths, "target": corpus.target_lengths}
    return {
        "examples": len(corpus),
        "empty": report.empty,
        "too_long": report.too_long,
        "unreadable_images": report.corrupt,
        "lengths": {
            side: {"mean": float(each.mean()) - 1, "longest": int(each.max()) - 1} for side, each in lengths.items()
        },
        "unknown": {"source": report.source_unknown, "target": report.target_unknown},
    }


def _tasks(experiment: Experiment) -> dict[str, dict[str, float]]:
    """How many training examples each task has, and how often each of them is seen in an epoch; empty where there are no tasks."""
    if not isinstance(experiment.recipe.data, TasksData):
        return {}
    times = task_repetitions(experiment.recipe, experiment.data)
    return {
        task: {"examples": size, "times_an_epoch": times.get(task, 1.0)}
        for task, size in task_sizes(experiment.data).items()
    }


def _task_row(task: str, about: dict[str, float]) -> list[str]:
    return [task, f"{about['examples']:,}", f"{about['times_an_epoch']:.2f}"]


def _has_images(experiment: Experiment) -> bool:
    return experiment.recipe.source.image is not None


def _split_column(corpus: EncodedCorpus) -> list[str]:
    """What stands beside `SPLIT_ROWS`."""
    report = corpus.report
    counts = [f"{count:,}" for count in (len(corpus), report.empty, report.too_long, report.corrupt)]
    lengths = [_spread(corpus.source_lengths), _spread(corpus.target_lengths)]
    return [*counts, *lengths, *(f"{100 * share:.2f} %" for share in (report.source_unknown, report.target_unknown))]


def _spread(lengths: NDArray[np.int32]) -> str:
    """Mean and longest, without EOS."""
    return f"{lengths.mean() - 1:.1f}, ≤ {lengths.max() - 1}"


def _side_row(name: str, tokenizer: Tokenizer) -> list[str]:
    return [name, tokenizer.kind, f"{tokenizer.size:,}"]


def _parameters(experiment: Experiment) -> dict[str, int]:
    """Parameters by part, and of all; a shared table counts where it comes first."""
    counts: dict[str, int] = {}
    for name, parameter in experiment.model.named_parameters():
        part, _, rest = name.partition(".")
        if rest.startswith("embedding."):
            part = f"{part} embedding"
        counts[part] = counts.get(part, 0) + parameter.numel()
    return {**counts, "all": sum(counts.values())}


def _padding(experiment: Experiment) -> float:
    """The share of the first epoch's batches that is padding."""
    corpus = experiment.data.train
    return float(plan_padding(experiment.plan(0), corpus.source_lengths, corpus.target_lengths))


def _training_rows(experiment: Experiment) -> list[list[str]]:
    return [
        ["batches an epoch", f"{len(experiment.plan(0)):,}"],
        ["steps", f"{experiment.total_steps:,}"],
        ["padding", f"{100 * _padding(experiment):.1f} %"],
        ["run directory", str(experiment.folder)],
    ]


def _example_rows(corpus: EncodedCorpus, row: int, sides: dict[str, Tokenizer]) -> list[list[str]]:
    example = corpus.example(row)
    rows = [["from", example.origin]]
    for name, text in (("source", example.source), ("target", example.target or "")):
        tags = example.features if name == "source" else ()
        tokenizer = sides[name]
        symbols = " ".join(tokenizer.tokens(tokenizer.encode(text, tags)))
        rows += [[name, excerpt(text)], ["", excerpt(symbols)]]
    return rows
