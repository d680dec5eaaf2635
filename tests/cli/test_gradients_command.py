"""`seqcli visualize gradients`: recipes and runs side by side, over training, as pictures, tables and JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqcli
from seqcli.averaging import average_checkpoints
from seqcli.gradient_flow import recipe_history, run_history
from seqcli.metrics import read_records
from seqcli.recipe.load import load_recipe

SMALL = ("threads=1", "model.encoder.hidden_size=8", "model.decoder.hidden_size=16")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_cell_of_a_recipe(call: Callable[..., Any]) -> None:
    ended = call("visualize", "gradients", *SMALL, "copy", "--cells", "--length", "12", "--examples", "4")
    assert ended.code == 0
    assert ended.err.endswith("wrote gradients.png\n")
    assert Path("gradients.png").read_bytes().startswith(b"\x89PNG")
    lines = ended.out.splitlines()
    assert lines[0].rstrip() == "gradient half-life in steps (13 → 13 symbols)"
    cells = ["rnn", "lstm", "gru"]
    names = [*cells, *(f"{cell} + attention" for cell in cells), "transformer"]
    assert [line.split("  ")[0] for line in lines[2:]] == names


def test_a_key_may_have_a_value_longer_than_a_file_may_be_called(call: Callable[..., Any]) -> None:
    keys = f"model.encoder={{kind: rnn, hidden_size: 8, {' ' * 300}bidirectional: true}}"
    ended = call("visualize", "gradients", keys, *SMALL, "copy", "--examples", "2", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)[0]["flows"][0]["kind"].startswith("bidirectional rnn")


def test_recipe_and_run_as_json(call: Callable[..., Any], copy_run: Path) -> None:
    arguments = ("copy", *SMALL, copy_run, "--label", "new", "--label", "learnt", "-o", "g.svg", "--json")
    ended = call("visualize", "gradients", *arguments)
    assert ended.code == 0
    assert Path("g.svg").is_file()
    new, learnt = json.loads(ended.out)
    assert (new["label"], learnt["label"]) == ("new", "learnt")
    assert [flow["step"] for flow in new["flows"]] == [0]
    assert new["flows"][0]["kind"] == "bidirectional gru → gru + attention"
    assert [flow["step"] for flow in learnt["flows"]] == [0, 100, 150]
    assert learnt["flows"][2]["loss"] < 0.1 < learnt["flows"][0]["loss"]
    records = [one for one in read_records(copy_run / "metrics.jsonl") if one["event"] == "train"]
    assert learnt["clipping"]["norms"] == [record["grad_norm"] for record in records]
    assert learnt["clipping"]["limit"] == 1.0
    assert learnt["clipping"]["every"] == 10


def test_models_of_one_recipe_are_told_apart(call: Callable[..., Any]) -> None:
    arguments = (*SMALL, "copy", "copy", "model.encoder.kind=lstm", "--json")
    found = json.loads(call("visualize", "gradients", *arguments).out)
    assert [one["label"] for one in found] == ["copy", "copy model.encoder.kind=lstm"]
    assert [one["flows"][0]["kind"].split(" → ")[0] for one in found] == ["bidirectional gru", "bidirectional lstm"]


def test_over_training(call: Callable[..., Any]) -> None:
    arguments = ("copy", *SMALL, "--steps", "3,0", "--layers", "--dark", "-o", "g.pdf", "--json")
    (found,) = json.loads(call("visualize", "gradients", *arguments).out)
    assert [flow["step"] for flow in found["flows"]] == [0, 3]
    assert found["clipping"]["steps"] == [1, 2, 3]
    assert Path("g.pdf").is_file()
    assert not Path("runs").exists()


def test_from_python_a_run_starts_where_its_recipe_does(copy_run: Path, tiny: tuple[str, ...]) -> None:
    run = run_history(copy_run, steps=[0, 150], length=5)
    recipe = recipe_history(load_recipe("copy", tiny), steps=[0], length=5, label="copy")
    for one, other in zip(run.flows[0].chains, recipe.flows[0].chains, strict=True):
        np.testing.assert_array_equal(one.gradient, other.gradient)
    loaded = seqcli.load(copy_run, checkpoint="last").gradients(length=5)
    assert loaded.step == 150
    np.testing.assert_array_equal(loaded.chains[0].gradient, run.flows[1].chains[0].gradient)
    assert loaded.source_length == 6


def test_training_on_the_way_is_that_of_a_run(copy_run: Path, tiny: tuple[str, ...]) -> None:
    found = recipe_history(load_recipe("copy", tiny), steps=[100], length=5, label="copy")
    kept = run_history(copy_run, steps=[100], length=5)
    for one, other in zip(found.flows[0].chains, kept.flows[0].chains, strict=True):
        np.testing.assert_array_equal(one.gradient, other.gradient)
    assert found.clipping is not None
    assert kept.clipping is not None
    # a record of the run is the mean of ten steps
    np.testing.assert_allclose(found.clipping.norms.reshape(-1, 10).mean(axis=1), kept.clipping.norms[:10], rtol=1e-6)


def test_an_average_counts_as_the_last_of_its_steps(copy_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(copy_run, tmp_path / "run"))
    average_checkpoints(run, last=2)
    assert seqcli.load(run, checkpoint="average").gradients(length=5).step == 150


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a=1"], 2, "only keys"),
        (["copy", "--steps", "5,x"], 2, "--steps 5,x"),
        (["copy", "training.steps=3", "--steps", "5"], 2, "there is no step 5"),
        (["copy", "--label", "a", "--label", "b"], 2, "1 models, but 2 times --label"),
        (["RUN", "--steps", "7"], 2, "it has 0, 100, 150"),
        (["RUN", "--cells"], 2, "is a run"),
        (["dates", "--length", "90"], 3, "has 90 symbols; they have"),
        (["vision/digits", "--cells"], 2, "reads images"),
        (["."], 2, ". is not a file; a recipe is a YAML file"),
        (["nothere"], 2, "no such recipe"),
        (["copy", "-o", "x.txt"], 2, "x.txt"),
        (["copy", "model.initialization={recurrent: zeros, recurrent_radius: 1.0}"], 2, "recurrent_radius"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_mistakes(call: Callable[..., Any], copy_run: Path, arguments: list[str], code: int, said: str) -> None:
    ended = call("visualize", "gradients", *(str(copy_run) if each == "RUN" else each for each in arguments))
    assert ended.code == code
    assert said in ended.err
    assert not Path("gradients.png").exists()
