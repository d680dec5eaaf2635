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
}
BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def value_message(at: Located, value: Any, expectations: list[str]) -> str:
    """A sentence about the value: what it is, what it is not, and how to write it where that can be told."""
    expected = " or ".join(dict.fromkeys(expectations))
    words = choices(at.field.annotation) if at.field is not None else ()
    hint = word_hint(value, words)[0]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 and "a whole number" in expectations:
        hint = f"; write {int(value)}"
    elif isinstance(value, str) and not isinstance(scalar(value), str) and "number" in expected:
        hint = "; write it without quotes"
    elif isinstance(value, str) and expected == "true or false" and value.lower() in YES_AND_NO:
        hint = f"; write {YES_AND_NO[value.lower()]}"
    return f"{shown(value)} is not {expected}{hint}"


def expectation(error: Any, at: Located) -> str:
    """What pydantic's `error` expected, as the end of a sentence that begins "… is not"."""
    kind, about = error["type"], error.get("ctx", {})
    measure = "text" if kind.startswith("string") else "a list"
    if kind in EXPECTED:
        return EXPECTED[kind]
    if kind in BOUNDS:
        words, bound = BOUNDS[kind]
        return f"{words} {about[bound]:g}"
    if kind == "literal_error" and at.field is not None:
        return f"one of {', '.join(choices(at.field.annotation))}"
    if kind == "string_pattern_mismatch" and at.field is not None:
        return f"allowed. {at.field.description}".rstrip(".")
    if kind in ("too_short", "string_too_short"):
        return f"{measure} of {about['min_length']} or more"
    if kind == "too_long":
        return f"{measure} of {about['max_length']} or fewer"
    return f"right: {error['msg']}"
