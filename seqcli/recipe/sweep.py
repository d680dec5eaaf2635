"""What a sweep asks for: `key=a,b,c` for some keys of a recipe, and all combinations of their values, each with a name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from seqcli.errors import RecipeError
from seqcli.recipe.difference import Flat, flattened, labels, short_names
from seqcli.recipe.tree import Place
from seqcli.recipe.yaml_parser import Unreadable, parse_yaml

SEED = "seed"
LONGEST_NAME = 60
"""Letters of a value in a folder's name."""
MOST_BYTES = 200
"""Bytes of a folder's name: file systems have room for 255, and a number may follow."""
OPENING, CLOSING = "[{", "]}"


@dataclass(frozen=True)
class Axis:
    """A key of the recipe and the values that it takes in turn, as they were written."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Combination:
    """One value for each key: as overrides, as a folder's name, and, for the keys that vary but the seed, in short words for a table."""

    name: str
    overrides: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]


def read_axes(arguments: Sequence[str]) -> list[Axis]:
    """The keys of a sweep, each with its values. RecipeError, with a line for each mistake, where that cannot be read."""
    axes: list[Axis] = []
    mistakes = []
    for argument in arguments:
        try:
            axis = _read_axis(argument)
            if any(axis.key == other.key for other in axes):
                raise RecipeError(f"{axis.key} is given twice; write its values into one list, as in {axis.key}=a,b")
            axes.append(axis)
        except RecipeError as mistake:
            mistakes.append(f"command line: {argument}  {mistake}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))
    if not any(_is_named(axis) for axis in axes):
        raise RecipeError("there is nothing to sweep: give a key several values, as in seed=1,2,3")
    return axes


def _read_axis(argument: str) -> Axis:
    key, equals, text = argument.partition("=")
    if not equals or not key.strip():
        raise RecipeError("a sweep is written key.path=value,value, as in seed=1,2,3")
    if key == "run":
        raise RecipeError("a sweep gives each run a folder of its own; name the folder of them all with --output")
    values = split_values(text)
    for value in values:
        if not value:
            raise RecipeError("a value is missing; for nothing write null, for a comma within text quote it")
        if values.count(value) > 1:
            raise RecipeError(f"the value {value} is given twice")
    return Axis(key, tuple(values))


def split_values(text: str) -> list[str]:
    """The values between the commas of `text`; those inside brackets, braces or quotes are part of a value (YAML's flow style).

    `1e-3,1e-4` has two values, `[0.9, 0.98],[0.9, 0.999]` two lists, `{kind: none},additive` a section and a word, `it's,so` two words.
    """
    values, depth, quote, fresh = [""], 0, "", True
    for letter in text:
        if quote:
            # a backslash takes the next letter with it, in double quotes alone
            escaped = quote == '"' and re.search(r"(?<!\\)(\\\\)*\\$", values[-1])
            closes = letter == quote and not escaped
            # '' within text closes it and opens it again
            quote, fresh = "" if closes else quote, bool(closes)
        elif letter == "," and depth == 0:
            values.append("")
            fresh = True
            continue
        else:
            quote = letter if letter in "'\"" and fresh else ""
            depth += (letter in OPENING) - (letter in CLOSING)
            # a quotation mark opens text only where a value may begin
            fresh = letter in "[{,:" or (fresh and letter == " ")
        if depth < 0:
            raise RecipeError(f"a {letter} closes what was not opened")
        values[-1] += letter
    if quote or depth:
        raise RecipeError(f"a {quote or 'bracket'} is not closed")
    return [value.strip() for value in values]


def combinations(axes: Sequence[Axis]) -> list[Combination]:
    """Every value of every key with every value of the others; the last key varies fastest, as one counts.

    A name has the keys that vary, and the seed: `encoder=gru,seed=1`.
    """
    named = [axis.key for axis in axes if _is_named(axis)]
    short, words = short_names(named), {axis.key: _words(axis) for axis in axes}
    found: list[Combination] = []
    taken: set[str] = set()
    for values in product(*(axis.values for axis in axes)):
        chosen = {axis.key: value for axis, value in zip(axes, values, strict=True)}
        name = _unused(_fitting(",".join(f"{short[key]}={_as_name(words[key][chosen[key]])}" for key in named)), taken)
        taken.add(name)
        overrides = tuple(f"{key}={value}" for key, value in chosen.items())
        settings = tuple((short[key], words[key][chosen[key]]) for key in named if key != SEED)
        found.append(Combination(name, overrides, settings))
    return found


def _is_named(axis: Axis) -> bool:
    return len(axis.values) > 1 or axis.key == SEED


def _words(axis: Axis) -> dict[str, str]:
    """Each value in few words: of sections, what tells them apart."""
    sections = [_section(value) for value in axis.values]
    flats = [section for section in sections if section is not None]
    if len(flats) < len(axis.values):
        return {value: value for value in axis.values}
    told = labels(flats) if len(flats) > 1 else [", ".join(map(str, flats[0].values()))]
    return {value: label.removeprefix("kind=") for value, label in zip(axis.values, told, strict=True)}


def _section(value: str) -> Flat | None:
    """The keys of a value that is a section, dotted; None for any other, and for what is no YAML, which is told when it is read."""
    try:
        tree, mistakes = parse_yaml(value, lambda line, column: Place(1, line, column, value))
    except Unreadable:
        return None
    plain = tree.plain()
    return flattened(plain) if isinstance(plain, dict) and plain and not mistakes else None


def _as_name(words: str) -> str:
    """Words as part of a folder's name."""
    name = re.sub(r"[^\w.+-]+", "-", words)[:LONGEST_NAME].rstrip("-.")
    return (name if words.startswith("-") else name.lstrip("-")) or "empty"


def _fitting(name: str) -> str:
    """The name, or, where no folder can have one so long, its beginning and a digest of the whole."""
    data = name.encode()
    if len(data) <= MOST_BYTES:
        return name
    return f"{data[:MOST_BYTES].decode(errors='ignore')}~{hashlib.blake2b(data, digest_size=4).hexdigest()}"


def _unused(name: str, taken: set[str]) -> str:
    """The name, or, where values that differ are spelt alike in it, the first of name~2, name~3, … that is not taken."""
    return next(each for each in (name, *(f"{name}~{number}" for number in range(2, 10**6))) if each not in taken)
