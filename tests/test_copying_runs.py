"""Runs that copy, from the recipe to what is done with a trained model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import seqcli
from seqcli.data.tokenizer import same_symbols
from seqcli.evaluation.reader import SearchSettings
from seqcli.experiment import prepare
from seqcli.models.copying import Copying
from seqcli.recipe.load import load_recipe
from seqcli.run import Run, measured_batch
from seqcli.search.sampling import Sampling
from seqcli.training.checkpoint import load_weights

FEW = (
    "data={kind: reverse, alphabet: 20, longest: 6, examples: 200}",
    "model.encoder={kind: gru, hidden_size: 24, embedding_size: 16, bidirectional: true}",
    "model.decoder={kind: gru, hidden_size: 48, embedding_size: 16, attention: {kind: dot}}",
    "training={steps: 120, batch_tokens: 256, optimizer: {kind: adamw, learning_rate: 2e-2}, schedule: {kind: cosine}}",
    "training.validate_every=60",
    "training.checkpoint_every=60",
    "training.average=2",
    "threads=1",
    "seed=2",
)


def trained(folder: Path, *overrides: str) -> Path:
    for _ in prepare(load_recipe("copy", [*FEW, *overrides]), folder).train():
        pass
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """Read-only!"""
    return trained(tmp_path_factory.mktemp("runs") / "copying", "model.copying=true")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return seqcli.load(folder, checkpoint="last")


def test_few_examples_are_enough(run: Run, tmp_path: Path) -> None:
    """62 and 98 % of fresh strings, when this was written."""
    plain = seqcli.load(trained(tmp_path / "plain"), checkpoint="last")
    assert not isinstance(plain.translator.model, Copying)
    without, with_it = (one.evaluate("test").metrics["exact_match"].value for one in (plain, run))
    assert with_it > max(85, without + 10)


def test_every_checkpoint_says_what_is_copied(folder: Path, run: Run) -> None:
    expected = same_symbols(run.translator.source_tokenizer, run.translator.target_tokenizer)
    assert expected.count(-1) == 3
    for checkpoint in ("last", "best", "average", "60"):
        model = seqcli.load(folder, checkpoint=checkpoint).translator.model
        assert isinstance(model, Copying)
        assert model.copies.dtype == torch.int64
        assert model.copies.tolist() == expected


def test_a_search_is_scored_explained_and_shown(run: Run) -> None:
    texts = ["abcd", "ca", "tsrqpo"]
    (best, *_), *_ = run.hypotheses(run.examples(texts), run.settings(3))
    assert best.text == "dcba"
    score = run.score(texts[:1], [best.text])[0]
    assert score is not None
    assert score.log_prob == pytest.approx(best.log_prob, abs=1e-4)
    explained = run.explain(texts[:1])[0]
    assert [token.id for token in explained.tokens] == list(best.ids)
    assert explained.log_prob == pytest.approx(best.log_prob, abs=1e-4)
    maps = run.attention(texts[:1])[0]
    assert maps.cross[0, 0].argmax(axis=-1)[:4].tolist() == [3, 2, 1, 0]
    drawn = run.hypotheses(run.examples(texts), SearchSettings(5, 1.0, 10, 3.0, 8, sampling=Sampling(seed=1)))
    assert all(len(several) == 5 for several in drawn)


def test_gradients_are_those_of_the_mixture(run: Run) -> None:
    flow = run.gradients(length=4, examples=8)
    given = measured_batch(run.recipe, run.translator, length=4, examples=8)
    with torch.no_grad():
        log_probs = run.translator.model.logits(given)[:, -1]
    expected = -log_probs.gather(1, given.labels[:, -1:]).mean()
    assert flow.loss == pytest.approx(float(expected), rel=1e-3)


def test_what_attention_brings_is_missed(run: Run) -> None:
    heads = run.heads(examples=20)
    assert [(head.kind, head.layer, head.head) for head in heads] == [("cross", 1, 1)]
    assert heads[0].removal is not None
    assert math.isfinite(heads[0].removal)


def test_with_all_that_training_has(tmp_path: Path) -> None:
    """And stopped in the middle: the run is the one that never stopped."""
    all_of_it = (
        "model.copying=true",
        "model.dropout=0.1",
        "training={r_drop: 1, label_smoothing: 0.1, teacher_forcing: 0.7, accumulation: 2, moving_average: 0.9}",
        "training.precision=bf16",
        "training.doubly_stochastic=0.1",
        "model.decoder.attention={kind: additive, coverage: true}",
        "training.coverage_loss=1",
        "training.checkpoint_every=3",
        "training.average=1",
        "training.log_every=2",
    )
    straight = prepare(load_recipe("copy", [*FEW, *all_of_it, "training.steps=6"]), tmp_path / "straight")
    records = [record for record in straight.train() if record.event == "train"]
    assert all(record.loss is not None and math.isfinite(record.loss) for record in records)
    recipe = load_recipe("copy", [*FEW, *all_of_it, "training.steps=6"])
    stopped = prepare(recipe, tmp_path / "stopped")
    for _ in stopped.train(stop=lambda: stopped.position.step == 3):
        pass
    assert stopped.position.step == 3
    again = prepare(recipe, tmp_path / "stopped")
    assert again.position.step == 3
    for _ in again.train():
        pass
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    load_weights(tmp_path / "straight" / "checkpoints" / "step-00000006", again.model)
    assert straight.average is not None
    for name, average in straight.average.averages.items():
        assert torch.equal(average, again.model.state_dict()[name]), name


def test_one_that_is_hard_and_monotonic_is_looked_into(tmp_path: Path) -> None:
    few = (
        "model.copying=true",
        "model.decoder.attention={kind: hard_monotonic}",
        "training.steps=3",
        "training.average=1",
    )
    run = seqcli.load(trained(tmp_path / "run", *few), checkpoint="last")
    assert run.attention(["abc"], ["cb"])[0].cross.shape[-2:] == (3, 4)
    explained = run.explain(["abc"], ["cb"])[0]
    score = run.score(["abc"], ["cb"])[0]
    assert score is not None
    assert explained.log_prob == pytest.approx(score.log_prob, abs=1e-4)
    assert len(run.heads(examples=5)) == 1
