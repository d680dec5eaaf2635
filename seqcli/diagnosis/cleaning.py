"""A copy of a data set without its faults: what can be mended is, the other faulty rows are left out, and every change is written down."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Union, cast

from seqcli.data.parquet import Change, rewrite_parquet
from seqcli.diagnosis.encoding import findings, form, mended
from seqcli.diagnosis.examine import SIDES, Diagnosis, SplitDiagnosis, nothing_on_a_side
from seqcli.diagnosis.faults import KINDS, Side
from seqcli.diagnosis.rows import Bytes, Row, Rows
from seqcli.errors import DataError, RecipeError

CHANGES = "changes.jsonl"


@dataclass
class Cleaned:
    """What became of a split: its new files, how many rows they have, and how many were removed, were mended and could not be, by kind of
    fault."""

    split: str
    files: list[Path]
    kept: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    unmended: Counter[str] = field(default_factory=Counter)
    unchanged: bool = False

    def as_json(self) -> dict[str, object]:
        """The same for a programme."""
        return {**vars(self), "files": [str(path) for path in self.files]}


def clean(
    splits: Mapping[str, Rows], diagnosis: Diagnosis, folder: Path, which: Collection[str] = ("train",)
) -> list[Cleaned]:
    """Write the splits into `folder`, those named by `which` without their faults, the others byte for byte; and the changes, row by row.

    What is usual in the data or may well be right is kept; so is a row with a fault that could be mended, but in a text that is no cell of its
    own (one of a list). The folder has all of it or, after an error, nothing. Raises `RecipeError` where something is there already, or two
    files have one name; `DataError` where the data are not files.
    """
    names = [path.name for rows in splits.values() for group in rows.files() for path in group]
    if not all(names) or not names:
        raise DataError("only data in files can be cleaned, not those of the hub or made at run time")
    if len(set(names)) < len(names):
        raise RecipeError(f"two files are called {next(name for name in names if names.count(name) > 1)}; rename one")
    if CHANGES in names:
        raise RecipeError(f"a file is called {CHANGES}, which is to be the list of what was changed; rename it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{folder}: there is something already; give a new folder, since nothing is overwritten")
    cleaned = []
    with _whole(folder) as beside, (beside / CHANGES).open("w", encoding="utf-8") as changes:
        for name, rows in splits.items():
            work = _Cleaning(diagnosis, diagnosis.splits[name], beside, Cleaned(name, []))
            if name in which:
                for change in work.write(rows):
                    changes.write(json.dumps(change, ensure_ascii=False) + "\n")
            else:
                work.copy(rows)
            work.result.files = [folder / path.name for path in work.result.files]
            cleaned.append(work.result)
    return cleaned


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A place for the files of a new folder, which it gets when the block has ended well."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".cleaning-", dir=folder) as beside:
            yield Path(beside)
            for path in Path(beside).iterdir():
                path.replace(folder / path.name)
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


_Changed = dict[str, object]


@dataclass(frozen=True)
class _Mended:
    """The texts of a row without its faults of these kinds, and whether they can be written into it."""

    kinds: tuple[str, ...]
    source: str
    target: str
    possible: bool = True


_Verdict = Union[str, _Mended]
"""The kind of fault that a row is removed for, or what it becomes."""


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

    def write(self, rows: Rows) -> list[_Changed]:
        """The rows without faults; what was changed."""
        changes: list[_Changed] = []
        number = 0
        for group in rows.files():
            out = [self.folder / path.name for path in group]
            self.result.files += out
            with ExitStack() as stack:
                streams = [] if rows.rewritten is None else [stack.enter_context(_create(path)) for path in out]
                here: list[tuple[Row, _Verdict]] = []
                for row in rows.read(group):
                    verdict = self._judged(row, number)
                    number += row.counts
                    raw: Bytes | None = () if isinstance(verdict, str) else row.raw
                    if isinstance(verdict, _Mended) and rows.rewritten is not None:
                        raw = rows.rewritten(row, verdict.source, verdict.target)
                        verdict = verdict if raw is not None else replace(verdict, possible=False)
                    for stream, data in zip(streams, row.raw if raw is None else raw, strict=False):
                        stream.write(data)
                    if verdict is not None:
                        here.append((row, verdict))
                    self.result.kept += row.counts and not isinstance(verdict, str)
            if rows.rewritten is None:
                here = _rewrite(rows, group[0], out[0], here)
            changes += [self._counted(row, verdict) for row, verdict in here]
        return changes

    def _judged(self, row: Row, number: int) -> _Verdict | None:
        """What becomes of a row: the kind of fault that removes it, its mended texts, or None where it stays as it is."""
        if not row.counts:
            return None
        if number in self.removed:
            return self.removed[number]
        if not (kinds := self.mended.get(number)):
            return None
        kinds = set(kinds)
        source, target = (
            self._mended(text, kinds, side) for side, text in zip(SIDES, (row.source, row.target), strict=True)
        )
        left = [kind for text in (source, target) for kind, _ in findings(text)]
        if (bare := nothing_on_a_side(row._replace(source=source, target=target))) is not None:
            left.append(bare[0])
        gone = next((kind for kind in left if KINDS[kind].action == "remove" and kind not in self.split.usual), None)
        return gone or _Mended(tuple(sorted(kinds)), source, target)

    def _mended(self, text: str, kinds: set[str], side: Side) -> str:
        """The text without its faults, nor those that come to light when others are mended, which are added to `kinds`."""
        while True:
            before, text = text, mended(text, kinds, self.forms[side])
            if text == before:
                return text
            found = {kind for kind, _ in findings(text) if KINDS[kind].action == "mend"}
            if self.forms[side] is not None and form(text) not in (None, self.forms[side]):
                found.add("normalization")
            kinds |= found - set(self.split.usual)

    def _counted(self, row: Row, verdict: _Verdict) -> _Changed:
        """What was changed of a row, counted."""
        place = {"split": self.split.name, "file": row.file, "line": row.line}
        if isinstance(verdict, str):
            self.result.removed[verdict] += 1
            return {**place, "removed": verdict, "source": row.source, "target": row.target}
        if not verdict.possible:
            self.result.unmended.update(verdict.kinds)
            return {**place, "unmended": list(verdict.kinds), "source": row.source, "target": row.target}
        self.result.mended.update(verdict.kinds)
        texts = {"source": [row.source, verdict.source], "target": [row.target, verdict.target]}
        return {**place, "mended": list(verdict.kinds), **texts}


def _rewrite(rows: Rows, path: Path, out: Path, found: list[tuple[Row, _Verdict]]) -> list[tuple[Row, _Verdict]]:
    """Write a Parquet file anew; what was found in its rows, where mending was not possible with that said."""
    left_out = {row.line - 1 for row, verdict in found if isinstance(verdict, str)}
    changes: dict[int, list[Change]] = {}
    for row, verdict in found:
        if isinstance(verdict, _Mended):
            sides = zip(rows.columns, (row.source, row.target), (verdict.source, verdict.target), strict=True)
            changes[row.line - 1] = [(columns, old, new) for columns, old, new in sides if old != new]
    unchanged = rewrite_parquet(path, out, left_out, changes)
    return [
        (
            row,
            replace(verdict, possible=False) if isinstance(verdict, _Mended) and row.line - 1 in unchanged else verdict,
        )
        for row, verdict in found
    ]


def _create(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "xb")) if path.suffix.lower() == ".gz" else path.open("xb")
