"""A recipe's tree against the schema: every mistake, where it stands, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from seqcli.recipe.advice import closest, homes, key_elsewhere, listed, word_hint
from seqcli.recipe.keys import Located, is_at, kinds, locate, sections, spots
from seqcli.recipe.schema import Recipe
from seqcli.recipe.section import Section
from seqcli.recipe.synonyms import KEYS, name_here
from seqcli.recipe.tree import KeyPath, Mistake, Node, Place, dotted, shown
from seqcli.recipe.values import expectation, value_message


def check(tree: Node) -> tuple[Recipe | None, list[Mistake]]:
    """The recipe that a tree describes, or None and all that is wrong with it.

    Where a key or a kind is misspelt, what was meant is put into the tree and the rest checked as well, so that one typo does
    not hide the mistakes below it. That recipe is never returned. `tree` is changed by it: read it once.
    """
    try:
        return Recipe.model_validate(tree.plain()), []
    except ValidationError as error:
        found = _one_a_path(_explain(tree, error))
    supposed = [mistake for mistake in found if mistake.meant is not None and _suppose(tree, mistake)]
    if not supposed:
        return None, found
    return None, supposed + check(tree)[1]


def place_of(tree: Node, path: KeyPath) -> Place:
    """Where the value at `path` stands; where there is none, the key of the nearest section around it."""
    node, depth = tree.deepest(path)
    return node.place if depth == len(path) else node.key_place


def key_place_of(tree: Node, path: KeyPath) -> Place:
    """Where the last key of `path` stands, or the nearest key around it."""
    return tree.deepest(path)[0].key_place


def _suppose(tree: Node, mistake: Mistake) -> bool:
    """Writes what was meant into the tree; false where that would change nothing or overwrite something."""
    above, key = tree.deepest(mistake.path[:-1])[0].value, str(mistake.path[-1])
    if not isinstance(above, dict) or mistake.meant is None:
        return False
    if key == "kind":
        above["kind"] = Node(mistake.meant, mistake.place, mistake.place)
    elif mistake.meant in above or key not in above:
        return False
    else:
        above[mistake.meant] = above.pop(key)
    return True


def _one_a_path(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """One mistake for each path, the first; and none for a value as a whole where one of its items is at fault."""
    first: dict[KeyPath, Mistake] = {}
    for mistake in mistakes:
        first.setdefault(mistake.path, mistake)
    return [
        mistake
        for path, mistake in first.items()
        if mistake.meant is not None or not any(other[: len(path)] == path and other != path for other in first)
    ]


def _explain(tree: Node, error: ValidationError) -> Iterator[Mistake]:
    """A `Mistake` for each of pydantic's errors, but none for a missing key that stands there misspelt."""
    misspelt: set[KeyPath] = set()
    missing: list[Mistake] = []
    values: dict[KeyPath, tuple[Located, Any, list[str]]] = {}
    for one in error.errors(include_url=False):
        at = locate(one["loc"])
        if one["type"] == "extra_forbidden":
            mistake = _unknown_key(tree, at)
            misspelt.add((*at.path[:-1], mistake.meant or ""))
            yield mistake
        elif one["type"] == "missing":
            missing.append(_missing_key(tree, at))
        elif one["type"] == "union_tag_not_found":
            yield _no_kind(tree, at)
        elif one["type"] == "union_tag_invalid":
            yield _bad_kind(tree, at)
        elif one["type"] in ("model_type", "model_attributes_type"):
            yield _no_section(tree, at, one["input"])
        else:
            values.setdefault(at.path, (at, one["input"], []))[2].append(expectation(one, at))
    for path, (at, value, expectations) in values.items():
        yield Mistake(place_of(tree, path), path, value_message(at, value, expectations))
    yield from (mistake for mistake in missing if mistake.path not in misspelt)


def _unknown_key(tree: Node, at: Located) -> Mistake:
    path, key = at.path, str(at.path[-1])
    here = list(at.section.model_fields)
    written = tree.deepest(path[:-1])[0].value
    absent = [name for name in here if isinstance(written, dict) and name not in written]
    meant = None
    if (phrase := name_here(key, KEYS, here)) is not None:
        message, meant = f"it is called {phrase} here", phrase.split()[0]
    elif (advice := _other_kind(tree, at, key)) is not None:
        message = advice
    elif places := homes(key):
        message = f"it belongs in {listed(places)}"
    elif near := closest(key, absent) or closest(key, here):
        message, meant = f"did you mean {near}?", near
    else:
        message = key_elsewhere(key) or f"the keys here are {', '.join(here)}"
    return Mistake(key_place_of(tree, path), path, f"unknown key; {message}", meant)


def _other_kind(tree: Node, at: Located, key: str) -> str | None:
    """Advice where the key is right for another kind of this section; None where it is not."""
    owners = [
        kind
        for spot in spots()
        if is_at(spot, at.path[:-1]) and key in spot.section.model_fields
        for kind in spot.kinds
    ]
    if not owners:
        return None
    node = tree.deepest((*at.path[:-1], "kind"))[0]
    advice = f"{listed(owners, 'or')} has it, but the kind here is {node.value}"
    if node.place.override:
        section = dotted(at.path[:-1])
        advice += (
            f" (from the command line; to replace the whole section, give '{section}={{kind: {node.value}, ...}}')"
        )
    return advice


def _missing_key(tree: Node, at: Located) -> Mistake:
    about = at.field.description if at.field is not None else None
    above = tree.deepest(at.path[:-1])[0]
    return Mistake(above.key_place, at.path, f"is missing: {about}" if about else "is missing")


def _no_kind(tree: Node, at: Located) -> Mistake:
    """The section has no `kind`: perhaps that key is misspelt."""
    written = tree.deepest(at.path)[0]
    for key in written.value if isinstance(written.value, dict) else {}:
        of_a_variant = any(key in variant.model_fields for variant in _variants(at))
        synonym = name_here(key, KEYS, ["kind"]) is not None and not of_a_variant
        if synonym or closest(key, ["kind"]):
            path = (*at.path, key)
            message = "it is called kind here" if synonym else "did you mean kind?"
            return Mistake(key_place_of(tree, path), path, f"unknown key; {message}", "kind")
    return Mistake(written.key_place, (*at.path, "kind"), f"is missing; it is one of {', '.join(_kinds_at(at))}")


def _bad_kind(tree: Node, at: Located) -> Mistake:
    allowed = _kinds_at(at)
    path = (*at.path, "kind")
    node = tree.deepest(path)[0]
    hint, meant = word_hint(node.value, allowed)
    return Mistake(node.place, path, f"{shown(node.plain())} is not one of {', '.join(allowed)}{hint}", meant)


def _no_section(tree: Node, at: Located, value: Any) -> Mistake:
    allowed = _kinds_at(at)
    written = "a list" if isinstance(value, list) else shown(value)
    if not at.path:
        needed = ", ".join(key for key, field in Recipe.model_fields.items() if field.is_required())
        what = "the recipe is empty" if value is None else f"{written} stands where a recipe is due"
        return Mistake(tree.place, (), f"{what}; it needs the keys {needed}")
    hint = "; write its keys below it, indented"
    if value is None and "none" in allowed:
        hint = "; write {kind: none}"
    elif isinstance(value, str):
        meant = value if value in allowed else word_hint(value, allowed)[1]
        hint = f"; write {{kind: {meant}}}" if meant else hint
    return Mistake(place_of(tree, at.path), at.path, f"{written} stands where a section is due{hint}")


def _variants(at: Located) -> list[type[Section]]:
    return sections(at.field.annotation) if at.field is not None else []


def _kinds_at(at: Located) -> tuple[str, ...]:
    return tuple(kind for variant in _variants(at) for kind in kinds(variant))
