"""Units that start equal stay equal, exactly, however long they learn."""

from __future__ import annotations

import math

import pytest
import torch
from models.zoo import batch

from seqcli.analysis.activations import layer_activities
from seqcli.analysis.symmetry import ROUNDING, symmetry
from seqcli.build.model import build_model
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.load import load_recipe

SENTENCES = batch([5, 3, 7] * 4, [4, 6, 2] * 4)


def test_by_hand() -> None:
    # three units, two of them the same; distances 0, 5, 5 between lengths 0 and 5 … mean distance 10/3, mean length 5/3
    found = symmetry(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]))
    assert (found.units, found.distinct) == (3, 2)
    assert found.distance == pytest.approx((10 / 3) / (5 / 3))


def test_biases_tell_units_apart() -> None:
    weights = torch.ones(2, 3)
    assert symmetry(weights).distinct == 1
    assert symmetry(weights, torch.tensor([[0.0], [1.0]])).distinct == 2


def test_zeros_are_one_unit_and_random_rows_are_far_apart() -> None:
    assert symmetry(torch.zeros(4, 3)).distinct == 1
    torch.manual_seed(0)
    found = symmetry(torch.randn(50, 400))
    assert found.distinct == 50
    assert found.distance == pytest.approx(math.sqrt(2), rel=0.02)


def trained(kind: str, start: str, dropout: float = 0.0) -> Seq2Seq:
    size = "hidden_size: 32" if kind == "feedforward" else "hidden_size: 32, embedding_size: 16"
    keys = [f"model.{side}={{kind: {kind}, {size}, layers: 2}}" for side in ("encoder", "decoder")]
    recipe = load_recipe("copy", [*keys, f"model.initialization={start}", f"model.dropout={dropout}"])
    torch.manual_seed(0)
    model = build_model(recipe.model, 20, 20)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    before = model.eval().loss(SENTENCES).item()
    model.train()
    for _ in range(15):
        optimizer.zero_grad()
        model.loss(SENTENCES).backward()
        optimizer.step()
    assert model.eval().loss(SENTENCES).item() < 0.95 * before  # it has learnt something
    return model


EQUAL, RANDOM = "{weights: constant, recurrent: constant}", "{}"


@pytest.mark.parametrize("kind", ["feedforward", "rnn", "lstm", "gru"])
def test_equal_units_stay_equal(kind: str) -> None:
    model = trained(kind, EQUAL)
    told = {layer.name: layer.symmetry for layer in layer_activities(model, SENTENCES) if layer.symmetry is not None}
    # the bridge makes the first states of two layers, which do differ: one unit for each
    bridge = told.pop("bridge", None)
    assert bridge is None or bridge.distinct == 2
    assert len(told) >= 4
    assert all(one.distinct == 1 and one.distance < ROUNDING for one in told.values())
    # each row of a matrix, gate by gate, is the first one; to the last bit where the processor adds up all units in the same order
    seen = 0
    for name, parameter in model.named_parameters():
        if "stack" in name and "weight" in name:
            for gate in parameter.detach().split(32):
                assert float((gate - gate[:1]).norm(dim=1).max()) <= ROUNDING * float(gate.norm(dim=1).max())
                seen += 1
    assert seen == {"feedforward": 2, "rnn": 4, "lstm": 16, "gru": 12}[kind] * 2


@pytest.mark.parametrize("kind", ["feedforward", "gru"])
def test_small_random_weights_make_units_different(kind: str) -> None:
    told = [layer.symmetry for layer in layer_activities(trained(kind, RANDOM), SENTENCES)]
    known = [one for one in told if one is not None]
    assert known
    assert all(one.distinct == one.units for one in known)


def test_dropout_breaks_the_symmetry_too() -> None:
    """Units that are dropped at different steps get different gradients."""
    told = [layer.symmetry for layer in layer_activities(trained("gru", EQUAL, dropout=0.3), SENTENCES)]
    assert any(one is not None and one.distinct > 1 for one in told)
