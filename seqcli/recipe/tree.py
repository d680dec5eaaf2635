"""A recipe as a tree in which every value knows where it was written, and the mistakes that are found in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Union

Scalar = Union[str, int, float, bool, None]
KeyPath = tuple[Union[str, int], ...]

Broken = Iterator[tuple[tuple[str, ...], str]]
"""The path and a sentence for each rule that a recipe breaks."""


@dataclass(frozen=True, order=True)
class Place:
    """Where something was written: in a file, or in the override of that number (counted from 1; 0 means the file).

    Places sort as a reader meets them: the file from its top, then the overrides.
    """

    override: int
    line: int
    column: int
    text: str = field(compare=False)

    def __str__(self) -> str:
        return f"command line: {self.text}" if self.override else f"{self.text}:{self.line}:{self.column}"


@dataclass
class Node:
    """A value, where it starts, and where its key does (for list items and the whole document: the same place)."""

    value: Scalar | list[Node] | dict[str, Node]
    place: Place
    key_place: Place

    def plain(self) -> Any:
        """The value in dictionaries, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, part: str | int) -> Node | None:
        """The value under a key, or at a place of a list; None where there is none."""
        if isinstance(self.value, dict):
            return self.value.get(str(part))
        if isinstance(self.value, list):
            return {str(number): item for number, item in enumerate(self.value)}.get(str(part))
        return None

    def deepest(self, path: KeyPath) -> tuple[Node, int]:
        """The last node on the way along `path` that exists, and how many parts of the path lead to it."""
        node = self
        for depth, part in enumerate(path):
            below = node.child(part)
            if below is None:
                return node, depth
            node = below
        return node, len(path)


@dataclass
class Mistake:
    """One thing that is wrong in a recipe: where, under which keys, and a sentence.

    `meant` is the key or the kind that was probably meant at `path`; the rest of the section is checked as if it stood there.
    """

    place: Place
    path: KeyPath
    message: str
    meant: str | None = None

    def __str__(self) -> str:
        return "  ".join(part for part in (str(self.place), dotted(self.path), self.message) if part)


def dotted(path: KeyPath) -> str:
    """The keys with dots between them; keys that are not plain words are quoted."""
    return ".".join(part if re.fullmatch(r"[\w-]{1,60}", part) else shown(part) for part in map(str, path))


def shown(value: object) -> str:
    """A value as a message quotes it: short, on one line, null and true as YAML writes them."""
    if isinstance(value, dict):
        return "a section"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
