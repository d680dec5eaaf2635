"""`seqcli doctor`: what is wrong with a data set, line by line, and a copy of it without that."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from seqcli.cli.arguments import Quiet, is_override, split_overrides

if TYPE_CHECKING:
    from rich.table import Table

    from seqcli.diagnosis.cleaning import Cleaned
    from seqcli.diagnosis.examine import Diagnosis, SplitDiagnosis
    from seqcli.recipe.data import Data

FAULTY = 3
"""The exit code where there are faults: that of bad data."""


def doctor(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="A recipe (and KEY.PATH=VALUE), a run, a table (.tsv, .csv, .jsonl, .parquet), or two text files, the source's and the "
            "target's.",
        ),
    ],
    validation: Annotated[
        list[str] | None, typer.Option("--validation", help="The validation split's file; twice for two text files.")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option("--test", help="The test split's file; twice for two text files.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="A,B[,C]",
            help="A table's columns of source, target and tags, by name or number from 0; source,target, or 0,1 in a table whose first "
            "line has no such names.",
        ),
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option(
            "--clean", metavar="FOLDER", help="Write a copy without faulty training rows there, and what was changed."
        ),
    ] = None,
    clean_all: Annotated[
        bool,
        typer.Option("--clean-all", help="With --clean: clean validation and test too, which else stay as they are."),
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Faults of a kind that are printed of a split.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print all faults as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Look for faults in data: copies, leaks, empty or exchanged sides, lengths, encodings, unknown words.

    Exits with 3 where there are faults that no cleaned copy was written without, with 0 else.
    """
    from seqcli.build.diagnosis import open_rows
    from seqcli.cli.console import busy, notes, print_json
    from seqcli.diagnosis.cleaning import clean as write_clean
    from seqcli.diagnosis.examine import examine
    from seqcli.errors import RecipeError
    from seqcli.recipe.data import data_sets

    notes.quiet = quiet
    if clean_all and clean is None:
        raise RecipeError("--clean-all needs --clean FOLDER")
    found: dict[str, Examined] = {}
    # each task by itself: what is usual in one may be a fault in another
    for path, section in data_sets(_section(data, validation or [], test or [], columns)).items():
        task = path[-1] if len(path) > 1 else ""
        splits = open_rows(section)
        with busy(f"reading the data{task and ' of '}{task}, twice"):
            diagnosis = examine(splits)
            which = list(splits) if clean_all else ["train"]
            cleaned = [] if clean is None else write_clean(splits, diagnosis, clean / task, which)
        found[task] = Examined(diagnosis, cleaned)
    sound = all(one.diagnosis.sound for one in found.values())
    if as_json:
        records = {task: _as_json(one.diagnosis, one.cleaned) for task, one in found.items()}
        print_json(records.get("", {"sound": sound, "tasks": records}))
    else:
        for number, (task, one) in enumerate(found.items()):
            _print(task, one.diagnosis, limit, first=number == 0)
            _tell_cleaned(one.cleaned, clean and clean / task)
    if not sound and clean is None:
        raise typer.Exit(FAULTY)


class Examined(NamedTuple):
    """What is known of a data set, and what a cleaned copy of it is."""

    diagnosis: Diagnosis
    cleaned: list[Cleaned]


def _section(given: list[str], validation: list[str], test: list[str], columns: str | None) -> Data:
    """The `data` section of a recipe, or one made of the files that are named."""
    from seqcli.data.files import is_table
    from seqcli.errors import RecipeError
    from seqcli.recipe import data as sections

    files = {"train": given, "validation": validation, "test": test}
    if not is_table(given[0]) and not _is_text_pair(given):
        if validation or test or columns:
            raise RecipeError(
                f"{given[0]} is a recipe, which says itself where its data are; leave out --validation, --test and --columns"
            )
        return _of_recipe(given)
    if is_table(given[0]):
        section = {split: paths for split, paths in files.items() if paths}
        made: Data = sections.FilesData(kind="files", columns=_columns(given[0], columns), **section)  # type: ignore[arg-type]
        return made
    for option, paths in files.items():
        if paths and len(paths) != 2:
            raise RecipeError(f"--{option} {' '.join(paths)}: give two files, the source's and the target's")
    pairs = {split: sections.Parallel(source=paths[0], target=paths[1]) for split, paths in files.items() if paths}
    return sections.TextData(kind="text", **pairs)  # type: ignore[arg-type]


def _is_text_pair(given: list[str]) -> bool:
    return len(given) == 2 and not is_override(given[1])


def _of_recipe(given: list[str]) -> Data:
    from seqcli.errors import RecipeError
    from seqcli.recipe.load import load_recipe

    others, overrides = split_overrides(given[1:])
    if others:
        raise RecipeError(f"{' '.join(given)}: give a recipe, a run, a table, or two text files")
    inside = Path(given[0]) / "recipe.yaml"
    return load_recipe(str(inside) if inside.is_file() else given[0], overrides).data


def _columns(path: str, named: str | None) -> object:
    """The columns that --columns names; without it those that `seqcli train` would take, or the first two where it would refuse the file."""
    from seqcli.data.files import format_of
    from seqcli.data.looking import find_layout
    from seqcli.errors import DataError, RecipeError
    from seqcli.recipe.data import Columns

    if named is None:
        try:
            layout = find_layout(path)
        except DataError:
            return Columns(source=0, target=1) if format_of([path]) in ("csv", "tsv") else Columns()
        return Columns(source=layout.source, target=layout.target, features=layout.features)
    found = [int(name) if name.strip().isdecimal() else name.strip() for name in named.split(",")]
    if not 2 <= len(found) <= 3:
        raise RecipeError(f"--columns {named}: give two columns, or three, as in source,target or 0,1,2")
    return Columns(source=found[0], target=found[1], features=found[2] if len(found) > 2 else None)


def _as_json(diagnosis: Diagnosis, cleaned: list[Cleaned]) -> dict[str, object]:
    splits = {
        name: {
            "rows": split.count,
            "counts": {kind: len(rows) for kind, rows in split.rows.items()},
            "usual": split.usual,
            "unknown": {side: unknown.as_json() for side, unknown in split.unknown.items()},
        }
        for name, split in diagnosis.splits.items()
    }
    faults = [fault.as_json() for split in diagnosis.splits.values() for fault in split.faults]
    record: dict[str, object] = {"sound": diagnosis.sound, "sides_told_apart": diagnosis.sides_told_apart}
    record |= {"splits": splits, "faults": faults}
    return {**record, "cleaned": [one.as_json() for one in cleaned]} if cleaned else record


def _print(task: str, diagnosis: Diagnosis, limit: int, *, first: bool) -> None:
    from seqcli.cli.console import data

    if not first:
        data.print()
    data.print(_summary(task, diagnosis))
    for split in diagnosis.splits.values():
        for kind in split.rows:
            if kind not in split.usual and limit:
                _print_faults(split, kind, limit)
    if any(split.unknown for split in diagnosis.splits.values()):
        data.print()
        data.print(_unknown(diagnosis.splits.values()))
    for line in _remarks(diagnosis):
        data.print()
        data.print(line)


def _summary(task: str, diagnosis: Diagnosis) -> Table:
    """How many rows have each kind of fault, of one of several tasks under its name."""
    from seqcli.cli.console import table
    from seqcli.diagnosis.faults import KINDS

    splits = diagnosis.splits.values()
    rows = [["rows", "", *(f"{split.count:,}" for split in splits)]]
    for kind in KINDS:
        if any(kind in split.rows for split in splits):
            counts = [f"{len(split.rows.get(kind, ())):,}{' *' if kind in split.usual else ''}" for split in splits]
            rows.append([kind, KINDS[kind].means, *counts])
    if any(not split.count for split in splits):
        rows.append(["no rows", "there is nothing to learn from", *("" if split.count else "*" for split in splits)])
    elif len(rows) == 1:
        rows.append(["no faults", "", *("" for _ in splits)])
    return table(task or None, ["fault", "what it means", *diagnosis.splits], rows, left=2)


def _print_faults(split: SplitDiagnosis, kind: str, limit: int) -> None:
    """The faults of a kind, a line each, however wide the terminal is, so that they can be searched and clicked on."""
    from seqcli.cli.console import data, excerpt
    from seqcli.diagnosis.faults import KINDS

    known, count = KINDS[kind], len(split.rows[kind])
    shown = [fault for fault in split.faults if fault.kind == kind][:limit]
    which = f"the first {len(shown)} of {count:,}" if count > len(shown) else f"{count:,}"
    data.print()
    data.print(f"{kind} in {split.name}: {known.means} ({which}); {known.remedy}", style="bold", soft_wrap=True)
    for fault in shown:
        line = f"  {fault.file}:{fault.line}  {fault.side}  {excerpt(fault.value)}"
        data.print(line, soft_wrap=True, emoji=False)


def _unknown(splits: Iterable[SplitDiagnosis]) -> Table:
    """How much of validation and test training does not know."""
    from seqcli.cli.console import excerpt, table
    from seqcli.diagnosis.words import MOST_SHOWN, rate

    rows = []
    for split in splits:
        for side, unknown in split.unknown.items():
            shares = rate(unknown.unknown_words, unknown.words), rate(unknown.unknown_characters, unknown.characters)
            words = [word for word, _ in unknown.unknown_words.most_common(MOST_SHOWN)] if unknown.has_words else []
            characters = [f"{one} U+{ord(one):04X}" for one, _ in unknown.unknown_characters.most_common(MOST_SHOWN)]
            shown = [excerpt(", ".join(each)) for each in (words, characters)]
            rate_of_words = f"{shares[0]:.2%}" if unknown.has_words else "–"
            rows.append([f"{split.name} {side}", rate_of_words, shown[0], f"{shares[1]:.3%}", shown[1]])
    return table(None, ["not in training", "words", "as in", "characters", "as in"], rows)


def _remarks(diagnosis: Diagnosis) -> list[str]:
    """What the table needs to be understood."""
    from seqcli.diagnosis.faults import USUAL

    lines = []
    if any(split.usual for split in diagnosis.splits.values()):
        lines.append(
            f"* more than {USUAL:.0%} of the rows: taken for the nature of the data, not listed, not counted as a fault and not removed"
        )
    if not diagnosis.sides_told_apart:
        lines.append(
            "the sides are too much alike to tell which of them a text belongs to; nothing is said about exchanged sides"
        )
    return lines


def _tell_cleaned(cleaned: list[Cleaned], folder: Path | None) -> None:
    from seqcli.cli.console import note

    for one in cleaned:
        files = ", ".join(map(str, one.files))
        if one.unchanged:
            note(f"wrote {files}: {one.split} as it is, {one.kept:,} rows (--clean-all cleans it too)")
            continue
        removed = ", ".join(f"{count:,} {kind}" for kind, count in one.removed.most_common()) or "none"
        mended = ", ".join(f"{count:,} {kind}" for kind, count in one.mended.most_common()) or "none"
        left = ", ".join(f"{count:,} {kind}" for kind, count in one.unmended.most_common())
        beside = f"; not mended, since the text cannot be changed by itself: {left}" if left else ""
        note(f"wrote {files}: {one.kept:,} rows of {one.split}; removed: {removed}; mended: {mended}{beside}")
    if cleaned:
        note(f"every change stands in {folder}/changes.jsonl")
