"""A compiled forward pass: the same numbers, the same names, and a model that is itself not changed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from models.zoo import VOCABULARY, batch
from torch._dynamo.testing import CompileCounter
from training.miniature import PLAIN, Run

from seqcli.build.model import build_model
from seqcli.recipe.model import Model
from seqcli.training.scheduled_sampling import ScheduledSampling, linear
from seqcli.training.step import Objective, read, train_step
from seqcli.training.team import Team

STACK = {"kind": "transformer", "hidden_size": 8, "layers": 1, "heads": 2, "feedforward_size": 8}
RELATIVE = {**STACK, "positions": "relative", "max_distance": 2}
CELL = {"kind": "gru", "hidden_size": 8, "embedding_size": 8, "attention": {"kind": "additive"}}
MODELS = {
    "transformer": {"encoder": STACK, "decoder": STACK},
    "relative": {"encoder": RELATIVE, "decoder": RELATIVE},
    "gru": {"encoder": {key: CELL[key] for key in ("kind", "hidden_size", "embedding_size")}, "decoder": CELL},
    "bahdanau": {"encoder": STACK, "decoder": {**CELL, "kind": "lstm", "order": "bahdanau"}},
}


def three_losses(section: dict[str, Any], objective: Objective) -> tuple[list[float], list[str]]:
    """Of three steps with batches of different shapes, and the names in the checkpoint."""
    torch._dynamo.reset()
    run, team = Run(Model.model_validate({**section, "dropout": 0.0}), seed=1), Team()
    groups = [[batch([5, 3, 2], [4, 6, 2])], [batch([3, 3], [7, 5])], [batch([8, 2, 4, 4], [3, 3, 2, 9])]]
    steps = [train_step(run.model, run.optimizer, 0.01, group, objective, team) for group in groups]
    return [one["loss"] for one in read(steps)], list(run.model.state_dict())


def check_same(section: dict[str, Any], objective: Objective) -> None:
    plain, compiled = (three_losses(section, replace(objective, compiled=compiled)) for compiled in (False, True))
    assert compiled[0] == pytest.approx(plain[0], rel=1e-4)
    assert compiled[1] == plain[1]


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> CompileCounter:
    """Graphs are made but run as they are, which takes no compiler and little time; they are counted."""
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    return counter


@pytest.mark.parametrize("kind", ["transformer", pytest.param("relative", marks=pytest.mark.real)])
def test_a_transformer_is_one_graph_for_batches_of_all_shapes(kind: str, quickly: CompileCounter) -> None:
    check_same(MODELS[kind], replace(PLAIN, label_smoothing=0.1))
    assert quickly.frame_count == 1


def test_with_scheduled_sampling_the_pass_that_learns_is_compiled(quickly: CompileCounter) -> None:
    check_same(MODELS["transformer"], replace(PLAIN, scheduled_sampling=ScheduledSampling(linear(1), "best")))
    assert quickly.frame_count == 1


@pytest.mark.real
@pytest.mark.parametrize("kind", ["gru", "bahdanau"])
def test_recurrent_models_are_compiled_in_parts(kind: str, quickly: CompileCounter) -> None:
    check_same(MODELS[kind], replace(PLAIN, r_drop=2.0))
    assert quickly.frame_count > 1


@pytest.mark.real
@pytest.mark.parametrize("kind", MODELS)
def test_truly_compiled(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what a compiler that was killed has left in the usual place is damaged
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    check_same(MODELS[kind], replace(PLAIN, label_smoothing=0.1))


def test_the_model_itself_stays_as_it_is(quickly: CompileCounter) -> None:
    """What validates and translates calls the model, which is not compiled."""
    model = build_model(Model.model_validate(MODELS["transformer"]), VOCABULARY, VOCABULARY)
    Team().replica(model, compiled=True)
    model(batch([3], [3]))
    assert quickly.frame_count == 0
