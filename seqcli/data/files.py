"""Local files as corpora: tables (TSV, CSV, JSON lines, Parquet), plain parallel text, and lines with a pattern.

The line formats are read with the standard library, so that lines, bytes and cells are exactly those of the file: no value
is ever converted (`NA`, `null` and `007` stay text) and every error can name its line.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from seqcli.data.columns import Columns
from seqcli.data.corpus import COLUMNS, Corpus, read_parquet
from seqcli.data.lines import digest_files, existing, find_files, numbered_lines, raw_lines
from seqcli.errors import DataError, printable
from seqcli.symbols import Example

Format = Literal["parquet", "jsonl", "csv", "tsv"]
Cells = Iterator[tuple[int, list[str]]]


def read_files(
    paths: Sequence[str],
    columns: Columns = COLUMNS,
    *,
    format: Format | Literal["auto"] = "auto",
) -> Corpus:
    """Files with both sides in one row. `paths` may hold `*`; `format` auto goes by the ending of the first file's name.

    CSV and TSV files have a header line if, and only if, one of the columns is given by name. TSV knows no quotes.
    """
    chosen = format_of(paths) if format == "auto" else format
    if chosen in ("jsonl", "parquet"):
        columns.check_names()
    if chosen == "parquet":
        return read_parquet(paths, columns)
    rows = _json_examples if chosen == "jsonl" else _table(csv_cells if chosen == "csv" else tsv_cells)
    return _one_by_one(paths, lambda path: rows(path, columns), chosen, columns, with_images=columns.image is not None)


def read_lines(paths: Sequence[str], pattern: str, *, features_separator: str = ";") -> Corpus:
    """Lines taken apart by a regular expression with groups called source and target (and features).

    It must match the line from end to end. Empty lines are passed over.
    """
    columns, expression = pattern_columns(pattern, features_separator), re.compile(pattern)

    def examples(path: Path) -> Iterator[Example]:
        for number, line in numbered_lines(path):
            match = expression.fullmatch(line)
            if match:
                yield columns.example(match.groupdict(), 0, f"{path}:{number}")
            elif line:
                raise DataError(f"{path}:{number}: the pattern {pattern!r} does not match {line[:80]!r}")

    return _one_by_one(paths, examples, "lines", pattern, columns)


def pattern_columns(pattern: str, features_separator: str = ";") -> Columns:
    """The groups of a regular expression as columns. Raises `DataError` where it is none, or has no source or target."""
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise DataError(f"the pattern {pattern!r} is no regular expression ({error})") from error
    if not {"source", "target"} <= groups.keys():
        raise DataError(f"the pattern {pattern!r} lacks a group: it needs (?P<source>…) and (?P<target>…)")
    return Columns("source", "target", "features" if "features" in groups else None, features_separator)


def read_text(source_paths: Sequence[str], target_paths: Sequence[str]) -> Corpus:
    """Plain parallel text: line n of a source file belongs to line n of the target file at the same place of its list."""

    def read() -> Iterator[Example]:
        sources, targets = find_files(source_paths), find_files(target_paths)
        if len(sources) != len(targets):
            raise DataError(f"{len(sources)} source files, but {len(targets)} target files")
        return _numbered(_parallel(*pair) for pair in zip(sources, targets, strict=True))

    def digest() -> str:
        return digest_files(find_files(source_paths), "text", digest_files(find_files(target_paths)))

    return Corpus(", ".join(source_paths), read, digest)


def _one_by_one(
    paths: Sequence[str], examples: Callable[[Path], Iterator[Example]], *description: object, with_images: bool = False
) -> Corpus:
    """The corpus of the files' examples, file after file."""

    def digest() -> str:
        files = find_files(paths)
        named = (example.image for path in files for example in examples(path)) if with_images else ()
        return digest_files([*files, *existing(named)], *description)

    return Corpus(", ".join(paths), lambda: _numbered(examples(path) for path in find_files(paths)), digest)


def _numbered(parts: Iterator[Iterator[Example]]) -> Iterator[Example]:
    index = 0
    for part in parts:
        for example in part:
            yield replace(example, index=index)
            index += 1


def _parallel(source_path: Path, target_path: Path) -> Iterator[Example]:
    counts = [0, 0]
    for source, target in zip_longest(numbered_lines(source_path), numbered_lines(target_path)):
        counts[0] += source is not None
        counts[1] += target is not None
        if source is not None and target is not None:
            yield Example(source[1], target[1], 0, f"{source_path}:{source[0]}")
    if counts[0] != counts[1]:
        raise DataError(
            f"{source_path} has {counts[0]} lines, but {target_path} has {counts[1]}: they must be line by line"
        )


def _json_examples(path: Path, columns: Columns) -> Iterator[Example]:
    for number, row in json_rows(path):
        if columns.chooses(row, f"{path}:{number}"):
            yield columns.example(row, 0, f"{path}:{number}", path.parent)


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of each line that is not blank, with its number. Raises `DataError` where a line holds none."""
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            yield number, json_object(line)
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}: {printable(line[:80])}") from error


def json_object(line: str) -> dict[str, Any]:
    """The object that a line of JSON holds. Raises `DataError`, what is said of the line, where it holds none."""
    one_a_line = "write one object a line, as in jq -c '.[]'"
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        # its own "line 1" would be taken for the file's
        remedy = f"; {one_a_line}" if line.lstrip().startswith("[") or line.strip() == "{" else ""
        raise DataError(f"is no JSON ({error.msg} at column {error.colno}{remedy})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"is no JSON ({error})") from error
    if not isinstance(row, dict):
        remedy = f"; {one_a_line}" if isinstance(row, list) else ""
        raise DataError(f"is no JSON object with columns{remedy}")
    return row


def _table(cells_of: Callable[[Path], Cells]) -> Callable[[Path, Columns], Iterator[Example]]:
    """A reader of tables, given how a file is cut into rows of cells."""

    def examples(path: Path, columns: Columns) -> Iterator[Example]:
        rows = cells_of(path)
        has_header = any(isinstance(column, str) for column in columns.wanted())
        start, header = next(rows, (1, None)) if has_header else (1, None)
        places = columns.positions(header, f"{path}:{start}")
        for number, cells in rows:
            origin = f"{path}:{number}"
            if max(places) >= len(cells) or (header is not None and len(cells) != len(header)):
                needed = len(header) if header is not None else max(places) + 1
                raise DataError(
                    f"{origin}: has {len(cells)} columns where {needed} are needed: {printable(' | '.join(cells)[:80])}"
                )
            row = {str(column): cells[place] for column, place in zip(columns.wanted(), places, strict=True)}
            if columns.chooses(row, origin):
                yield columns.example(row, 0, origin, path.parent)

    return examples


def tsv_cells(path: Path) -> Cells:
    """The cells of each line that is not empty, with its number: what stands between tabs."""
    for number, line in numbered_lines(path):
        if line:
            yield number, line.split("\t")


def csv_cells(path: Path) -> Cells:
    """The cells of each row that is not empty, with the number of its first line. Raises `DataError` where quotes do not match."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader((line for _, line in raw_lines(path)), strict=True)
    start = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}:{start}: the row that starts here is not valid CSV ({error})") from error
        if cells is None:
            return
        if cells:
            yield start, cells
        start = reader.line_num + 1


def format_of(paths: Sequence[str]) -> Format:
    """The format that the ending of the first file's name says, whatever its case; of one that says none TSV, where the first line has a tab.
    Raises `DataError` where neither tells."""
    name = paths[0].lower().removesuffix(".gz")
    for ending, chosen in _ENDINGS.items():
        if name.endswith(ending):
            return chosen
    first = Path(paths[0])
    if existing([str(first)]) and "\t" in next(numbered_lines(first), (1, ""))[1]:
        return "tsv"
    raise DataError(f"{paths[0]}: cannot tell the format from the name; say format: parquet, jsonl, csv or tsv")


def is_table(path: str) -> bool:
    """Whether this is a file with both sides in one row: by its ending, or, where that says nothing, by a tab in its first line."""
    name = path.lower().removesuffix(".gz")
    if name.endswith(tuple(_ENDINGS)):
        return True
    return not name.endswith((".yaml", ".yml")) and Path(path).is_file() and "\t" in _first_line(Path(path))


def _first_line(path: Path) -> str:
    """Nothing where it cannot be read as text."""
    try:
        return next(iter(numbered_lines(path)), (0, ""))[1]
    except DataError:
        return ""


_ENDINGS: dict[str, Format] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
}
