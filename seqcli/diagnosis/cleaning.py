"""A copy of a data set without its faults: what can be mended is, the other faulty rows are left out, and every change is written down."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from seqcli.data.parquet import rewrite_parquet
from seqcli.diagnosis.encoding import mended
from seqcli.diagnosis.examine import SIDES, Diagnosis, SplitDiagnosis
from seqcli.diagnosis.faults import KINDS
from seqcli.diagnosis.rows import Row, Rows
from seqcli.errors import DataError, RecipeError

CHANGES = "changes.jsonl"


@dataclass
class Cleaned:
    """What became of a split: its new files, how many rows they have, and how many were removed and mended, by kind of fault."""

    split: str
    files: list[Path]
    kept: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    unchanged: bool = False

    def as_json(self) -> dict[str, object]:
        """The same for a programme."""
        return {**vars(self), "files": [str(path) for path in self.files]}


def clean(
    splits: Mapping[str, Rows], diagnosis: Diagnosis, folder: Path, which: Collection[str] = ("train",)
) -> list[Cleaned]:
    """Write the splits into `folder`, those named by `which` without their faults, the others byte for byte; and the changes, row by row.

    What is usual in the data or may well be right is kept. Raises `RecipeError` where something is there already, or two files have one name;
    `DataError` where the data are not files.
    """
    names = [path.name for rows in splits.values() for group in rows.files() for path in group]
    if not all(names) or not names:
        raise DataError("only data in files can be cleaned, not those of the hub or made at run time")
    if len(set(names)) < len(names):
        raise RecipeError(f"two files are called {next(name for name in names if names.count(name) > 1)}; rename one")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{folder}: there is something already; give a new folder, since nothing is overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    cleaned = []
    with (folder / CHANGES).open("w", encoding="utf-8") as changes:
        for name, rows in splits.items():
            work = _Cleaning(diagnosis, diagnosis.splits[name], folder, Cleaned(name, []))
            if name in which:
                for change in work.write(rows):
                    changes.write(json.dumps(change, ensure_ascii=False) + "\n")
            else:
                work.copy(rows)
            cleaned.append(work.result)
    return cleaned


class _Cleaning:
    """One split on its way into the folder."""

    def __init__(self, diagnosis: Diagnosis, split: SplitDiagnosis, folder: Path, result: Cleaned) -> None:
        self.forms, self.folder, self.result, self.split = diagnosis.forms, folder, result, split
        told = {kind: rows for kind, rows in split.rows.items() if kind not in split.usual}
        self.removed: dict[int, str] = {}
        self.mended: dict[int, set[str]] = {}
        for kind, rows in told.items():
            for row in rows:
                if KINDS[kind].action == "remove":
                    self.removed.setdefault(row, kind)
                elif KINDS[kind].action == "mend":
                    self.mended.setdefault(row, set()).add(kind)

    def copy(self, rows: Rows) -> None:
        """All files as they are."""
        self.result.unchanged, self.result.kept = True, self.split.count
        for path in (path for group in rows.files() for path in group):
            shutil.copyfile(path, self.folder / path.name)
            self.result.files.append(self.folder / path.name)

    def write(self, rows: Rows) -> list[dict[str, object]]:
        """The rows without faults; what was changed."""
        changes: list[dict[str, object]] = []
        number = 0
        for group in rows.files():
            out = [self.folder / path.name for path in group]
            self.result.files += out
            with ExitStack() as stack:
                streams = [] if rows.rewritten is None else [stack.enter_context(_create(path)) for path in out]
                if rows.has_header:
                    streams[0].write(rows.header(group[0]))
                left_out: set[int] = set()
                texts: dict[int, dict[str, str]] = {}
                for row in rows.read(group):
                    change, raw = self._one(row, number, rows)
                    number += row.counts
                    for stream, data in zip(streams, raw, strict=False):
                        stream.write(data)
                    if change is not None:
                        changes.append(change)
                        self._for_parquet(row, change, rows, left_out, texts)
            if rows.rewritten is None:
                rewrite_parquet(group[0], out[0], left_out, texts)
        return changes

    def _one(self, row: Row, number: int, rows: Rows) -> tuple[dict[str, object] | None, tuple[bytes, ...]]:
        """What is changed of a row, and the bytes that are written of it."""
        if not row.counts:
            return None, row.raw
        place = {"split": self.split.name, "file": row.file, "line": row.line}
        if number in self.removed:
            kind = self.removed[number]
            self.result.removed[kind] += 1
            return {**place, "removed": kind, "source": row.source, "target": row.target}, ()
        self.result.kept += 1
        kinds = self.mended.get(number)
        if not kinds:
            return None, row.raw
        source, target = (
            mended(text, kinds, self.forms[side]) for side, text in zip(SIDES, (row.source, row.target), strict=True)
        )
        self.result.mended.update(kinds)
        raw = () if rows.rewritten is None else rows.rewritten(row, source, target)
        return {**place, "mended": sorted(kinds), "source": [row.source, source], "target": [row.target, target]}, raw

    def _for_parquet(
        self, row: Row, change: dict[str, object], rows: Rows, left_out: set[int], texts: dict[int, dict[str, str]]
    ) -> None:
        if "removed" in change:
            left_out.add(row.line - 1)
            return
        both = (cast("list[str]", change[side]) for side in SIDES)
        new = {name: after for name, (before, after) in zip(rows.columns, both, strict=False) if before != after}
        texts[row.line - 1] = new


def _create(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "xb")) if path.suffix == ".gz" else path.open("xb")
