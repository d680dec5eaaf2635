"""YAML text as a tree of nodes.

PyYAML's parser gives the events; what they mean is decided here, by the core schema of YAML 1.2: `no` is text, `1e-4` is a
number, a date is text. What could hide a mistake is refused: duplicate keys, aliases, tags, a second document, deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from seqcli.recipe.tree import KeyPath, Mistake, Node, Place, Scalar, shown

MAX_DEPTH = 32
NULL = re.compile(r"|~|null|Null|NULL")
BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
OCTAL = re.compile(r"0o[0-7]{1,20}")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,15}")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def scalar(text: str) -> Scalar:
    """What an unquoted scalar means in the core schema of YAML 1.2."""
    if NULL.fullmatch(text):
        return None
    if BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if INTEGER.fullmatch(text):
        return int(text)
    if OCTAL.fullmatch(text) or HEXADECIMAL.fullmatch(text):
        return int(text, base=0)
    if NUMBER.fullmatch(text):
        return float(text)
    if INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class Unreadable(Exception):
    """Text that is not YAML: carries the one `Mistake` that stopped the reading."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


def parse_yaml(text: str, place: Callable[[int, int], Place]) -> tuple[Node, list[Mistake]]:
    """The tree that `text` describes, and what was refused in it.

    `place` makes a `Place` of a line and a column, both counted from 1. Raises `Unreadable` where the text is not YAML.
    """
    try:
        return _Parser(text, place).document()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise Unreadable(
            Mistake(place(line, column), (), f"the character U+{_code(error):04X} is not allowed")
        ) from None


def _code(error: yaml.reader.ReaderError) -> int:
    return error.character if isinstance(error.character, int) else ord(error.character)


class _Parser:
    """Builds nodes from PyYAML's events, one document."""

    def __init__(self, text: str, place: Callable[[int, int], Place]) -> None:
        self.events = yaml.SafeLoader(text)
        self.place = place
        self.mistakes: list[Mistake] = []

    def document(self) -> tuple[Node, list[Mistake]]:
        self.next()
        if isinstance(self.peek(), yaml.StreamEndEvent):
            start = self.place(1, 1)
            return Node(None, start, start), self.mistakes
        self.next()
        root = self.node((), None)
        self.next()
        if not isinstance(second := self.peek(), yaml.StreamEndEvent):
            self.refuse(second, (), "a second document begins here; a recipe is one document")
        return root, self.mistakes

    def node(self, path: KeyPath, key_place: Place | None) -> Node:
        event = self.next()
        start = self.at(event.start_mark)
        if len(path) > MAX_DEPTH:
            raise Unreadable(Mistake(start, (), f"nested more than {MAX_DEPTH} levels deep"))
        if getattr(event, "tag", None) is not None:
            self.refuse(event, path, f"tags such as {shown(event.tag)} have no meaning in a recipe")
        if isinstance(event, yaml.AliasEvent):
            self.refuse(event, path, f"aliases such as *{event.anchor} are not read; write the value out")
        value: Scalar | list[Node] | dict[str, Node] = None
        if isinstance(event, yaml.MappingStartEvent):
            value = self.mapping(path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(path)
        elif isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, path)
        return Node(value, start, key_place or start)

    def mapping(self, path: KeyPath) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(self.peek(), yaml.MappingEndEvent):
            event = self.peek()
            if not isinstance(event, yaml.ScalarEvent):
                self.refuse(event, path, "a key must be plain text")
                self.node((*path, ""), None)
                self.node((*path, ""), None)
                continue
            self.next()
            node = self.node((*path, event.value), self.at(event.start_mark))
            if (first := entries.get(event.value)) is not None:
                # an override is one line, which has no number
                where = "" if first.key_place.override else f" on line {first.key_place.line}"
                self.refuse(event, (*path, event.value), f"this key was already given{where}")
            else:
                entries[event.value] = node
        self.next()
        return entries

    def sequence(self, path: KeyPath) -> list[Node]:
        items: list[Node] = []
        while not isinstance(self.peek(), yaml.SequenceEndEvent):
            items.append(self.node((*path, len(items)), None))
        self.next()
        return items

    def scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Scalar:
        if any("\ud800" <= letter <= "\udfff" for letter in event.value):
            self.refuse(event, path, "half a surrogate pair is not a character")
            return None
        plain = event.implicit[0]
        return scalar(event.value) if plain else str(event.value)

    def peek(self) -> Any:
        return self.event(self.events.peek_event)

    def next(self) -> Any:
        return self.event(self.events.get_event)

    def event(self, get: Callable[[], Any]) -> Any:
        try:
            return get()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark or self.events.get_mark()
            raise Unreadable(Mistake(self.at(mark), (), _plain_sentence(error))) from None
        except (ValueError, OverflowError):  # an escape such as "\UFFFFFFFF"
            raise Unreadable(Mistake(self.at(self.events.get_mark()), (), "this is not a character")) from None

    def refuse(self, event: yaml.Event, path: KeyPath, message: str) -> None:
        self.mistakes.append(Mistake(self.at(event.start_mark), path, message))

    def at(self, mark: Any) -> Place:
        return self.place(mark.line + 1, mark.column + 1)


def _plain_sentence(error: yaml.MarkedYAMLError) -> str:
    """What PyYAML says about text that is not YAML, in words that name the remedy."""
    problem = error.problem or "this is not YAML"
    sentences = {
        "found character '\\t'": "a tab; YAML is indented with spaces",
        "mapping values are not allowed": "a colon where none is due: quote text that contains one, or mend the indentation",
        "could not find expected ':'": "a key without a colon before this point",
        "expected <block end>": "this does not fit the lines above it: mend the indentation, or a missing bracket",
        "expected ',' or '}'": "a { is not closed before this point, or a comma is missing",
        "expected ',' or ']'": "a [ is not closed before this point, or a comma is missing",
        "found unexpected end of stream": "a quotation mark is not closed",
    }
    return next((plain for start, plain in sentences.items() if problem.startswith(start)), f"not YAML: {problem}")
