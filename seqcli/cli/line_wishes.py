"""What a line of JSON wishes of its own translation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqcli.errors import DataError
from seqcli.evaluation.wishes import Wishes

LEAST = {"min_length": 0, "max_length": 1, "seed": 0}


def wishes_of(fields: Mapping[str, Any], origin: str) -> Wishes | None:
    """The wishes among a line's fields; None where it has none. Raises `DataError` naming the line where one is not what it should be."""
    found = {
        name: _wish(name, fields[name], origin)
        for name in ("prefix", "constraints", "avoid", *LEAST)
        if fields.get(name) is not None
    }
    return Wishes(**found) if found else None


def _wish(name: str, value: Any, origin: str) -> Any:
    if name in LEAST:
        # to Python, true is a number too
        if type(value) is not int or value < LEAST[name]:
            raise DataError(f'{origin}: "{name}" is to be a whole number of {LEAST[name]} or more, not {_shown(value)}')
        return value
    if name == "prefix":
        if not isinstance(value, str):
            raise DataError(f'{origin}: "prefix" is to be a text, not {_shown(value)}')
        return _whole(value, name, origin)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise DataError(f'{origin}: "{name}" is to be a list of texts, not {_shown(value)}')
    return tuple(_whole(one, name, origin) for one in value)


def _whole(text: str, name: str, origin: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f'{origin}: "{name}" holds half a surrogate pair, which is no character')
    return text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
