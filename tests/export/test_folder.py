"""An export appears whole, takes the place of an earlier one and of nothing else, and weights alone are a run again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

import seqcli
from seqcli.errors import RecipeError, SeqcliError, StorageError
from seqcli.export.folder import read_export
from seqcli.recipe.load import load_recipe
from seqcli.training.checkpoint import step_folders


@pytest.mark.parametrize("checkpoint", ["average", "best", "last"])
def test_weights_alone_are_a_run(copy_run: Path, checkpoint: str, tmp_path: Path) -> None:
    loaded = seqcli.load(copy_run, checkpoint=checkpoint)
    loaded.export(tmp_path / "small")
    again = seqcli.load(tmp_path / "small")
    weights = again.translator.model.state_dict()
    for name, tensor in loaded.translator.model.state_dict().items():
        assert torch.equal(tensor, weights[name])
    examples = list(loaded.corpus("test").read())
    assert again.hypotheses(examples) == loaded.hypotheses(examples)
    size = sum(path.stat().st_size for path in (tmp_path / "small").rglob("*") if path.is_file())
    whole = sum(path.stat().st_size for path in copy_run.rglob("*") if path.is_file())
    assert size < whole / 3
    told = read_export(tmp_path / "small")
    assert told is not None
    assert told["to"] == "safetensors"
    assert told["checkpoint"] == loaded.checkpoint.name
    assert told.get("steps" if checkpoint == "average" else "step")


def test_a_recipe_that_asks_for_another_checkpoint_finds_the_one_there_is(copy_run: Path, tmp_path: Path) -> None:
    loaded = seqcli.load(copy_run, ["evaluation.checkpoint=best"], checkpoint="average")
    loaded.export(tmp_path / "small")
    assert seqcli.load(tmp_path / "small").checkpoint.name == "average"
    assert load_recipe(str(tmp_path / "small" / "recipe.yaml")).model == loaded.recipe.model


def test_a_run_does_not_go_on_from_weights_alone(copy_run: Path, tmp_path: Path) -> None:
    from seqcli.experiment import prepare

    seqcli.load(copy_run, checkpoint="last").export(tmp_path / "small")
    assert len(step_folders(tmp_path / "small" / "checkpoints")) == 1
    with pytest.raises(SeqcliError):
        list(prepare(load_recipe(str(tmp_path / "small" / "recipe.yaml")), tmp_path / "small").train())


def test_an_export_replaces_an_export_and_nothing_else(copy_run: Path, tmp_path: Path) -> None:
    loaded = seqcli.load(copy_run)
    place = tmp_path / "deep" / "small"
    loaded.export(place, to="onnx")
    loaded.export(place, to="safetensors")
    assert not (place / "encoder.onnx").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    loaded.export(mine)  # an empty folder is free
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(RecipeError, match="is no export"):
        loaded.export(other)
    with pytest.raises(RecipeError, match="is no export"):
        loaded.export(other / "thesis.txt")
    assert (other / "thesis.txt").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "mine", "other"]


def test_an_export_over_its_own_run_is_refused(copy_run: Path) -> None:
    before = sorted(path.name for path in copy_run.iterdir())
    with pytest.raises(RecipeError, match="is no export"):
        seqcli.load(copy_run).export(copy_run)
    assert sorted(path.name for path in copy_run.iterdir()) == before


def test_what_is_being_read_is_not_replaced(copy_run: Path, tmp_path: Path) -> None:
    seqcli.load(copy_run).export(tmp_path / "small")
    with pytest.raises(RecipeError, match="is being exported"):
        seqcli.load(tmp_path / "small").export(tmp_path / "small", to="onnx")
    assert seqcli.load(tmp_path / "small").translate(["ab"])


def test_a_failed_export_leaves_what_was_there(copy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = seqcli.load(copy_run)
    loaded.export(tmp_path / "small")
    before = json.loads((tmp_path / "small" / "export.json").read_text())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        loaded.export(tmp_path / "small", to="onnx")
    monkeypatch.undo()
    assert json.loads((tmp_path / "small" / "export.json").read_text()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    assert seqcli.load(tmp_path / "small").translate(["ab"]) == loaded.translate(["ab"])


def test_an_ensemble_is_no_model(copy_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="ensemble"):
        seqcli.load(copy_run, ensemble=[copy_run]).export(tmp_path / "no")


def test_a_damaged_description_is_told(copy_run: Path, tmp_path: Path) -> None:
    seqcli.load(copy_run).export(tmp_path / "small")
    for content in ("{", "[]", "{}"):
        (tmp_path / "small" / "export.json").write_text(content)
        with pytest.raises(SeqcliError, match="is damaged"):
            seqcli.load(tmp_path / "small")


def test_quantization_is_ctranslate2s(copy_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="only an export to ctranslate2"):
        seqcli.load(copy_run).export(tmp_path / "no", quantization="int8")
