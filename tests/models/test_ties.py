"""Tied tables are one tensor: after the build, after save and load, and after a training step."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from models.zoo import VOCABULARY, batch, validated
from torch import Tensor

from seqcli.build.model import build_model
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.model import Model
from seqcli.training.checkpoint import load_weights, save_weights, weights_of
from seqcli.training.optim import Adam
from seqcli.training.step import Objective, train_step

TIES = get_args(Model.model_fields["tie"].annotation)
DISTINCT = {"none": 3, "target_output": 2, "source_target": 2, "all": 1}
SIDES: dict[str, dict[str, Any]] = {
    "gru": {"kind": "gru", "hidden_size": 16, "embedding_size": 16},
    "transformer": {"kind": "transformer", "hidden_size": 16, "layers": 1, "feedforward_size": 16},
}


def build(tie: str, kind: str, seed: int) -> Seq2Seq:
    section = validated({"encoder": SIDES[kind], "decoder": SIDES[kind], "tie": tie})
    assert section is not None
    torch.manual_seed(seed)
    return build_model(section, VOCABULARY, VOCABULARY)


def tables(model: Seq2Seq) -> list[Tensor]:
    return [model.encoder.embedding.weight, model.decoder.embedding.weight, model.output.weight]


def distinct(model: Seq2Seq) -> int:
    return len({table.data_ptr() for table in tables(model)})


def test_every_tie_of_the_schema_is_here() -> None:
    assert set(TIES) == set(DISTINCT)
    assert len(DISTINCT) == 4


@pytest.mark.parametrize("kind", SIDES)
@pytest.mark.parametrize("tie", TIES)
def test_ties_last(tie: str, kind: str, tmp_path: Path) -> None:
    first, second = build(tie, kind, seed=1), build(tie, kind, seed=2)
    assert distinct(first) == DISTINCT[tie]

    save_weights(tmp_path / "weights", weights_of(first), {})
    load_weights(tmp_path / "weights", second)
    assert distinct(second) == DISTINCT[tie]
    for mine, loaded in zip(tables(first), tables(second), strict=True):
        assert torch.equal(mine, loaded)

    optimizer = Adam(second.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=0.1, decoupled=True)
    train_step(second, optimizer, 0.01, [batch([5, 3], [4, 4])], Objective(0.1, 1.0, 1.0, 1))
    assert distinct(second) == DISTINCT[tie]
    for before, after in zip(tables(first), tables(second), strict=True):
        assert not torch.equal(before, after)


@pytest.mark.parametrize("tie", ["target_output", "all"])
def test_a_shared_table_starts_as_an_embedding(tie: str) -> None:
    table = build(tie, "transformer", seed=1).output.weight
    assert table.std().item() == pytest.approx(16**-0.5, rel=0.15)


@pytest.mark.parametrize("tie", TIES)
def test_embeddings_feel_no_weight_decay_and_matrices_do(tie: str) -> None:
    """Under every name that a shared table can go by. Without a gradient's help: the pull alone is measured."""
    model = build(tie, "transformer", seed=1)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    Adam(model.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=0.1, decoupled=True).step(0.5)
    pulled = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    free = {name for name in before if "embedding" in name or "norm" in name or name.endswith("bias")}
    assert pulled == set(before) - free
    assert ("output.weight" in pulled) == (tie in ("none", "source_target"))
