"""From runs to a report on disk, no larger than can be mailed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqcli.comparison import RESAMPLES, TRIALS, Comparison, compare, run_names
from seqcli.data.corpus import Split
from seqcli.errors import DataError, RecipeError, SeqcliError
from seqcli.evaluation.evaluate import Evaluation
from seqcli.evaluation.metrics import INTERVAL_SEED
from seqcli.report.facts import gather
from seqcli.report.page import Content, page
from seqcli.run import Run
from seqcli.storage import write_file

LARGEST = 5_000_000
"""Bytes of a report."""
ATTENTION_BYTES = 2_000_000.0
ATTENDED = 4
SMALLER = ((1.0, 1.0), (0.4, 0.5), (0.0, 0.25))
"""What is kept, one after the other, of the attention and of the sentences where a page would be too large."""


def write_report(
    runs: Sequence[Run],
    path: Path,
    *,
    split: Split = "test",
    metrics: Sequence[str] | None = None,
    beam_size: int | None = None,
    sentences: int = 5,
    resamples: int = RESAMPLES,
    trials: int = TRIALS,
    seed: int = INTERVAL_SEED,
) -> int:
    """Write the page on `runs`, several side by side, to `path`; how many bytes it has, at most `LARGEST`.

    A run whose test data is not here is shown without scores; several runs are compared (see `comparison.compare`, and what it refuses).
    `sentences` are the best, the worst, and those that moved most, so many of each. RecipeError for another ending than .html or .htm,
    StorageError where it cannot be written, SeqcliError where it would be too large whatever is left out.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise RecipeError(f"{path}: a report is a page; its name must end in .html")
    comparison, scored = _scored(runs, split, metrics, beam_size, resamples, trials, seed)
    facts = [gather(name, run, found) for name, run, found in zip(run_names(runs), runs, scored, strict=True)]
    counted = [list(found.counts) for found in scored if isinstance(found, Evaluation)]
    metric = next(iter(counted[0]), None) if counted else None
    for attention, shown in SMALLER:
        content = page(
            Content(
                facts=facts,
                split=split,
                metric=metric,
                comparison=comparison,
                sentences=max(1, round(shown * sentences)) if sentences else 0,
                attended=round(attention * ATTENDED),
                attention_bytes=attention * ATTENTION_BYTES,
                resamples=resamples,
                seed=seed,
            )
        ).encode()
        if len(content) <= LARGEST:
            write_file(path, content)
            return len(content)
    raise SeqcliError(f"{path}: the report has {len(content):,} bytes, more than {LARGEST:,}; give fewer runs")


def _scored(
    runs: Sequence[Run],
    split: Split,
    metrics: Sequence[str] | None,
    beam_size: int | None,
    resamples: int,
    trials: int,
    seed: int,
) -> tuple[Comparison | None, Sequence[Evaluation | str]]:
    """The comparison of several runs; and for each its scores, or why there are none."""
    if len(runs) > 1:
        found = compare(
            runs, split, metrics=metrics, beam_size=beam_size, resamples=resamples, trials=trials, seed=seed
        )
        return found, found.evaluations
    try:
        return None, [runs[0].evaluate(split, metrics=metrics, beam_size=beam_size, intervals=resamples, seed=seed)]
    except DataError as error:
        return None, [str(error)]
