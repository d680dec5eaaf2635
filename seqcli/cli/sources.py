"""Lines of input as examples: plain text, paths of images, or JSON; with targets behind them, or without."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from seqcli.errors import DataError, printable
from seqcli.run import as_example, split_tags
from seqcli.symbols import Example


@dataclass(frozen=True)
class Reading:
    """How input lines are read: as JSON or as they are, for texts, images or both, with a `separator` between feature tags if there are any.
    With `targets` the last column, or a field, is the target."""

    as_json: bool
    texts: bool
    images: bool
    separator: str | None
    targets: bool = False


def read_line(text: str, row: int, reading: Reading, origin: str | None = None) -> tuple[Example, dict[str, Any]]:
    """An input line as an example, and, in JSON, its fields. Raises `DataError` naming the line, or its `origin`, where that cannot be."""
    origin = origin or f"line {row + 1}"
    text = text.removeprefix("\ufeff") if row == 0 else text
    if reading.as_json:
        fields = _fields(text, origin, reading)
        return _example_of(fields, row, origin, reading), fields
    if reading.targets:
        source, target = _columns(text, origin, reading)
        example, fields = read_line(source, row, replace(reading, targets=False), origin)
        return replace(example, target=target), fields
    if not reading.images:
        return as_example(text, row, origin, reading.separator), {}
    path, tab, question = text.partition("\t") if reading.texts else (text, "", "")
    if reading.texts and text.strip() and not tab:
        raise DataError(f"{origin}: needs the path of an image, a tab, and a question: {printable(text[:80])}")
    return replace(as_example(question, row, origin, reading.separator), image=path.strip() or None), {}


def _columns(text: str, origin: str, reading: Reading) -> tuple[str, str]:
    """The source, which may have two columns, and the target, which is the last."""
    source, tab, target = text.rpartition("\t")
    most = 2 if reading.separator is not None or (reading.images and reading.texts) else 1
    if text.strip() and not (tab and text.count("\t") <= most):
        raise DataError(
            f"{origin}: needs a source, a tab, and a target, but has {text.count(chr(9)) + 1} columns: {printable(text[:80])}"
        )
    return source, target


def _fields(text: str, origin: str, reading: Reading) -> dict[str, Any]:
    """What a line of JSON holds, checked for the texts that are needed; nothing where it is blank."""
    if not text.strip():
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{origin}: is no JSON ({error}); without --json lines are plain text") from error
    question = "question" if reading.images else "source"
    wanted = [
        *(["image"] if reading.images else []),
        *([question] if reading.texts else []),
        *(["target"] if reading.targets else []),
    ]
    for name in wanted:
        value = fields.get(name) if isinstance(fields, dict) else None
        if not isinstance(value, str):
            raise DataError(f'{origin}: needs a JSON object with a text "{name}": {printable(text[:80])}')
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise DataError(f"{origin}: the {name} holds half a surrogate pair, which is no character")
    assert isinstance(fields, dict)
    return fields


def _example_of(fields: dict[str, Any], row: int, origin: str, reading: Reading) -> Example:
    source = fields.get("question" if reading.images else "source", "") if reading.texts else ""
    tags = fields.get("features") or ""
    given: tuple[str, ...] = ()
    if reading.separator is not None:
        given = tuple(map(str, tags)) if isinstance(tags, list) else split_tags(str(tags), reading.separator)
    image = (fields.get("image") or None) if reading.images else None
    target = fields.get("target") if reading.targets else None
    return Example(source, target, row, origin, given, image=image)
