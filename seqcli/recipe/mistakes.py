"""A recipe's tree against the schema: every mistake, where it stands, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from seqcli.recipe.keys import Located, choices, homes, kinds, locate, sections, spots
from seqcli.recipe.schema import Recipe
from seqcli.recipe.section import Section
from seqcli.recipe.synonyms import KEYS, VALUES, name_here
from seqcli.recipe.yaml_nodes import KeyPath, Mistake, Node, Place, dotted, scalar, shown


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
            values.setdefault(at.path, (at, one["input"], []))[2].append(_expectation(one, at))
    yield from (_bad_value(tree, *value) for value in values.values())
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
        message = f"it belongs in {_listed(places)}"
    elif near := _close(key, absent) or _close(key, here):
        message, meant = f"did you mean {near}?", near
    else:
        message = _elsewhere(key) or f"the keys here are {', '.join(here)}"
    return Mistake(key_place_of(tree, path), path, f"unknown key; {message}", meant)


def _other_kind(tree: Node, at: Located, key: str) -> str | None:
    """Advice where the key is right for another kind of this section; None where it is not."""
    owners = [
        kind
        for spot in spots()
        if spot.path == at.path[:-1] and key in spot.section.model_fields
        for kind in spot.kinds
    ]
    if not owners:
        return None
    node = tree.deepest((*at.path[:-1], "kind"))[0]
    advice = f"{_listed(owners, 'or')} has it, but the kind here is {node.value}"
    if node.place.override:
        section = dotted(at.path[:-1])
        advice += (
            f" (from the command line; to replace the whole section, give '{section}={{kind: {node.value}, ...}}')"
        )
    return advice


def _elsewhere(key: str) -> str | None:
    """A key of another section that this one is called, or resembles."""
    everywhere = list(dict.fromkeys(name for spot in spots() for name in spot.section.model_fields))
    phrase = name_here(key, KEYS, everywhere)
    if phrase is not None and (places := homes(phrase.split()[0])):
        return f"it is called {phrase} here, and belongs in {_listed(places)}"
    near = _close(key, everywhere, 0.8)
    return f"did you mean {near}, which belongs in {_listed(homes(near))}?" if near and homes(near) else None


def _missing_key(tree: Node, at: Located) -> Mistake:
    about = at.field.description if at.field is not None else None
    above = tree.deepest(at.path[:-1])[0]
    return Mistake(above.key_place, at.path, f"is missing: {about}" if about else "is missing")


def _no_kind(tree: Node, at: Located) -> Mistake:
    """The section has no `kind`: perhaps the key is misspelt."""
    allowed = _kinds_at(at)
    written = tree.deepest(at.path)[0]
    keys = list(written.value) if isinstance(written.value, dict) else []
    for key in keys:
        near_key = _close(key, ["kind"]) or (name_here(key, KEYS, ["kind"]) if not _other_home(at, key) else None)
        if near_key:
            verb = "it is called kind here" if key.lower() in KEYS else "did you mean kind?"
            return Mistake(key_place_of(tree, (*at.path, key)), (*at.path, key), f"unknown key; {verb}", "kind")
    return Mistake(written.key_place, (*at.path, "kind"), f"is missing; it is one of {', '.join(allowed)}")


def _other_home(at: Located, key: str) -> bool:
    """Whether the key is one that some variant of this section has."""
    return any(key in variant.model_fields for variant in sections(at.field.annotation if at.field else None))


def _bad_kind(tree: Node, at: Located) -> Mistake:
    allowed = _kinds_at(at)
    path = (*at.path, "kind")
    node = tree.deepest(path)[0]
    hint, meant = _hint(node.value, allowed)
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
        meant = value if value in allowed else _hint(value, allowed)[1]
        hint = f"; write {{kind: {meant}}}" if meant else hint
    return Mistake(place_of(tree, at.path), at.path, f"{written} stands where a section is due{hint}")


def _kinds_at(at: Located) -> tuple[str, ...]:
    variants: list[type[Section]] = sections(at.field.annotation) if at.field is not None else []
    return tuple(kind for variant in variants for kind in kinds(variant))


def _bad_value(tree: Node, at: Located, value: Any, expectations: list[str]) -> Mistake:
    """A value of the wrong type, out of bounds, or not one of the words allowed."""
    expected = " or ".join(dict.fromkeys(expectations))
    words = choices(at.field.annotation) if at.field is not None else ()
    hint = _hint(value, words)[0]
    if isinstance(value, float) and value.is_integer() and "a whole number" in expected:
        hint = f"; write {int(value)}"
    elif isinstance(value, str) and not isinstance(scalar(value), str) and "number" in expected:
        hint = "; write it without quotes"
    elif expected == "true or false" and isinstance(value, str):
        hint = {"yes": "; write true", "on": "; write true", "no": "; write false", "off": "; write false"}.get(
            value.lower(), ""
        )
    return Mistake(place_of(tree, at.path), at.path, f"{shown(value)} is not {expected}{hint}")


def _expectation(error: Any, at: Located) -> str:
    """What pydantic expected, as the end of a sentence that begins "… is not"."""
    about = error.get("ctx", {})
    plain = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "string_type": "text",
        "list_type": "a list",
    }
    if (kind := error["type"]) in plain:
        return plain[kind]
    if kind == "literal_error":
        return f"one of {', '.join(choices(at.field.annotation) if at.field is not None else ())}"
    if kind == "string_pattern_mismatch" and at.field is not None:
        return f"allowed. {at.field.description}".rstrip(".")
    bounds = {"greater_than_equal": ("at least", "ge"), "greater_than": ("greater than", "gt")}
    bounds |= {"less_than_equal": ("at most", "le"), "less_than": ("less than", "lt")}
    if kind in bounds:
        words, bound = bounds[kind]
        return f"{words} {about[bound]:g}"
    if kind in ("too_short", "string_too_short"):
        return f"{_measure(kind)} of {about['min_length']} or more"
    if kind in ("too_long", "string_too_long"):
        return f"{_measure(kind)} of {about['max_length']} or fewer"
    return f"right: {error['msg']}"


def _measure(kind: str) -> str:
    return "text" if kind.startswith("string") else "a list"


def _hint(value: object, words: tuple[str, ...]) -> tuple[str, str | None]:
    """The end of a message about a word that is not allowed, and the word that was probably meant."""
    if not isinstance(value, str):
        return "", None
    if (phrase := name_here(value, VALUES, list(words))) is not None:
        return f"; it is called {phrase} here", phrase.split()[0]
    near = _close(value, list(words))
    return (f"; did you mean {near}?", near) if near else ("", None)


def _close(word: str, known: list[str], cutoff: float = 0.66) -> str | None:
    """The known word that resembles `word` most; 0.66 lets one letter of three be wrong."""
    near = get_close_matches(word.lower().replace("-", "_"), known, n=1, cutoff=cutoff)
    return near[0] if near else None


def _listed(words: list[str], last: str = "or") -> str:
    """`a, b or c`, at most four of them."""
    if len(words) > 4:
        words = [*words[:4], "others"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
