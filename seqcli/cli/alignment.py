"""What `seqcli eval --align` prints, and the options of alignments that `seqcli translate` takes too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqcli.analysis.alignment import AlignmentSettings
    from seqcli.analysis.alignment_error import AlignmentScores
    from seqcli.data.corpus import Split
    from seqcli.run import Run


def settings_of(step: str | None, layer: int | None, threshold: float | None, *, words: bool) -> AlignmentSettings:
    """The options as settings. RecipeError for a step that is neither input nor output."""
    from seqcli.analysis.alignment import AlignmentSettings
    from seqcli.errors import RecipeError

    if step not in (None, "input", "output"):
        raise RecipeError(f"--align-from {step}: there are input and output")
    return AlignmentSettings(step or "output", layer, threshold, words)  # type: ignore[arg-type]


def refuse_images(run: Run) -> None:
    """RecipeError for a run whose sources are images: these have no words to number."""
    from seqcli.errors import RecipeError

    if run.reads_images:
        raise RecipeError(
            "--alignments numbers the words of a text, but this run reads images; `seqcli visualize attention` shows what it looks at"
        )


def evaluate_alignment(
    run: Run,
    split: Split,
    pairs: tuple[list[Path], list[Path]] | None,
    task: str | None,
    settings: AlignmentSettings,
    *,
    gold: Path | None,
    gold_first: int,
    intervals: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Score the attention of a run as alignment on a split, or on `pairs` of files, of one `task` where there are several, and print it."""
    from seqcli.cli.console import busy, tell_cut
    from seqcli.cli.evaluate import files
    from seqcli.data.pharaoh import format_links, read_links
    from seqcli.errors import RecipeError
    from seqcli.storage import write_file

    if gold_first not in (0, 1):
        raise RecipeError(f"--gold-first {gold_first}: words are numbered from 0 or from 1")
    with busy("aligning"):
        found = run.align(
            split,
            corpus=files(*pairs, run.tagging, task) if pairs else None,
            gold=None if gold is None else list(read_links(gold, gold_first)),
            settings=settings,
            intervals=intervals,
        )
    tell_cut(run.translator)
    _print(run, ", ".join(map(str, pairs[0])) if pairs else split, found, as_json=as_json)
    if output is not None:
        write_file(output, "".join(f"{format_links(links)}\n" for links in found.links).encode())


def _print(run: Run, name: str, found: AlignmentScores, *, as_json: bool) -> None:
    from seqcli.cli.console import data, metrics_table, note, print_json
    from seqcli.types import Scores

    if as_json:
        print_json(Scores(name, found.metrics).as_json())
        return
    note(f"{run.folder}, checkpoint {run.checkpoint.name}, {len(found.examples):,} examples with gold links")
    data.print(metrics_table(name, found.metrics))
    data.print()
    # the same for all three; by itself, so that it can be copied whole
    data.print(f"aer  {found.metrics['aer'].signature}", style="dim", soft_wrap=True)
