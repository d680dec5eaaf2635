"""The rows of a data set as they are, those that cannot be read too: what a diagnosis goes through, and what a cleaned copy is written from.

The readers of `data` stop at the first line that is not as described; these go on, and keep the bytes of every line.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus, read_parquet
from seqcli.data.lines import byte_lines, find_files
from seqcli.diagnosis.encoding import around
from seqcli.errors import DataError
from seqcli.symbols import Example

Bytes = tuple[bytes, ...]
"""What a row is made of: a line, or a line of each of two files."""


class Row(NamedTuple):
    """A row: its texts; `others`, what its source has beside the text (tags, an image); its bytes; `trouble`, kind and value of a fault that keeps
    it from being read; and whether it is an example at all (a blank line of a table is none)."""

    file: str
    line: int
    source: str
    target: str
    others: str = ""
    raw: Bytes = ()
    trouble: tuple[str, str] | None = None
    counts: bool = True


@dataclass(frozen=True)
class Rows:
    """One split: groups of `files` that are read side by side, and how; `rewritten` gives the bytes of a row with other texts, None where
    rows are no bytes of their own. `columns` are the names of the source's and the target's, where they have names."""

    name: str
    files: Callable[[], list[tuple[Path, ...]]]
    read: Callable[[tuple[Path, ...]], Iterator[Row]]
    rewritten: Callable[[Row, str, str], Bytes] | None = None
    has_header: bool = False
    columns: tuple[str, ...] = ()

    def header(self, path: Path) -> bytes:
        """The line with the names of the columns."""
        return next(byte_lines(path), b"")

    def __iter__(self) -> Iterator[Row]:
        """The examples, and what should be one."""
        return (row for group in self.files() for row in self.read(group) if row.counts)


def text_rows(sources: Sequence[str], targets: Sequence[str]) -> Rows:
    """Plain parallel text, a file a side."""

    def files() -> list[tuple[Path, ...]]:
        pair = find_files(sources), find_files(targets)
        if len(pair[0]) != len(pair[1]):
            raise DataError(f"{len(pair[0])} source files, but {len(pair[1])} target files")
        return list(zip(*pair, strict=True))

    return Rows(", ".join([*sources, *targets]), files, _parallel, _lines_of_both)


def table_rows(paths: Sequence[str], columns: Columns, format: str) -> Rows:
    """TSV, CSV or JSON lines; `columns` are given by name if, and only if, a table has a header."""
    by_name = format == "jsonl" or any(isinstance(column, str) for column in columns.wanted())
    if format == "jsonl":
        parts = _Parts(columns, _json_cells, _json_line)
    else:
        how = (_csv_cells, _csv_line) if format == "csv" else (_tsv_cells, _tsv_line)
        parts = _Parts(columns, *how, has_header=by_name, numbered=True)
    lines = _csv_records if format == "csv" else _lines
    return Rows(
        ", ".join(paths), lambda: [(path,) for path in find_files(paths)], lambda group: parts.rows(group[0], lines),
        parts.rewritten, parts.has_header,
    )  # fmt: skip


def pattern_rows(paths: Sequence[str], pattern: str, columns: Columns) -> Rows:
    """Lines taken apart by a regular expression."""
    expression = re.compile(pattern)

    def cells(text: str, _header: list[str] | None) -> dict[str, Any]:
        match = expression.fullmatch(text)
        if match is None:
            raise DataError(f"the pattern {pattern!r} does not match")
        return match.groupdict()

    def line(text: str, changed: Mapping[str, str], _header: list[str] | None) -> str:
        match = expression.fullmatch(text)
        assert match is not None
        for name in sorted(changed, key=match.start, reverse=True):
            text = text[: match.start(name)] + changed[name] + text[match.end(name) :]
        return text

    parts = _Parts(columns, cells, line)
    return Rows(
        ", ".join(paths), lambda: [(path,) for path in find_files(paths)], lambda group: parts.rows(group[0], _lines),
        parts.rewritten,
    )  # fmt: skip


def parquet_rows(paths: Sequence[str], columns: Columns) -> Rows:
    """Parquet files; a row's line is its number in its file, from 1."""
    columns.check_names()
    names = (str(columns.source), str(columns.targets[0]))

    def read(group: tuple[Path, ...]) -> Iterator[Row]:
        return corpus_rows(read_parquet([str(group[0])], columns)).read(group)

    return Rows(", ".join(paths), lambda: [(path,) for path in find_files(paths)], read, columns=names)


def corpus_rows(corpus: Corpus) -> Rows:
    """Any other corpus, which is read as it is for training: what cannot be read ends it with a `DataError`."""

    def read(_group: tuple[Path, ...]) -> Iterator[Row]:
        for number, example in enumerate(corpus.read(), start=1):
            file, _, line = example.origin.rpartition(":")
            place = (file, int(line)) if line.isdecimal() else (example.origin, number)
            yield Row(*place, example.source, example.target or "", _others(example))

    return Rows(corpus.name, lambda: [()], read)


def _others(example: Example) -> str:
    """What a source has beside its text: its tags, and its image, by name or by what is in it."""
    image = example.image
    seen = "" if image is None else image if isinstance(image, str) else str(hash(_content(image)))
    return "\x1f".join((*example.features, seen)) if example.features or seen else ""


def _content(image: Any) -> bytes:
    return image if isinstance(image, bytes) else bytes(image.tobytes())


def _decoded(data: bytes, line: int) -> tuple[str, tuple[str, str] | None]:
    """A line as text without its end; what is not UTF-8 is told, and becomes �."""
    trouble = None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text = data.decode(errors="replace")
        before = len(data[: error.start].decode(errors="replace"))
        trouble = ("bytes", f"0x{data[error.start]:02x} in {around(text.rstrip(), before, before + 1)}")
    text = text.removesuffix("\n").removesuffix("\r")
    return text.removeprefix("\ufeff") if line == 1 else text, trouble


def _parallel(group: tuple[Path, ...]) -> Iterator[Row]:
    """Line by line; a file that is longer than the other has rows without a partner at its end."""
    both = zip_longest(*map(byte_lines, group))
    for line, data in enumerate(both, start=1):
        if None in data:
            present = 1 if data[0] is None else 0
            text = _decoded(data[present], line)[0]
            trouble = ("unreadable", f"{group[1 - present]} has no such line: {around(text, 0, 0)}")
            yield Row(str(group[present]), line, "", "", raw=tuple(each or b"" for each in data), trouble=trouble)
            continue
        (source, first), (target, second) = (_decoded(each, line) for each in data)
        yield Row(str(group[0]), line, source, target, raw=data, trouble=first or second)


def _lines_of_both(row: Row, source: str, target: str) -> Bytes:
    return tuple(f"{_flat(text)}\n".encode() for text in (source, target))


def _flat(text: str) -> str:
    """A text that stays one cell of one line."""
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


@dataclass(frozen=True)
class _Parts:
    """How a line of a table is taken apart into cells, by name or `numbered`, and put together again with some of them changed."""

    columns: Columns
    cells: Callable[[str, list[str] | None], Any]
    joined: Callable[[str, Mapping[str, str], list[str] | None], str]
    has_header: bool = False
    numbered: bool = False

    def rows(self, path: Path, lines: Callable[[Path], Iterator[tuple[int, bytes]]]) -> Iterator[Row]:
        """The rows of a file."""
        found = lines(path)
        header = self.cells(_decoded(next(found, (1, b""))[1], 1)[0], None) if self.has_header else None
        names = self._names(header, path)
        for line, data in found:
            text, trouble = _decoded(data, line)
            where, raw = (str(path), line), (data,)
            if not (text.strip() if self.cells is _json_cells else text):
                yield Row(*where, "", "", raw=raw, counts=False)
                continue
            try:
                row = self._named(self.cells(text, header), names, header)
                chosen = self.columns.chooses(row, "")
                example = self.columns.example(row, 0, "", path.parent)
            except DataError as error:
                told = trouble or ("unreadable", f"{str(error).removeprefix(': ')}: {around(text, 0, 0)}")
                yield Row(*where, "", "", raw=raw, trouble=told)
                continue
            yield Row(*where, example.source, example.target or "", _others(example), raw, trouble, chosen)

    def rewritten(self, row: Row, source: str, target: str) -> Bytes:
        """The line of a row with other texts; what is the same is left as it is."""
        text = _decoded(row.raw[0], row.line)[0]
        given = {self.columns.source: (row.source, source), self.columns.targets[0]: (row.target, target)}
        changed = {str(column): new for column, (old, new) in given.items() if column is not None and new != old}
        header = None
        if self.has_header:
            header = self.cells(_decoded(next(byte_lines(Path(row.file))), 1)[0], None)
        return (f"{self.joined(text, changed, header)}\n".encode(),)

    def _names(self, header: list[str] | None, path: Path) -> dict[str, int] | None:
        """Where the wanted cells of a table stand; None where cells have names."""
        if not self.numbered:
            return None
        places = self.columns.positions(header, f"{path}:1")
        return {str(column): place for column, place in zip(self.columns.wanted(), places, strict=True)}

    def _named(self, cells: Any, names: dict[str, int] | None, header: list[str] | None) -> Any:
        if names is None:
            return cells
        if max(names.values()) >= len(cells) or (header is not None and len(cells) != len(header)):
            needed = len(header) if header is not None else max(names.values()) + 1
            raise DataError(f"has {len(cells)} columns where {needed} are needed")
        return {name: cells[place] for name, place in names.items()}


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    return enumerate(byte_lines(path), start=1)


def _tsv_cells(text: str, _header: list[str] | None) -> list[str]:
    return text.split("\t")


def _tsv_line(text: str, changed: Mapping[str, str], header: list[str] | None) -> str:
    cells = text.split("\t")
    for name, new in changed.items():
        cells[int(name) if header is None else header.index(name)] = _flat(new)
    return "\t".join(cells)


def _csv_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """The rows of a CSV file, each of as many lines as it takes to close its quotes, by their first line."""
    record, first = b"", 1
    for line, data in _lines(path):
        record, first = record + data, first if record else line
        if record.count(b'"') % 2 == 0:
            yield first, record
            record = b""
    if record:
        yield first, record


def _csv_cells(text: str, _header: list[str] | None) -> list[str]:
    csv.field_size_limit(2**31 - 1)
    try:
        return next(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (csv.Error, StopIteration) as error:
        raise DataError(f"is not valid CSV ({error})") from error


def _csv_line(text: str, changed: Mapping[str, str], header: list[str] | None) -> str:
    cells = _csv_cells(text, header)
    for name, new in changed.items():
        cells[int(name) if header is None else header.index(name)] = new
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _json_cells(text: str, _header: list[str] | None) -> Any:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is no JSON ({error})") from error
    if not isinstance(row, dict):
        raise DataError("is no JSON object with columns")
    return row


def _json_line(text: str, changed: Mapping[str, str], _header: list[str] | None) -> str:
    row = json.loads(text)
    for name, new in changed.items():
        within = row
        *above, last = [name] if name in row else name.split(".")
        for part in above:
            within = within[part]
        within[last] = new
    return json.dumps(row, ensure_ascii=False)
