"""A recipe written out: as YAML that reads back as the same recipe, and as the JSON schema that editors complete from."""

from __future__ import annotations

from typing import Any

import yaml

from seqcli.recipe.schema import Recipe
from seqcli.recipe.yaml_parser import scalar


class _Dumper(yaml.SafeDumper):
    """Quotes whatever our reader, or one of YAML 1.1, would not take for this very text."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = isinstance(scalar(text), str) and text.isprintable()
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe as YAML, defaults and nulls included, in the schema's order with `kind` first in its section."""
    text = yaml.dump(
        _kind_first(recipe.model_dump()),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=120,
    )
    return str(text)


def _kind_first(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    keys = sorted(value, key=lambda key: key != "kind")
    return {key: _kind_first(value[key]) for key in keys}


def recipe_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of recipes."""
    schema = Recipe.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "seqcli recipe"}
