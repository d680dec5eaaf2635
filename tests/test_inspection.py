"""Models to look into: a recipe's from several starts, after some steps, and a run's before and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqcli.analysis.activations import layer_activities
from seqcli.errors import RecipeError
from seqcli.experiment import prepare
from seqcli.inspection import (
    embedding_tables,
    is_run,
    open_subject,
    probe_batch,
    recipe_activities,
    run_activities,
    side_embeddings,
    start_overrides,
)
from seqcli.recipe.load import load_recipe


def test_a_start_is_what_a_recipe_says() -> None:
    recipe = load_recipe("copy", start_overrides("normal=0.01"))
    found = recipe.model.initialization
    assert (found.weights, found.recurrent, found.scale) == ("normal", "normal", 0.01)
    assert load_recipe("copy", start_overrides("orthogonal")).model.initialization.scale is None
    with pytest.raises(RecipeError, match="glorot"):
        load_recipe("copy", start_overrides("glorot"))


def test_starts_read_the_same_embeddings_and_learn_on_their_own(tiny: tuple[str, ...]) -> None:
    found = recipe_activities("copy", tiny, starts=["constant", "normal=1"], steps=3, sentences=16)
    assert list(found) == ["constant", "constant, 3 steps", "normal=1", "normal=1, 3 steps"]
    alike = [[one.symmetry.distinct for one in layers if one.symmetry] for layers in found.values()]
    units = [one.symmetry.units for one in found["constant"] if one.symmetry]
    assert alike[0] == [1] * len(units)
    # dot attention holds each unit of the decoder against one of the encoder's, which are of two kinds, forward and backward
    assert alike[1] == [1] * 8 + [2] * 5 + [1]
    assert alike[2:] == [units] * 2
    first = {name: {one.name: one for one in layers}["encoder layer 1 update"] for name, layers in found.items()}
    assert first["constant"].pre is not None
    assert first["constant, 3 steps"].pre is not None
    assert first["constant"].pre.rms != first["constant, 3 steps"].pre.rms
    assert (first["normal=1"].saturated or 0) > 0.1 > (first["constant"].saturated or 0)


def test_without_a_start_the_recipes_own(tiny: tuple[str, ...]) -> None:
    assert list(recipe_activities("copy", tiny, sentences=8)) == ["at the start"]
    assert list(recipe_activities("copy", tiny, steps=2, sentences=8)) == ["at the start", "after 2 steps"]


def test_the_steps_are_those_of_training(tiny: tuple[str, ...], tmp_path: Path) -> None:
    """What a run that stops there has come to, over the ends of epochs."""
    changes = ("data.examples=300", "training.accumulation=3", "model.dropout=0.1")
    found = recipe_activities("copy", [*tiny, *changes], steps=7, sentences=16)["after 7 steps"]
    recipe = load_recipe("copy", [*tiny, *changes, "training.validate_every=null", "training.moving_average=0.9"])
    trained = prepare(recipe, tmp_path)
    assert trained.steps_an_epoch < 7
    assert len(trained.plan(0)) % 3, "the last step of an epoch has fewer batches"
    list(trained.train(stop=lambda: trained.position.step >= 7))
    assert trained.position.step == 7
    there = layer_activities(trained.model, probe_batch(trained, 16))
    weights = [[one.weights.deviation for one in layers if one.weights] for layers in (found, there)]
    assert len(weights[0]) > 8
    assert weights[0] == weights[1]


def test_there_are_no_steps_beyond_the_last(tiny: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="copy trains 2 steps, so there is no step 3"):
        recipe_activities("copy", [*tiny, "training.steps=2"], steps=3, sentences=8)


def test_a_run_before_its_first_step_and_now(copy_run: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    found = run_activities(str(copy_run), sentences=16)
    assert list(found) == ["at the start", "average"]
    fresh = prepare(load_recipe("copy", tiny), tmp_path / "fresh").model
    weight = dict(fresh.named_parameters())["decoder.readout.mix.weight"]
    layers = {one.name: one for one in found["at the start"]}
    assert layers["readout"].weights is not None
    assert layers["readout"].weights.deviation == pytest.approx(weight.std(correction=0).item(), rel=1e-6)
    assert {one.name: one for one in found["average"]}["readout"].weights != layers["readout"].weights


def test_recipes_and_runs_are_opened_alike(copy_run: Path, tiny: tuple[str, ...]) -> None:
    assert is_run(str(copy_run))
    assert not is_run("copy")
    begun, new = open_subject(str(copy_run)), open_subject("copy", tiny)
    assert begun.translate(["abcd"]) == ["abcd"]
    assert new.translator.source_tokenizer.digest == begun.translator.source_tokenizer.digest
    with pytest.raises(RecipeError, match="is a recipe, which has no checkpoints"):
        open_subject("copy", tiny, checkpoint="best")


def test_the_embeddings_of_each_side(copy_run: Path, tiny: tuple[str, ...]) -> None:
    run = open_subject(str(copy_run))
    assert list(embedding_tables(run)) == ["source", "target"]
    found = side_embeddings(run, "target", words=["b"])
    assert (found.words, found.vocabulary, found.width) == (("b",), 4, 16)
    assert len(found.neighbours[0]) == 3
    dense = "model={encoder: {kind: feedforward}, decoder: {kind: feedforward}}"
    baseline = open_subject("copy", [*tiny[:1], dense])
    with pytest.raises(RecipeError, match="the target of this model has no embeddings; source has"):
        side_embeddings(baseline, "target")
