"""Whatever bytes and overrides come, only a `RecipeError` that can be printed comes out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqcli.errors import RecipeError
from seqcli.recipe.keys import spots
from seqcli.recipe.load import load_recipe
from seqcli.recipe.shipped import shipped_recipes

EXAMPLES = int(os.environ.get("SEQCLI_TEST_EXAMPLES", 100))
"""For each of three tests; `make test-real` tries many more."""

QUICK = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = sorted({key for spot in spots() for key in spot.section.model_fields} | {"kinf", "0", "x", "lr"})
WORDS = [
    "dot",
    "gru",
    "dates",
    "3",
    "-1",
    "1e400",
    "null",
    "[1, a]",
    "{kind: lstm}",
    "{}",
    "'",
    "a: b",
    "*x",
    "!!int 3",
    "[" * 99,
]
PIECES = [
    "\n",
    "\n  ",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    '"',
    "#",
    "&a ",
    "*a",
    "!x ",
    "---\n",
    "\t",
    "|\n",
    "? ",
    *KEYS,
    *WORDS,
]


def only_a_recipe_error(path: str, overrides: list[str]) -> bool:
    """Whether the recipe is refused; anything else that is raised, or that cannot be printed, fails the test."""
    try:
        load_recipe(path, overrides)
    except RecipeError as error:
        return bool(str(error).encode("utf-8"))
    return False


@QUICK
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.lists(st.sampled_from(PIECES), max_size=40).map(lambda pieces: "".join(pieces).encode())
)
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(content)
    assert only_a_recipe_error(str(file), [])


@QUICK
@given(
    name=st.sampled_from(list(shipped_recipes())),
    overrides=st.lists(
        st.text(max_size=30)
        | st.builds(
            lambda path, value: f"{'.'.join(path)}={value}",
            st.lists(st.sampled_from(KEYS), min_size=1, max_size=4),
            st.sampled_from(WORDS) | st.text(max_size=20),
        ),
        max_size=5,
    ),
)
def test_any_overrides(name: str, overrides: list[str]) -> None:
    only_a_recipe_error(name, overrides)


@QUICK
@given(data=st.data())
def test_any_mutation_of_a_recipe(tmp_path: Path, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(sorted(shipped_recipes().values()))).read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 8)))
        text = text[:start] + data.draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[end:]
    (tmp_path / "r.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    only_a_recipe_error(str(tmp_path / "r.yaml"), [])


@pytest.mark.parametrize(
    "override", ["seed=\udcff", "\udcff=1", "model.\udcff=1", "evaluation.metrics." + "9" * 5000 + "=1"]
)
def test_arguments_that_are_not_utf8_or_far_too_long(override: str) -> None:
    assert only_a_recipe_error("dates", [override])
