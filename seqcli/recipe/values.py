"""A value that is of the wrong type, out of bounds, or not one of the words allowed: what to say of it."""

from __future__ import annotations

from typing import Any

from seqcli.recipe.advice import word_hint
from seqcli.recipe.keys import Located, choices
from seqcli.recipe.tree import shown
from seqcli.recipe.yaml_parser import scalar

YES_AND_NO = {"yes": "true", "on": "true", "no": "false", "off": "false"}
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "keys with values, as in {key: value}",
}
BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def value_message(at: Located, value: Any, expectations: list[str]) -> str:
    """A sentence about the value: what it is, what it is not, and how to write it where that can be told."""
    several = len(set(expectations)) > 1
    expected = " or ".join(dict.fromkeys(_of_number(one) if several else one for one in expectations))
    words = choices(at.field.annotation) if at.field is not None else ()
    hint = word_hint(value, words)[0]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 and "a whole number" in expectations:
        hint = f"; write {int(value)}"
    elif isinstance(value, str) and not isinstance(scalar(value), str) and "number" in expected:
        hint = "; write it without quotes"
    elif isinstance(value, str) and "true or false" in expected and value.lower() in YES_AND_NO:
        hint = f"; write {YES_AND_NO[value.lower()]}"
    return f"{shown(value)} is not {expected}{hint}"


def _of_number(expected: str) -> str:
    """A bound as it stands beside something else that is expected, which need not be a number."""
    if not expected.startswith(tuple(words for words, _ in BOUNDS.values())):
        return expected
    return f"a number {'of ' if expected.startswith('at ') else ''}{expected}"


def _plain(bound: float) -> str:
    """A bound as one writes it: whole numbers to the last digit."""
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"


def _exact_length(at: Located) -> int | None:
    """How long a list must be, where there is but one length."""
    metadata = at.field.metadata if at.field is not None else []
    least, most = (
        next((getattr(each, name) for each in metadata if hasattr(each, name)), None)
        for name in ("min_length", "max_length")
    )
    return least if least == most else None


def expectation(error: Any, at: Located) -> str:
    """What pydantic's `error` expected, as the end of a sentence that begins "… is not"."""
    kind, about = error["type"], error.get("ctx", {})
    measure = "text" if kind.startswith("string") else "a list"
    if kind in EXPECTED:
        return EXPECTED[kind]
    if kind in BOUNDS:
        words, bound = BOUNDS[kind]
        return f"{words} {_plain(about[bound])}"
    if kind == "literal_error" and at.field is not None:
        allowed = choices(at.field.annotation)
        return allowed[0] if len(allowed) == 1 else f"one of {', '.join(allowed)}"
    if kind == "string_pattern_mismatch" and at.field is not None:
        return f"allowed. {at.field.description}".rstrip(".")
    if kind == "too_short" and about["field_type"] == "Dictionary":
        return EXPECTED["dict_type"]
    if kind in ("too_short", "too_long") and (count := _exact_length(at)) is not None:
        return f"{measure} of exactly {count}"
    if kind in ("too_short", "string_too_short"):
        return f"{measure} of {about['min_length']} or more"
    if kind == "too_long":
        return f"{measure} of {about['max_length']} or fewer"
    return f"right: {error['msg']}"
