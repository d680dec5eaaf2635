"""The rows of a data set as they are, those that cannot be read too: what a diagnosis goes through, and what a cleaned copy is written from.

The readers of `data` stop at the first line that is not as described; these go on, and keep the bytes of every line.
"""

from __future__ import annotations

import csv
import io
import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from seqcli.data.columns import Column, Columns, replace_text
from seqcli.data.corpus import Corpus, read_parquet
from seqcli.data.files import json_object
from seqcli.data.lines import byte_lines, find_files, without_end
from seqcli.diagnosis.encoding import around
from seqcli.errors import DataError
from seqcli.symbols import Example

Bytes = tuple[bytes, ...]
"""What a row is made of: a line, or a line of each of two files."""


class Row(NamedTuple):
    """A row: its texts; `others`, what its source has beside the text (tags, an image); its bytes; `trouble`, kind and value of a fault that keeps
    it from being read; and whether it is an example at all (a table's header and a blank line are none)."""

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
    """One split: groups of `files` that are read side by side, and how; `rewritten` gives the bytes of a row with other texts, None for a row
    whose texts cannot be told in its bytes (one of a list, say). Where rows are no bytes of their own there is no `rewritten`, but the
    `columns` of the source and of the target."""

    name: str
    files: Callable[[], list[tuple[Path, ...]]]
    read: Callable[[tuple[Path, ...]], Iterator[Row]]
    rewritten: Callable[[Row, str, str], Bytes | None] | None = None
    columns: tuple[tuple[Column, ...], tuple[Column, ...]] = ((), ())

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
        parts = _Parts(columns, json_object, _json_line, is_blank=lambda text: not text.strip())
    elif format == "csv":
        parts = _Parts(columns, _csv_cells, _csv_line, _csv_records, has_header=by_name, numbered=True)
    else:
        parts = _Parts(columns, _tsv_cells, _tsv_line, has_header=by_name, numbered=True)
    return _rows_of(paths, parts)


def pattern_rows(paths: Sequence[str], pattern: str, columns: Columns) -> Rows:
    """Lines taken apart by a regular expression."""
    expression = re.compile(pattern)

    def cells(text: str) -> dict[str, Any]:
        match = expression.fullmatch(text)
        if match is None:
            raise DataError(f"the pattern {pattern!r} does not match")
        return match.groupdict()

    def line(text: str, changes: Sequence[Change], _header: list[str] | None) -> str | None:
        match = expression.fullmatch(text)
        assert match is not None
        named = {str(columns[0]): _flat(new) for columns, _, new in changes}
        for name in sorted(named, key=match.start, reverse=True):
            text = text[: match.start(name)] + named[name] + text[match.end(name) :]
        # what was mended may be taken apart in another way
        again = expression.fullmatch(text)
        return text if again is not None and again.groupdict() == match.groupdict() | named else None

    return _rows_of(paths, _Parts(columns, cells, line))


def _rows_of(paths: Sequence[str], parts: _Parts) -> Rows:
    """The rows of files of lines, file after file."""
    return Rows(", ".join(paths), lambda: _alone(paths), lambda group: parts.rows(group[0]), parts.rewritten)


def _alone(paths: Sequence[str]) -> list[tuple[Path, ...]]:
    """The files, each a group by itself."""
    return [(path,) for path in find_files(paths)]


def parquet_rows(paths: Sequence[str], columns: Columns) -> Rows:
    """Parquet files; a row's line is its number in its file, from 1."""
    columns.check_names()

    def read(group: tuple[Path, ...]) -> Iterator[Row]:
        return corpus_rows(read_parquet([str(group[0])], columns)).read(group)

    return Rows(", ".join(paths), lambda: _alone(paths), read, columns=_sides(columns))


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


def _decoded(data: bytes, line: int, *, with_end: bool = False) -> tuple[str, tuple[str, str] | None]:
    """A line as text, without its end unless asked for; what is not UTF-8 is told, and becomes �."""
    trouble = None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text = data.decode(errors="replace")
        before = len(data[: error.start].decode(errors="replace"))
        trouble = ("bytes", f"0x{data[error.start]:02x} in {around(text.rstrip(), before, before + 1)}")
    text = text if with_end else without_end(text)
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
    """The line of each side; one whose text is the same is left as it is."""
    sides = zip(row.raw, (row.source, row.target), (source, target), strict=True)
    return tuple(raw if new == old else _one_line(new).encode() + _end(raw) for raw, old, new in sides)


def _end(data: bytes) -> bytes:
    """What ends a line: `\\n`, `\\r\\n`, or nothing."""
    return data[len(data.removesuffix(b"\n").removesuffix(b"\r")) :]


def _one_line(text: str) -> str:
    """A text that stays one line."""
    return text.replace("\n", " ").replace("\r", " ")


def _flat(text: str) -> str:
    """A text that stays one cell of one line."""
    return _one_line(text).replace("\t", " ")


def _sides(columns: Columns) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """The columns that the source, and that the target is in."""
    return () if columns.source is None else (columns.source,), columns.targets


Change = tuple[tuple[Column, ...], str, str]
"""The columns of which one holds a text, the text, and what it becomes."""


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    return enumerate(byte_lines(path), start=1)


@dataclass(frozen=True)
class _Parts:
    """How a line of a table is taken apart into `cells`, by name or `numbered`, and `joined` again with some of them changed, None where they
    cannot be; how a file is `cut` into such lines, and which of them are blank."""

    columns: Columns
    cells: Callable[[str], Any]
    joined: Callable[[str, Sequence[Change], list[str] | None], str | None]
    cut: Callable[[Path], Iterator[tuple[int, bytes]]] = _lines
    is_blank: Callable[[str], bool] = operator.not_
    has_header: bool = False
    numbered: bool = False
    headers: dict[str, list[str]] = field(default_factory=dict)
    """The header of each file that was read."""

    def rows(self, path: Path) -> Iterator[Row]:
        """The rows of a file. Raises `DataError` for a header that cannot be read, or has not the columns."""
        header: list[str] | None = None
        names = None if self.has_header else self._names(None, f"{path}:1")
        for line, data in self.cut(path):
            text, trouble = _decoded(data, line)
            where, raw = (str(path), line), (data,)
            if self.is_blank(text):
                yield Row(*where, "", "", raw=raw, counts=False)
                continue
            if self.has_header and header is None:
                header = self.headers[str(path)] = self._header(text, trouble, f"{path}:{line}")
                names = self._names(header, f"{path}:{line}")
                yield Row(*where, "", "", raw=raw, counts=False)
                continue
            try:
                row = self._named(self.cells(text), names, header)
                chosen = self.columns.chooses(row, "")
                example = self.columns.example(row, 0, "", path.parent)
            except DataError as error:
                told = trouble or ("unreadable", f"{str(error).removeprefix(': ')}: {around(text, 0, 0)}")
                yield Row(*where, "", "", raw=raw, trouble=told)
                continue
            yield Row(*where, example.source, example.target or "", _others(example), raw, trouble, chosen)
        if self.has_header and header is None:
            self.columns.positions(None, f"{path}:1")

    def rewritten(self, row: Row, source: str, target: str) -> Bytes | None:
        """The line of a row with other texts; what is the same is left as it is. None where one of them is no cell of its own."""
        sides = zip(_sides(self.columns), (row.source, row.target), (source, target), strict=True)
        changes = [(columns, old, new) for columns, old, new in sides if columns and new != old]
        line = self.joined(_decoded(row.raw[0], row.line)[0], changes, self.headers.get(row.file))
        return None if line is None else (line.encode() + _end(row.raw[0]),)

    def _header(self, text: str, trouble: tuple[str, str] | None, where: str) -> list[str]:
        """The names of a table's columns."""
        if trouble is not None:
            raise DataError(f"{where}: the names of the columns are not UTF-8 ({trouble[1]})")
        try:
            names: list[str] = self.cells(text)
        except DataError as error:
            raise DataError(f"{where}: the row with the names of the columns {error}") from error
        return names

    def _names(self, header: list[str] | None, where: str) -> dict[str, int] | None:
        """Where the wanted cells of a table stand; None where cells have names."""
        if not self.numbered:
            return None
        places = self.columns.positions(header, where)
        return {str(column): place for column, place in zip(self.columns.wanted(), places, strict=True)}

    def _named(self, cells: Any, names: dict[str, int] | None, header: list[str] | None) -> Any:
        if names is None:
            return cells
        if max(names.values()) >= len(cells) or (header is not None and len(cells) != len(header)):
            needed = len(header) if header is not None else max(names.values()) + 1
            raise DataError(f"has {len(cells)} columns where {needed} are needed")
        return {name: cells[place] for name, place in names.items()}


def _tsv_cells(text: str) -> list[str]:
    return text.split("\t")


def _tsv_line(text: str, changes: Sequence[Change], header: list[str] | None) -> str | None:
    flat = [(columns, old, _flat(new)) for columns, old, new in changes]
    cells = _changed(text.split("\t"), flat, header)
    return None if cells is None else "\t".join(cells)


def _changed(cells: list[str], changes: Sequence[Change], header: list[str] | None) -> list[str] | None:
    """The cells with other texts in some: for each change the first of its columns that holds the text. None where none does."""
    for columns, old, new in changes:
        places = (column if isinstance(column, int) else (header or []).index(column) for column in columns)
        place = next((place for place in places if cells[place] == old), None)
        if place is None:
            return None
        cells[place] = new
    return cells


def _csv_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """The rows of a CSV file, each of as many lines as `csv` takes for it, by their first line."""
    csv.field_size_limit(2**31 - 1)
    yield from _cut_csv(_lines(path))


def _cut_csv(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    taken: list[tuple[int, bytes]] = []

    def texts() -> Iterator[str]:
        for line, data in lines:
            taken.append((line, data))
            yield _decoded(data, line, with_end=True)[0]

    reader = csv.reader(texts(), strict=True)
    while True:
        taken.clear()
        closed = True
        try:
            if next(reader, None) is None:
                return
        except csv.Error as error:  # told by `_csv_cells`
            closed = "end of data" not in str(error)
        if not closed:
            # a quotation mark that nothing closes costs its own line, not all that follow
            yield taken[0]
            yield from _cut_csv(iter(taken[1:]))
            return
        yield taken[0][0], b"".join(data for _, data in taken)


def _csv_cells(text: str) -> list[str]:
    csv.field_size_limit(2**31 - 1)
    try:
        first, *others = csv.reader(io.StringIO(text), strict=True)
    except (csv.Error, ValueError) as error:
        raise DataError(f"is not valid CSV ({error})") from error
    if others:
        raise DataError("is not valid CSV (a second row begins in it)")
    return first


def _csv_line(text: str, changes: Sequence[Change], header: list[str] | None) -> str | None:
    cells = _changed(_csv_cells(text), changes, header)
    if cells is None:
        return None
    out = io.StringIO()
    # with \r\n as the end, cells with either of them are put into quotes
    csv.writer(out).writerow(cells)
    return out.getvalue().removesuffix("\r\n")


def _json_line(text: str, changes: Sequence[Change], _header: list[str] | None) -> str | None:
    row = json.loads(text)
    if not all(replace_text(row, columns, old, new) for columns, old, new in changes):
        return None
    line = json.dumps(row, ensure_ascii=False)
    # half a surrogate pair in a column that is not read cannot be written but as an escape
    return line if _encodes(line) else json.dumps(row)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
