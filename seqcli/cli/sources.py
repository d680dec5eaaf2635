"""Lines of input as examples: plain text, paths of images, or JSON; with targets behind them, or without."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from seqcli.data.tasks import Tagging
from seqcli.errors import DataError, printable
from seqcli.symbols import Example


@dataclass(frozen=True)
class Reading:
    """How input lines are read: as JSON or as they are, for texts, images or both, with tags before them as `tagging` says, of the `task`
    where a line names none itself. With `targets` the last column, or a field, is the target."""

    as_json: bool
    texts: bool
    images: bool
    tagging: Tagging
    task: str | None = None
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
        return reading.tagging.example(text, row, origin, task=reading.task), {}
    path, tab, question = text.partition("\t") if reading.texts else (text, "", "")
    if reading.texts and text.strip() and not tab:
        raise DataError(f"{origin}: needs the path of an image, a tab, and a question: {printable(text[:80])}")
    example = reading.tagging.example(question, row, origin, task=reading.task)
    return replace(example, image=path.strip() or None), {}


def _columns(text: str, origin: str, reading: Reading) -> tuple[str, str]:
    """The source, which may have two columns, and the target, which is the last."""
    source, tab, target = text.rpartition("\t")
    tagged = reading.tagging.separator_of(reading.task, origin) is not None
    most = 2 if tagged or (reading.images and reading.texts) else 1
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
    if not fields:
        return Example("", None, row, origin)
    source = fields.get("question" if reading.images else "source", "") if reading.texts else ""
    tags, task = fields.get("features") or "", fields.get("task")
    if task is None or not reading.tagging.tasks:
        task = reading.task  # what is a task to no run may well be a field of its line
    listed = list(map(str, tags)) if isinstance(tags, list) else str(tags)
    given = reading.tagging.tags(listed, str(task) if task is not None else None, origin)
    image = (fields.get("image") or None) if reading.images else None
    target = fields.get("target") if reading.targets else None
    return Example(source, target, row, origin, given, image=image)
