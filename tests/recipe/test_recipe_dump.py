"""A recipe written out reads back as itself, and the JSON schema agrees with the reader."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.recipe.dump import dump_recipe, recipe_schema
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.recipe.shipped import shipped_recipes
from seqcli.recipe.tree import Place
from seqcli.recipe.yaml_parser import parse_yaml

NAMES = list(shipped_recipes())
TRICKY = [
    "no",
    "1e-4",
    "null",
    "~",
    "",
    "010",
    "0o7",
    "true",
    "2011-03-05",
    "12:30",
    "- a",
    "a: b",
    "#x",
    " x ",
    "*a",
    "\x85",
]


def plain(text: str) -> Any:
    node, mistakes = parse_yaml(text, lambda line, column: Place(0, line, column, "x"))
    assert not mistakes
    return node.plain()


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_reads_back(write, name: str) -> None:
    recipe = load_recipe(name)
    text = dump_recipe(recipe)
    assert load_recipe(write(text)) == recipe
    assert dump_recipe(load_recipe("r.yaml")) == text


def test_the_order_is_the_schemas_with_kind_first() -> None:
    dumped = plain(dump_recipe(load_recipe("dates")))
    assert list(dumped) == list(Recipe.model_fields)
    assert list(dumped["data"]) == ["kind", "limit", "features_separator", "locales"]
    assert dumped["run"] is None


@settings(max_examples=200, deadline=None)
@given(
    text=st.sampled_from(TRICKY) | st.text(st.characters(codec="utf-8")),
    rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    seed=st.integers(0, 2**32 - 1),
    limit=st.none() | st.integers(1, 10**18 - 1),
)
def test_any_text_and_number_reads_back(text: str, rate: float, seed: int, limit: int | None) -> None:
    contents = load_recipe("dates").model_dump()
    contents |= {
        "run": text,
        "seed": seed,
        "data": {"kind": "dates", "locales": [text], "limit": limit},
    }
    contents["training"]["optimizer"]["learning_rate"] = rate
    recipe = Recipe.model_validate(contents)
    assert Recipe.model_validate(plain(dump_recipe(recipe))) == recipe


@pytest.mark.parametrize("text", TRICKY)
def test_other_yaml_readers_take_text_for_text(text: str) -> None:
    recipe = load_recipe("dates").model_copy(update={"run": text})
    assert yaml.safe_load(dump_recipe(recipe))["run"] == text


def test_the_json_schema_accepts_every_shipped_recipe() -> None:
    validator = jsonschema.Draft202012Validator(recipe_schema())
    validator.check_schema(recipe_schema())
    assert len(NAMES) == 35
    for file in shipped_recipes().values():
        validator.validate(plain(file.read_text(encoding="utf-8")))


MISTAKES: dict[str, Any] = {
    "sed": 1,
    "training.lerning_rate": 3,
    "training.steps": "ten",
    "model.dropout": 1.5,
    "model.decoder.attention.kind": "bahdanau",
    "model.encoder.heads": 4,
    "training.optimizer.betas": [0.9],
    "evaluation.metrics": ["blue"],
    "device": "gpu",
}


@pytest.mark.parametrize("path", MISTAKES)
def test_the_json_schema_marks_mistakes(path: str) -> None:
    contents = plain(shipped_recipes()["dates"].read_text(encoding="utf-8"))
    section = copied = copy.deepcopy(contents)
    *above, key = path.split(".")
    for part in above:
        section = section[part]
    section[key] = MISTAKES[path]
    validator = jsonschema.Draft202012Validator(recipe_schema())
    assert validator.is_valid(contents)
    assert not validator.is_valid(copied)


def test_every_key_has_its_help() -> None:
    schema = recipe_schema()
    seen = 0
    for name, section in schema["$defs"].items():
        assert section["additionalProperties"] is False, name
        assert section["description"], name
        for key, about in section["properties"].items():
            seen += 1
            assert key == "kind" or about["description"], (name, key)
    assert seen > 100
