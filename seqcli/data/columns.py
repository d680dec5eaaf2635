"""Which columns of a row hold the source, the target and the features, and how an example is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqcli.errors import DataError, printable
from seqcli.symbols import Example


@dataclass(frozen=True)
class Columns:
    """Where a row keeps what: by name, a dot going into a nested column (`translation.en`), or by number from 0.

    `separator` stands between two tags of the features column, unless that is a list already.
    """

    source: str | int
    target: str | int
    features: str | int | None = None
    separator: str = ";"

    @classmethod
    def named(cls, source: str | int, target: str | int, features: str | int | None, separator: str) -> Columns:
        """Columns of a format whose columns have names; a number is refused."""
        columns = cls(source, target, features, separator)
        for column in columns.wanted():
            if isinstance(column, int):
                raise DataError(f"column {column} is a number, which only CSV and TSV files understand; give its name")
        return columns

    def wanted(self) -> list[str | int]:
        """The columns that are read."""
        return [self.source, self.target, *([] if self.features is None else [self.features])]

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

    def example(self, row: Mapping[str, Any], index: int, origin: str) -> Example:
        """The example that a row of named, perhaps nested, values holds; a null is an empty text."""
        texts = [_text(_lookup(row, str(column), origin), column, origin) for column in (self.source, self.target)]
        tags = () if self.features is None else self.tags(_lookup(row, str(self.features), origin), origin)
        return Example(texts[0], texts[1], index, origin, tags)

    def tags(self, value: Any, origin: str) -> tuple[str, ...]:
        """The tags of a features column: a list of texts, or one text with separators."""
        tags = value if isinstance(value, list) else _text(value, self.features, origin).split(self.separator)
        return tuple(tag for tag in (_text(tag, self.features, origin).strip() for tag in tags) if tag)


def missing_column(name: str, present: Iterable[str], where: str) -> DataError:
    """The error for a column that is not there, with those that are."""
    return DataError(f"{where}: there is no column {name!r}; there are: {printable(', '.join(present))}")


def _lookup(row: Mapping[str, Any], name: str, origin: str) -> Any:
    if name in row:
        return row[name]
    first, dot, rest = name.partition(".")
    if dot and isinstance(row.get(first), Mapping):
        return _lookup(row[first], rest, origin)
    raise missing_column(name, row, origin)


def _text(value: Any, column: str | int | None, origin: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{origin}: column {column!r} holds {value!r:.80}, but a text is needed: put it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{origin}: column {column!r} holds half a surrogate pair, which is no character") from error
    return value
