"""What a run is known by, its recipe, its data and its symbols, and whether what wants to go on with it is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqcli.build.data import PreparedData
from seqcli.data.tokenizer import load_tokenizer
from seqcli.errors import DataError, RecipeError
from seqcli.recipe.schema import Recipe
from seqcli.run import RECIPE, read_fingerprint, read_recipe

MAY_CHANGE = ("run", "device", "threads", "loggers", "search", "evaluation")
"""Sections that may differ when a run goes on."""
OF_TRAINING_MAY_CHANGE = ("training.steps", "training.epochs", "training.sharding")


def refuse_changes(recipe: Recipe, before: Recipe, folder: Path) -> None:
    """Raise `RecipeError` if going on with the run in `folder` would mix two different recipes."""
    differing = [
        f"{path} was {old!r} and is {new!r}"
        for path, old, new in differences(before.model_dump(), recipe.model_dump())
        if path.split(".")[0] not in MAY_CHANGE and path not in OF_TRAINING_MAY_CHANGE
    ]
    if differing:
        raise RecipeError(
            f"{folder} holds a run of another recipe: {'; '.join(differing)}. "
            "Go on with the old recipe, or train elsewhere with run=… or --fresh"
        )


FREE_WHEN_FINE_TUNED = ("dropout", "initialization", "max_length", "corrupt_limit")
"""Keys of source, target and model that leave symbols and weights as they are; of dropout all that end so."""


def refuse_other_start(recipe: Recipe, start: Path) -> None:
    """Raise `RecipeError` where weights and symbols of the run in `start` cannot be those that `recipe` begins with."""
    try:
        before = read_recipe(start)
    except RecipeError as error:
        raise RecipeError(f"training.start_from: {error}") from None
    sections = {"source", "target", "model"}
    differing = [
        f"{path} is {old!r} there and {new!r} here"
        for path, old, new in differences(before.model_dump(include=sections), recipe.model_dump(include=sections))
        if not any(key.endswith(FREE_WHEN_FINE_TUNED) for key in path.split("."))
    ]
    if differing:
        raise RecipeError(
            f"training.start_from: {start} has another model or other symbols: {'; '.join(differing)}. "
            f"Begin with its recipe: seqcli train {start}/{RECIPE} training.start_from={start} run=…"
        )


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places where two nested dictionaries differ: dotted path, old value, new value."""
    if isinstance(old, dict) and isinstance(new, dict) and old.get("kind") == new.get("kind"):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path, old, new


def fingerprint(data: PreparedData) -> dict[str, dict[str, Any]]:
    """What a run's data is known by: for each split its examples and a digest of them as they were encoded."""
    splits = {"train": data.train, "validation": data.validation}
    return {
        name: {"examples": len(corpus), "digest": corpus.digest}
        for name, corpus in splits.items()
        if corpus is not None
    }


def refuse_other_data(data: PreparedData, folder: Path) -> None:
    """Raise `DataError` if the run in `folder` was trained on other examples, or on other symbols."""
    now = (data.source_tokenizer.digest, data.target_tokenizer.digest)
    before = tuple(load_tokenizer(folder, side).digest for side in ("source", "target"))
    known = read_fingerprint(folder)
    changed = [name for name, part in fingerprint(data).items() if known is not None and known.get(name) != part]
    if now != before or changed:
        which = " and ".join(changed).replace("train", "training") or "training"
        raise DataError(f"the {which} data is not what {folder} was trained on; train elsewhere with run=… or --fresh")
