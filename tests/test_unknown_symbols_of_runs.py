"""Runs whose test data has letters that training never had."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import seqcli
from seqcli.errors import RecipeError
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe

SMALL = (
    "model.encoder={kind: lstm, hidden_size: 16, embedding_size: 16, bidirectional: true}",
    "model.decoder={kind: lstm, hidden_size: 32, embedding_size: 16, attention: {kind: hard_monotonic, feed_summary: true}}",
    "model.dropout=0.1",
    "training={steps: 150, validate_every: 75, checkpoint_every: 50, r_drop: null, unknown_rate: 0.1, optimizer: {kind: adam, learning_rate: 1e-2}}",
    "data.test=null",
    "threads=1",
)


def words(letters: str, count: int, seed: int) -> Iterator[str]:
    """Words and how they are written: v at the beginning becomes u, double letters are one, all else is as it was."""
    draw = random.Random(seed)
    for _ in range(count):
        old = "".join(draw.choice(letters) for _ in range(draw.randint(2, 6)))
        new = "u" + old[1:] if old[0] == "v" else old
        yield f"{old}\t{new}\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("words")
    (folder / "train.tsv").write_text("".join(words("abcdefguv", 400, 1)), encoding="utf-8")
    (folder / "dev.tsv").write_text("".join(words("abcdefguvßø", 200, 2)), encoding="utf-8")
    return tuple(f"data.{split}={folder / name}.tsv" for split, name in (("train", "train"), ("validation", "dev")))


def right(folder: Path, *overrides: str) -> float:
    run = seqcli.load(folder, overrides, checkpoint="last")
    return run.evaluate("validation", metrics=["exact_match"]).metrics["exact_match"].value


def trained(folder: Path, files: tuple[str, ...], *overrides: str) -> Path:
    for _ in prepare(load_recipe("words/monotonic-lstm", [*SMALL, *files, *overrides]), folder).train():
        pass
    return folder


def test_letters_never_seen_are_copied(tmp_path: Path, files: tuple[str, ...]) -> None:
    folder = trained(tmp_path / "run", files)
    recipe = seqcli.load(folder).recipe
    assert (recipe.training.unknown_rate, recipe.search.unknown) == (0.1, "copied")
    assert right(folder) > 90
    assert right(folder, "search.unknown=false") < 50
    run = seqcli.load(folder)
    assert run.translate(["vaß", "øbø"]) == ["uaß", "øbø"]
    # a beginning that the model has no letter for is not the source's
    with pytest.raises(RecipeError, match="the prefix 'ß' has symbols that the target's vocabulary lacks"):
        seqcli.load(folder, ["search.prefix=ß"]).translate(["abc"])
    explained = run.explain(["vaß"])[0]
    assert explained.target == "uaß"
    assert "<unk>" in seqcli.load(folder, ["search.unknown=true"]).translate(["aßb"])[0]


@pytest.mark.real
def test_without_them_in_training_it_is_left_to_chance(tmp_path: Path, files: tuple[str, ...]) -> None:
    folder = trained(tmp_path / "run", files, "training.unknown_rate=0")
    assert right(folder) < 80


def test_stopped_in_the_middle_it_is_the_run_that_never_stopped(tmp_path: Path, files: tuple[str, ...]) -> None:
    recipe = load_recipe("words/monotonic-lstm", [*SMALL, *files, "training.steps=20"])
    straight = prepare(recipe, tmp_path / "straight")
    for _ in straight.train():
        pass
    stopped = prepare(recipe, tmp_path / "stopped")
    for _ in stopped.train(stop=lambda: stopped.position.step == 9):
        pass
    again = prepare(recipe, tmp_path / "stopped")
    assert again.position.step == 9
    for _ in again.train():
        pass
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
