"""Writes the parts of docs/ that follow from the code: the keys of recipes from the schema, the commands from their help.

    make references        (`make docs` makes the pictures of the lecture too)

In each document everything after the line `MARK` is made here; what stands before it is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from seqcli.cli.app import app
from seqcli.recipe.dump import recipe_schema
from seqcli.recipe.keys import kinds, spots
from seqcli.recipe.section import Section

DOCS = Path(__file__).resolve().parent.parent / "docs"
MARK = "<!-- Made by `make docs`; what is changed below this line is lost. -->"
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def recipe_reference() -> str:
    """Every section of a recipe with a table of its keys, from the top down; one that stands in several places once."""
    schema = recipe_schema()
    places: dict[type[Section], list[str]] = {}
    for spot in spots():
        place = ".".join(map(str, spot.path)) or "The top level"
        if place not in places.setdefault(spot.section, []):
            places[spot.section].append(place)
    return "\n".join(line for section, there in places.items() for line in section_lines(section, there, schema))


def section_lines(section: type[Section], places: list[str], schema: dict[str, Any]) -> Iterator[str]:
    """Heading, description and table of one section."""
    named = ", ".join(kinds(section))
    definition = schema["$defs"].get(section.__name__, schema)
    yield f"\n## {', '.join(places)}{f' of kind {named}' if named else ''}\n"
    yield f"{' '.join((section.__doc__ or '').split())}\n"
    keys = {key: about for key, about in definition["properties"].items() if key != "kind"}
    if not keys:
        yield "It has no key but `kind`."
        return
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key, about in keys.items():
        meaning = section.model_fields[key].description or ""
        cells = (f"`{key}`", value_words(about), default_words(key, about, definition), meaning)
        yield f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"


def value_words(about: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in about or "oneOf" in about:
        return "a section"
    if "enum" in about:
        return ", ".join(f"`{word}`" for word in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    if "anyOf" in about:
        return " or ".join(value_words(one) for one in about["anyOf"])
    if about["type"] == "array":
        return f"list of {value_words(about['items'])}"
    if about["type"] == "object":
        # names that have to fit a pattern stand elsewhere in the schema
        patterns = about.get("patternProperties", {"": about.get("additionalProperties")})
        return f"for each name: {value_words(next(iter(patterns.values())))}"
    bounds = [f"{sign} {about[bound]}" for bound, sign in BOUNDS.items() if bound in about]
    return " ".join([TYPES[about["type"]], " and ".join(bounds)]).strip()


def default_words(key: str, about: dict[str, Any], definition: dict[str, Any]) -> str:
    """What holds where the key is left out."""
    if key in definition.get("required", []):
        return "required"
    default = about.get("default")
    if isinstance(default, dict) and about.get("type") != "object":
        return f"`{{kind: {default['kind']}}}`" if "kind" in default else "its defaults"
    return f"`{json.dumps(default)}`"


def command_reference() -> str:
    """The help of every command, as it is printed on a terminal of 80 columns."""
    return "\n".join(f"\n## {' '.join(path)}\n\n```text\n{help_text(path)}\n```" for path in command_paths())


def command_paths() -> list[tuple[str, ...]]:
    """`seqcli`, its commands, and theirs."""
    paths: list[tuple[str, ...]] = [("seqcli",)]
    for group in (app, *(one.typer_instance for one in app.registered_groups)):
        inside = [one.name for one in app.registered_groups if one.typer_instance is group]
        prefix = ("seqcli", *(str(name) for name in inside))
        paths += [prefix] if inside else []
        for command in group.registered_commands:
            assert command.callback is not None
            paths.append((*prefix, command.name or command.callback.__name__.replace("_", "-")))
    return paths


def help_text(path: tuple[str, ...]) -> str:
    """What `--help` prints."""
    result = CliRunner().invoke(app, [*path[1:], "--help"], prog_name="seqcli", terminal_width=80)
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.rstrip().splitlines())


MADE = {"reference-recipe.md": recipe_reference, "cli.md": command_reference}


def renewed(path: Path) -> str:
    """The document at `path` with its made part as the code has it now."""
    by_hand, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
    assert mark, f"{path} lacks the line {MARK}"
    return f"{by_hand}{MARK}\n{MADE[path.name]()}\n"


if __name__ == "__main__":
    for name in MADE:
        (DOCS / name).write_text(renewed(DOCS / name), encoding="utf-8")
        print(f"wrote docs/{name}")
