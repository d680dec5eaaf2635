"""Reads a recipe: the file, the overrides of the command line, the schema, the rules; and tells all mistakes at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from seqcli.errors import RecipeError
from seqcli.recipe.mistakes import check, place_of
from seqcli.recipe.rules import broken_rules
from seqcli.recipe.schema import Recipe
from seqcli.recipe.shipped import shipped_recipes
from seqcli.recipe.tree import KeyPath, Mistake, Node, Place, dotted, shown
from seqcli.recipe.yaml_parser import MAX_DEPTH, Unreadable, parse_yaml

MAX_BYTES = 1_000_000


def load_recipe(path: str, overrides: Sequence[str] = (), *, of_run: bool = False) -> Recipe:
    """Reads the recipe at `path`, a file or the name of a shipped recipe, with `key.path=value` overrides written into it.

    Raises `RecipeError` whose text has a line for every mistake, in the order of the file, then of the overrides. Keys and
    values are checked first; the rules that tie several keys together, once those are right; of a recipe `of_run` those that hold for what is
    trained already.
    """
    file = find_recipe(path)
    try:
        tree, mistakes = parse_yaml(_read(file), lambda line, column: Place(0, line, column, str(file)))
    except Unreadable as unreadable:
        raise RecipeError(str(unreadable)) from None
    for number, override in enumerate(overrides, start=1):
        mistakes += _write_override(tree, number, override)
    _choose(tree, overrides)
    recipe, found = check(tree)
    mistakes += [one for one in found if not _told(one.path, mistakes)]
    if recipe is not None:
        mistakes += (
            Mistake(place_of(tree, path), path, message) for path, message in broken_rules(recipe, of_run=of_run)
        )
    if recipe is None or mistakes:
        raise RecipeError("\n".join(map(str, sorted(mistakes, key=lambda mistake: mistake.place))))
    return recipe


def recipe_name(path: str) -> str:
    """What a run of this recipe is called: the file's name, led by its folders below a folder named `recipes`, if any.

    `recipes/dates.yaml` → `dates`; `recipes/multi30k/gru.yaml` → `multi30k-gru`; `mine/x.yaml` → `x`.
    """
    parts = find_recipe(path).with_suffix("").parts
    folders = [place for place, part in enumerate(parts[:-1]) if part == "recipes"]
    return "-".join(parts[folders[-1] + 1 :]) if folders else parts[-1]


def find_recipe(path: str) -> Path:
    """The file that `path` means: itself, or the shipped recipe of that name. Raises `RecipeError` where there is none."""
    if os.path.isfile(path):
        return Path(path)
    shipped = shipped_recipes()
    if path in shipped:
        return shipped[path]
    if os.path.exists(path):
        raise RecipeError(f"{path} is not a file; a recipe is a YAML file, or the name of a shipped recipe")
    name = path.removesuffix(".yaml").removesuffix(".yml").removeprefix("recipes/")
    near = get_close_matches(name, shipped, n=3, cutoff=0.5)
    known = (
        f"shipped recipes with a similar name: {', '.join(near)}"
        if near
        else "`seqcli recipe ls` lists the shipped ones"
    )
    raise RecipeError(f"{path}: there is no such recipe; {known}")


def _read(file: Path) -> str:
    """The file's text. Raises `RecipeError` where it cannot be read, is not UTF-8, or is too big to be a recipe."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{file}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{file}: this is more than {MAX_BYTES:,} bytes; is it a recipe?")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{file}: byte {error.start} (line {line}) is not UTF-8; save the file as UTF-8") from None


def _told(path: KeyPath, mistakes: Iterable[Mistake]) -> bool:
    """Whether a mistake at this path, or around it, is among those told already."""
    return any(mistake.path and path[: len(mistake.path)] == mistake.path for mistake in mistakes)


def _write_override(tree: Node, number: int, override: str) -> list[Mistake]:
    """Writes one `key.path=value` into the tree, and returns what is wrong with it."""
    place = Place(number, 0, 0, _one_line(override))
    key, equals, text = override.partition("=")
    if not equals or not re.fullmatch(r"[^\s.=]+(\.[^\s.=]+)*", key):
        return [Mistake(place, (), "an override is written key.path=value, as in training.steps=100")]
    if not text.strip():
        return [Mistake(place, (), f"there is no value after {key}=; for nothing write {key}=null")]
    path = key.split(".")
    if len(path) > MAX_DEPTH:
        return [Mistake(place, (), f"the key has more than {MAX_DEPTH} parts")]
    try:
        value, mistakes = parse_yaml(text, lambda line, column: place)
    except Unreadable as unreadable:
        return [unreadable.mistake]
    return _write(tree, path, value, place) + [
        Mistake(place, (*path, *mistake.path), mistake.message) for mistake in mistakes
    ]


def _write(tree: Node, path: list[str], value: Node, place: Place) -> list[Mistake]:
    """Puts `value` at `path`, making the sections that are missing on the way."""
    node = tree
    for depth, key in enumerate(path):
        if node.value is None:
            node.value = {}
        inside = node.value
        below = value if depth + 1 == len(path) else node.child(key) or Node(None, place, place)
        if isinstance(inside, dict):
            inside[key] = below
        elif isinstance(inside, list) and node.child(key) is not None:
            inside[int(key)] = below
        else:
            return [Mistake(place, tuple(path[:depth]), f"{shown(node.plain())} has no {dotted((key,))}")]
        node = below
    return []


def _choose(tree: Node, overrides: Sequence[str]) -> None:
    """Takes out of the tree what an override replaces by its alternative: steps given on the command line count, not the file's epochs."""
    given = {override.partition("=")[0] for override in overrides}
    training = tree.child("training")
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        chosen = f"training.{one}" in given and f"training.{other}" not in given
        if chosen and training is not None and isinstance(training.value, dict):
            # not there where the override could not be read
            number = training.value.get(one)
            if number is not None and number.value is not None:
                training.value.pop(other, None)


def _one_line(override: str) -> str:
    """The override as a message shows it: short, printable."""
    line = " ".join(override.encode("utf-8", "backslashreplace").decode("utf-8").split())
    return line if len(line) <= 80 else f"{line[:77]}..."
