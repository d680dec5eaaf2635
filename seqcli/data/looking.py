"""What a table of pairs looks like before anybody has said what is in it: its columns, and what kind of text they hold."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, TypeVar

from seqcli.data.columns import Column
from seqcli.data.files import csv_cells, format_of, json_rows, tsv_cells
from seqcli.data.lines import find_files
from seqcli.errors import DataError
from seqcli.symbols import Example

ROWS = 2000
"""Rows that are looked at, at the start of the file."""
PAIRS = (
    ("source", "target"),
    ("src", "tgt"),
    ("src", "trg"),
    ("input", "output"),
    ("word", "pronunciation"),
    ("word", "phonemes"),
    ("word", "ipa"),
    ("grapheme", "phoneme"),
    ("graphemes", "phonemes"),
    ("lemma", "form"),
    ("lemma", "inflected"),
    ("question", "answer"),
    ("article", "summary"),
    ("document", "summary"),
    ("text", "summary"),
    ("text", "target"),
    ("text", "label"),
    ("from", "to"),
)
"""What the columns of source and target are called, the likeliest first."""
TAGS = ("features", "feature", "tags", "tag", "msd", "morphology")
"""What a column of tags is called."""
LANGUAGES = re.compile(
    "ar|bg|bn|ca|cs|cy|da|de|el|en|eo|es|et|eu|fa|fi|fr|ga|gl|he|hi|hr|hu|hy|is|it|ja|ka|ko|la|lt|lv|mk|ml|mr|ms|mt|nb|nl|nn|no|pl|pt|ro|ru|sa|"
    "sk|sl|sq|sr|sv|sw|ta|te|th|tl|tr|uk|ur|vi|zh"
)
"""ISO 639-1: two of them in the first line are names of columns, not words. Indonesian is not among them: id is a number nearly always."""
SEPARATORS = (";", "|", ",", "+")
"""What may stand between two tags, the likeliest first."""
REPEATED = 0.7
"""Of all tags in a column so many are different ones at most; of numbers, links and remarks nearly all are."""
KANJI = re.compile(r"[\u3400-\u9fff]")

T = TypeVar("T")


@dataclass(frozen=True)
class Layout:
    """Which columns of a table are the source, the target and, if there are any, the tags: by name, or by number from 0 where there is no header
    line. `named` says whether names have told so; `separator` stands between two tags."""

    source: Column
    target: Column
    features: Column | None = None
    separator: str = ";"
    named: bool = False


@dataclass(frozen=True)
class Kind:
    """What pairs are, on average: words of a source and of a target, parts of a target between spaces, characters of such a part (the median), and
    whether sources carry tags."""

    source_words: float
    target_words: float
    target_parts: float
    part_length: float
    tagged: bool


def find_layout(path: str) -> Layout:
    """The columns of a table, by their names or else the first two, and a third one if it looks like tags. A row that cannot be read ends what is
    looked at, unless it is the first.

    Raises `DataError` for a file that is missing, empty, no table, or without two columns.
    """
    file = find_files([path])[0]
    chosen = format_of([path])
    if chosen in ("csv", "tsv"):
        rows = _first_rows((csv_cells if chosen == "csv" else tsv_cells)(file))
        _refuse(path, len(rows[0]) if rows else None, "\0" in "".join(rows[0] if rows else []))
        return _of_cells(rows)
    records = _first_rows(json_rows(file)) if chosen == "jsonl" else _parquet_records(file)
    flat = [_flat(record) for record in records]
    names = [name for name in (flat[0] if flat else {}) if _is_text([row.get(name) for row in flat])]
    _refuse(path, len(names) if flat else None, False)
    pair = _named_pair(names)
    source, target = pair or (names[0], names[1])
    lists = [name for name, value in flat[0].items() if isinstance(value, list)]
    features = next((name for name in [*names, *lists] if _last(name) in TAGS and name not in (source, target)), None)
    tags = [row[features] for row in flat if isinstance(row.get(features), str)] if features else []
    return Layout(source, target, features, _separator(tags), named=pair is not None)


def look(examples: Iterable[Example], name: str) -> Kind:
    """What kind of pairs the first examples of the file of this `name` are. Raises `DataError` where there are none."""
    seen = list(itertools.islice(examples, ROWS))
    if not seen:
        raise DataError(
            f"{name}: has no pairs below its header line; pairs of a source and a target are needed, one a line"
        )
    targets = [example.target or "" for example in seen]
    parts = [target.split() for target in targets]
    return Kind(
        mean(_words(example.source) for example in seen),
        mean(map(_words, targets)),
        mean(map(len, parts)),
        median([len(part) for target in parts for part in target] or [0]),
        any(example.features for example in seen),
    )


def _is_text(values: Sequence[object]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, str) for value in given)


def _words(text: str) -> float:
    """Words between spaces; of Chinese and Japanese, which write none, a word for every two characters."""
    return max(len(text.split()), len(KANJI.findall(text)) / 2)


def _refuse(path: str, columns: int | None, binary: bool) -> None:
    if columns is None:
        raise DataError(f"{path}: is empty; pairs of a source and a target are needed, one a line")
    if binary:
        raise DataError(f"{path}: is no text (it holds the byte 0); is it of the format that its name says?")
    if columns < 2:
        found = "one column of text" if columns else "no column of text"
        raise DataError(
            f"{path}: has {found}, but two are needed, the source and the target (with a tab between them in TSV, a comma in CSV)"
        )


def _of_cells(rows: list[list[str]]) -> Layout:
    first = [cell.strip() for cell in rows[0]]
    pair = _named_pair(first)
    if pair is None:
        tags, separator = _tags(rows, 2)
        if tags is None:
            before, between = _tags(rows, 1)
            # words that are often repeated look like tags too, but have no separators
            if before is not None and _often(between, [row[1] for row in rows if len(row) > 1]):
                return Layout(0, 2, 1, between)
        return Layout(0, 1, tags, separator)
    features = next((name for name in first if name.lower() in TAGS), None)
    place = None if features is None else first.index(features)
    cells = [row[place] for row in rows[1:] if place is not None and len(row) > place]
    # the names as they stand in the file, spaces included, are those that the reader finds
    exact = {name: rows[0][first.index(name)] for name in first}
    return Layout(exact[pair[0]], exact[pair[1]], features and exact[features], _separator(cells), named=True)


def _named_pair(names: Sequence[str]) -> tuple[str, str] | None:
    """The two names of columns that are known for source and target, or of two languages."""
    known = {_last(name): name for name in reversed(names)}
    for source, target in PAIRS:
        if source in known and target in known:
            return known[source], known[target]
    languages = [name for name in names if LANGUAGES.fullmatch(_last(name))]
    # a form may be spelt like a language, but then tags stand beside it
    tagged = any(separator in name for name in names for separator in SEPARATORS)
    if len(languages) == len(set(languages)) == 2 and not tagged:
        return languages[0], languages[1]
    return None


def _last(name: str) -> str:
    return name.rpartition(".")[2].strip().lower()


def _tags(rows: list[list[str]], place: int) -> tuple[int | None, str]:
    """The column of that number where it holds tags, as in SIGMORPHON's files, and there is a third one; and what stands between two tags."""
    cells = [row[place].strip() if len(row) > 2 else "" for row in rows]
    separator = _separator(cells)
    tags = Counter(tag for cell in cells for tag in cell.split(separator))
    looks = all(cell and not re.search(r"\s", cell) and re.search(r"[^\W\d_]", cell) for cell in cells)
    return (place, separator) if looks and len(tags) < REPEATED * tags.total() else (None, separator)


def _separator(cells: Sequence[str]) -> str:
    """The first separator that half of the cells have; a semicolon where none has."""
    return next((each for each in SEPARATORS if _often(each, cells)), ";")


def _often(separator: str, cells: Sequence[str]) -> bool:
    """Whether half of the cells, and one at least, have the separator."""
    return 2 * sum(separator in cell for cell in cells) >= max(1, len(cells))


def _first_rows(rows: Iterator[tuple[int, T]]) -> list[T]:
    """The first rows, up to one that cannot be read."""
    found: list[T] = []
    try:
        for _, row in itertools.islice(rows, ROWS):
            found.append(row)
    except DataError:
        if not found:
            raise
    return found


def _parquet_records(file: Path) -> list[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            batch = next(opened.iter_batches(batch_size=ROWS), None)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: is no Parquet file that can be read ({str(error).splitlines()[0]})") from error
    return [] if batch is None else batch.to_pylist()


def _flat(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A record with its nested columns beside the others, as `translation.en`. An image, which is nested too, stays one column."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        nested = isinstance(value, Mapping) and not {"bytes", "path"} <= value.keys()
        flat |= _flat(value, f"{before}{name}.") if nested else {f"{before}{name}": value}
    return flat
