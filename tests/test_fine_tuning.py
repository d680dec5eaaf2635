"""training.start_from: a run that begins with another run's weights and symbols."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

import seqcli
from seqcli.errors import RecipeError
from seqcli.experiment import Experiment, prepare
from seqcli.recipe.load import load_recipe

OVERRIDES = (
    "training={steps: 40, batch_tokens: 256, checkpoint_every: 10, validate_every: 20, log_every: 10}",
    "model.dropout=0.1",
    "threads=1",
)
FEW = "data={kind: copy, alphabet: 4, longest: 5, examples: 200}"
MORE = "data={kind: reverse, alphabet: 6, longest: 5, examples: 200}"


def experiment(folder: Path, *overrides: str) -> Experiment:
    return prepare(load_recipe("copy", [*OVERRIDES, *overrides]), folder)


def train(folder: Path, *overrides: str) -> Experiment:
    made = experiment(folder, *overrides)
    for _ in made.train():
        pass
    return made


def weights(made: Experiment) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in made.model.state_dict().items()}


def assert_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "base"
    train(folder, FEW)
    return folder


def test_weights_and_symbols_are_those_of_the_other_run(base: Path, tmp_path: Path) -> None:
    """Of its best checkpoint, which `auto` means; what its data never had is unknown."""
    tuned = experiment(tmp_path / "tuned", MORE, f"training.start_from={base}")
    run = seqcli.load(base)
    assert_equal(weights(tuned), dict(run.translator.model.state_dict()))
    assert tuned.data.source_tokenizer.digest == run.translator.source_tokenizer.digest
    assert tuned.data.target_tokenizer.digest == run.translator.target_tokenizer.digest
    other = experiment(tmp_path / "other", MORE)
    assert other.data.source_tokenizer.size == tuned.data.source_tokenizer.size + 2
    before = weights(tuned)
    for _ in tuned.train():
        pass
    assert any(not torch.equal(before[name], tensor) for name, tensor in weights(tuned).items())
    assert seqcli.load(tmp_path / "tuned").translate(["ab"], beam_size=1)


def test_it_resumes_without_the_other_run(base: Path, tmp_path: Path) -> None:
    start = shutil.copytree(base, tmp_path / "base")
    straight = train(tmp_path / "straight", MORE, f"training.start_from={start}")
    broken = experiment(tmp_path / "broken", MORE, f"training.start_from={start}")
    for _ in broken.train(stop=lambda: broken.position.step >= 15):
        pass
    assert broken.position.step == 15
    shutil.rmtree(start)
    assert_equal(weights(train(tmp_path / "broken", MORE, f"training.start_from={start}")), weights(straight))


def test_a_run_that_ended_before_its_first_checkpoint_begins_again(base: Path, tmp_path: Path) -> None:
    straight = train(tmp_path / "straight", MORE, f"training.start_from={base}")
    train(tmp_path / "broken", MORE, f"training.start_from={base}", "training.steps=10")
    shutil.rmtree(tmp_path / "broken" / "checkpoints")
    (tmp_path / "broken" / "metrics.jsonl").unlink()
    assert_equal(weights(train(tmp_path / "broken", MORE, f"training.start_from={base}")), weights(straight))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.encoder.layers=2", "has another model .*model.encoder.layers is 1 there and 2 here"),
        ("source.lowercase=true", "source.lowercase is False there and True here"),
        ("target.tokenizer.kind=symbols", "target.tokenizer is .*characters.* there"),
    ],
)
def test_what_does_not_fit_is_refused(base: Path, tmp_path: Path, override: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=f"^training.start_from: .*{expected}.* Begin with its recipe: seqcli train "):
        experiment(tmp_path / "tuned", MORE, override, f"training.start_from={base}")
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    "override", ["model.dropout=0.3", "source.max_length=9", "model.initialization={weights: he_normal}"]
)
def test_dropout_and_lengths_are_free(base: Path, tmp_path: Path, override: str) -> None:
    tuned = experiment(tmp_path / "tuned", MORE, override, f"training.start_from={base}")
    assert_equal(weights(tuned), dict(seqcli.load(base).translator.model.state_dict()))


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^training.start_from: .*nowhere is no run directory"):
        experiment(tmp_path / "tuned", MORE, f"training.start_from={tmp_path}/nowhere")
