"""The moving average of the weights: its formula, and that it is what a run validates, keeps and is used with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from models.zoo import VOCABULARY
from torch import nn
from training.miniature import FOR_EVER, SMALLEST, Run, load, no_validation

from seqcli.build.model import build_model
from seqcli.training.checkpoint import load_weights
from seqcli.training.loop import Hooks
from seqcli.training.moving_average import MovingAverage


def test_two_steps_by_hand() -> None:
    """Decays are 2/11 and 3/12 while the average is young, 0.5 at most: 0 → 9/11·1 → 1/4·9/11 + 3/4·2."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    average = MovingAverage(layer, decay=0.5)
    for step, weight in ((1, 1.0), (2, 2.0)):
        nn.init.constant_(layer.weight, weight)
        average.update(step)
    expected = 0.25 * 9 / 11 + 0.75 * 2
    assert float(average.averages["weight"]) == pytest.approx(expected)
    with average.in_use():
        assert layer.weight.item() == pytest.approx(expected)
    assert layer.weight.item() == 2
    nn.init.constant_(layer.weight, 4.0)
    average.update(1000)
    assert float(average.averages["weight"]) == pytest.approx(0.5 * expected + 0.5 * 4)


def test_it_is_what_is_validated_and_kept_but_not_what_learns(tmp_path: Path) -> None:
    plain = Run(SMALLEST, seed=1)
    plain.train(replace(FOR_EVER, steps=5), no_validation())
    run = Run(SMALLEST, seed=1, decay=0.9)

    def loss() -> float:
        with torch.no_grad():
            return float(run.model.loss(load([0, 1, 2])))

    hooks = Hooks(
        validate=lambda: ({"loss": loss()}, (("a", "b", "c"),)),
        watched=lambda scores: -scores["loss"],
        save=run.keep(tmp_path),
        stop=lambda: False,
    )
    records = run.train(replace(FOR_EVER, steps=5), hooks)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, plain.model.state_dict()[name]), name
    kept = build_model(SMALLEST, VOCABULARY, VOCABULARY)
    load_weights(tmp_path / "step-00000005", kept)
    assert run.average is not None
    for name, tensor in kept.named_parameters():
        assert torch.equal(tensor, run.average.averages[name]), name
    trained = loss()
    with run.average.in_use():
        averaged = loss()
    assert trained != averaged
    assert next(record.scores["loss"] for record in records if record.event == "validation") == averaged
