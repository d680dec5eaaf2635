"""Which columns of a row hold the source, the target and what goes with them, and how an example is made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np

from seqcli.data.images import image_size
from seqcli.errors import DataError, printable
from seqcli.symbols import Box, Example, Image

Column = Union[str, int]
Cell = Union[str, int, bool]


@dataclass(frozen=True)
class Columns:
    """Where a row keeps what: by name, a dot going into a nested column (`translation.en`), or by number from 0.

    `source` is None where the source is an image alone. Several `target` columns, or lists in one, are what several people wrote.
    `separator` stands between two tags of the features column, unless that is a list already. `references`, `group` and `boxes` are as in
    `Example`, but boxes are in pixels. Of all rows, those are read that have each of the values in `where` in its column.
    """

    source: Column | None = "source"
    target: Column | tuple[Column, ...] = "target"
    features: Column | None = None
    separator: str = ";"
    image: Column | None = None
    references: Column | None = None
    group: Column | None = None
    boxes: Column | None = None
    where: tuple[tuple[str, Cell], ...] = ()

    def __repr__(self) -> str:
        # part of a data set's digest, by which a run that goes on knows its data: what came later shows only where it is used
        first = f"Columns(source={self.source!r}, target={self.target!r}, features={self.features!r}, separator={self.separator!r}"
        later = {name: getattr(self, name) for name in ("image", "references", "group", "boxes", "where")}
        return first + "".join(f", {name}={value!r}" for name, value in later.items() if value not in (None, ())) + ")"

    @property
    def targets(self) -> tuple[Column, ...]:
        """The columns of the target."""
        return self.target if isinstance(self.target, tuple) else (self.target,)

    def wanted(self) -> list[Column]:
        """The columns that are read."""
        others = (self.features, self.image, self.references, self.group, self.boxes, *(name for name, _ in self.where))
        return [column for column in (self.source, *self.targets, *others) if column is not None]

    def check_names(self) -> Columns:
        """These columns, of a format whose columns have names: `DataError` for a number."""
        for column in self.wanted():
            if isinstance(column, int):
                raise DataError(f"column {column} is a number, which only CSV and TSV files understand; give its name")
        return self

    def top_level(self, present: Sequence[str]) -> set[str]:
        """The names of the unnested columns that hold what is read."""
        names = [str(column) for column in self.wanted()]
        return {name if name in present else name.partition(".")[0] for name in names}

    def check(self, present: Sequence[str], where: str) -> None:
        """Raise `DataError` unless all unnested columns are among those `present`."""
        for name in sorted(self.top_level(present)):
            if name not in present:
                raise missing_column(name, present, where)

    def positions(self, header: Sequence[str] | None, where: str) -> list[int]:
        """Where the wanted columns stand in a row of cells, given the header line if there is one."""
        found = []
        for column in self.wanted():
            if isinstance(column, int):
                found.append(column)
            elif header is None or header.count(column) == 0:
                raise missing_column(column, header or [], where)
            elif header.count(column) > 1:
                raise DataError(
                    f"{where}: there are {header.count(column)} columns called {column!r}; rename all but one"
                )
            else:
                found.append(header.index(column))
        return found

    def chooses(self, row: Mapping[str, Any], origin: str) -> bool:
        """Whether a row has the values that are asked for; true is not 1."""
        found = [(_lookup(row, name, origin), value) for name, value in self.where]
        return all(type(cell) is type(value) and cell == value for cell, value in found)

    def example(self, row: Mapping[str, Any], index: int, origin: str, folder: Path | None = None) -> Example:
        """The example that a row of named, perhaps nested, values holds; a null is an empty text.

        A path to an image is seen from `folder`.
        """

        def value(column: Column | None) -> Any:
            return None if column is None else _lookup(row, str(column), origin)

        written = [text for column in self.targets for text in _texts(value(column), column, origin)]
        answers = value(self.references)
        given = [] if answers is None else _texts(answers, self.references, origin)
        image = _image(value(self.image), self.image, origin, folder)
        return Example(
            _text(value(self.source), self.source, origin),
            written[0] if written else "",
            index,
            origin,
            () if self.features is None else self.tags(value(self.features), origin),
            image,
            tuple(given) or (tuple(written) if len(written) > 1 else ()),
            _text(value(self.group), self.group, origin),
            () if image is None else _boxes(value(self.boxes), image, self.boxes, origin),
        )

    def tags(self, value: Any, origin: str) -> tuple[str, ...]:
        """The tags of a features column: a list of texts, or one text with separators."""
        tags = value if isinstance(value, list) else _text(value, self.features, origin).split(self.separator)
        return tuple(tag for tag in (_text(tag, self.features, origin).strip() for tag in tags) if tag)


def missing_column(name: str, present: Iterable[str], where: str) -> DataError:
    """The error for a column that is not there, with those that are."""
    names = printable(", ".join(present))
    return DataError(
        f"{where}: there is no column {name!r}; " + (f"there are: {names}" if names else "the file is empty")
    )


def _lookup(row: Mapping[str, Any], name: str, origin: str) -> Any:
    """The value called `name`; with a dot, that of each item where a list is on the way (`answers.answer`), and null in a null."""
    if name in row:
        return row[name]
    first, dot, rest = name.partition(".")
    if dot and first in row and row[first] is None:
        return None
    if dot and isinstance(row.get(first), Mapping):
        return _lookup(row[first], rest, origin)
    if dot and isinstance(row.get(first), list):
        return [_lookup(item, rest, origin) for item in row[first] if isinstance(item, Mapping)]
    raise missing_column(name, row, origin)


def replace_text(row: MutableMapping[str, Any], columns: Iterable[Column], old: str, new: str) -> bool:
    """Write `new` over the text `old`, in the first of the columns that holds it; false where none does by itself, as where it is one of a list."""
    for column in columns:
        within, name = row, str(column)
        while name not in within:
            first, _, name = name.partition(".")
            below = within.get(first)
            if not name or not isinstance(below, MutableMapping):
                break
            within = below
        else:
            if within[name] == old:
                within[name] = new
                return True
    return False


def _texts(value: Any, column: Column | None, origin: str) -> list[str]:
    """The texts of a column of texts or of lists of them; what is null or blank is what nobody has written."""
    several = value if isinstance(value, (list, tuple)) else [value]
    return [text for one in several if (text := _text(one, column, origin)).strip()]


def _text(value: Any, column: Column | None, origin: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{origin}: column {column!r} holds {value!r:.80}, but a text is needed: put it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{origin}: column {column!r} holds half a surrogate pair, which is no character") from error
    return value


def _image(value: Any, column: Column | None, origin: str, folder: Path | None) -> Image | None:
    """What an image column holds: bytes, a path, `datasets`' dictionary of both, or the numbers of a grid of features; None for nothing."""
    if isinstance(value, Mapping) and ("bytes" in value or "path" in value):
        value = value.get("bytes") or value.get("path")
    if value is None or value in ("", b""):
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value if folder is None else str(folder / value)
    try:
        # a list of images that are decoded already would become an array too
        if isinstance(value, list) and isinstance(_first_leaf(value), (int, float, np.generic)):
            with np.errstate(over="ignore"):  # whoever reads it refuses what is infinite
                return np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):  # a number beyond what a float can hold, too
        pass
    raise DataError(
        f"{origin}: column {column!r} holds {value!r:.80}, but an image is needed: its bytes, its path, or a grid of numbers"
    )


def _first_leaf(value: Any) -> Any:
    while isinstance(value, (list, tuple, np.ndarray)) and len(value):
        value = value[0]
    return value


def _boxes(value: Any, image: Image, column: Column | None, origin: str) -> tuple[Box | None, ...]:
    """Boxes in pixels, [left, right] or [left, top, right, bottom], as shares of the image."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise DataError(f"{origin}: column {column!r} holds {value!r:.80}, but a list of boxes is needed")
    size = image_size(image)
    if size is None:  # it cannot be read, and whoever reads it will say so
        return ()
    return tuple(None if box is None else _box(box, size, column, origin) for box in value)


def _box(box: Any, size: tuple[int, int], column: Column | None, origin: str) -> Box:
    width, height = size
    try:
        edges = [float(edge) for edge in box]
        left, top, right, bottom = (edges[0], 0.0, edges[1], float(height)) if len(edges) == 2 else edges
        if not (all(map(math.isfinite, edges)) and left <= right and top <= bottom):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{origin}: column {column!r} holds {box!r:.80}, but [left, right] or [left, top, right, bottom] is needed"
        ) from None
    return left / width, top / height, right / width, bottom / height
