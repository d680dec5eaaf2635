"""Copies of a model to decode with: they share its tensors, and answer as it does."""

from __future__ import annotations

import pytest
import torch
from models.zoo import ENCODER_KINDS, batch, models_with
from torch import nn

from seqcli.nn.twin import by_columns, twin


def test_a_twin_has_the_models_own_tensors() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 4), nn.BatchNorm1d(4))
    other = twin(model)
    assert other[1] is not model[1]
    ours, theirs = ([*one.parameters(), *one.buffers()] for one in (model, other))
    assert len(ours) == 8
    assert all(one is another for one, another in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", ENCODER_KINDS)
@torch.inference_mode()
def test_it_answers_as_the_model(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    for specimen in models_with(kind)[::2]:
        model = specimen.model.eval()
        laid_out = by_columns(model)
        torch.testing.assert_close(laid_out.logits(given), model.logits(given), rtol=1e-4, atol=1e-5)


def test_wide_layers_lie_by_columns_and_others_are_shared() -> None:
    model = nn.Sequential(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 3))
    laid_out = by_columns(model)
    assert laid_out[0].weight.stride() == (1, 9)
    assert laid_out[0].bias is model[0].bias
    assert laid_out[2].weight is model[2].weight
    assert model[0].weight.stride() == (3, 1)
    assert torch.equal(laid_out[0].weight, model[0].weight)


def test_tied_weights_stay_with_the_embedding() -> None:
    model = nn.Sequential(nn.Embedding(9, 3), nn.Linear(3, 9, bias=False))
    model[1].weight = model[0].weight
    laid_out = by_columns(model)
    assert laid_out[0].weight is model[0].weight
    assert laid_out[1].weight.stride() == (1, 9)
