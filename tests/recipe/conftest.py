"""A small right recipe, and ways to write one and to hear what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seqcli.errors import RecipeError
from seqcli.recipe.load import load_recipe

RIGHT = """\
seed: 1
data: {kind: dates}
source: {tokenizer: {kind: characters}}
target: {tokenizer: {kind: characters}}
model:
  encoder: {kind: gru, hidden_size: 16}
  decoder: {kind: gru, hidden_size: 16, attention: {kind: dot}}
training:
  steps: 10
"""

Write = Callable[[str], str]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes `r.yaml` into an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def write_text(text: str) -> str:
        (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
        return "r.yaml"

    return write_text


@pytest.fixture
def mistakes(write: Write) -> Mistakes:
    """The lines of the error that a recipe, given as text, and overrides cause; an empty list where there is none."""

    def told(text: str, *overrides: str) -> list[str]:
        try:
            load_recipe(write(text), overrides)
        except RecipeError as error:
            return str(error).splitlines()
        return []

    return told


@pytest.fixture
def right() -> str:
    """The text of a small right recipe."""
    return RIGHT
