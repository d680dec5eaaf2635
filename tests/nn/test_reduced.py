"""Models whose products are in 16 bits: near the model, over its other tensors, and made anew when it changes."""

from __future__ import annotations

import copy

import pytest
import torch
from models.zoo import ENCODER_KINDS, batch, models_with
from torch import nn

from seqcli.nn import reduced as chapter
from seqcli.nn.reduced import NARROW, narrowed, reduced, reduces

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ENCODER_KINDS)
@torch.no_grad()
def test_every_model_stays_near(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    for specimen in models_with(kind)[::2]:
        model = copy.deepcopy(specimen.model).eval()
        exact, rounded = model.logits(given), reduced(model).logits(given)
        assert rounded.dtype == torch.float32
        apart = (exact - rounded).abs().max() / exact.std()
        # bfloat16 has 8 bits: what goes through some layers of it is a few hundredths off, and not at all nowhere
        assert 0 < apart < 0.2, specimen
        # the model itself is what it was
        assert torch.equal(exact, model.logits(given)), specimen


def test_only_products_are_reduced() -> None:
    model = nn.Sequential(
        nn.Embedding(5, NARROW), nn.LayerNorm(NARROW), nn.Linear(NARROW, NARROW), nn.Linear(NARROW, 1)
    )
    twin = reduced(model)
    assert [one.dtype for one in twin.parameters()] == [torch.float32] * 3 + [torch.bfloat16] * 2 + [torch.float32] * 2
    for place in (0, 1, 3):
        for ours, theirs in zip(model[place].parameters(), twin[place].parameters(), strict=True):
            assert ours is theirs


def test_products_are_rounded_as_bfloat16_is() -> None:
    layer = nn.Linear(NARROW, NARROW)
    inputs = torch.randn(4, NARROW)
    expected = nn.functional.linear(inputs.bfloat16(), layer.weight.bfloat16(), layer.bias.bfloat16()).float()
    assert torch.equal(reduced(nn.Sequential(layer))(inputs), expected)
    part = narrowed(reduced(nn.Sequential(layer))[0], torch.tensor([3, 1]))
    torch.testing.assert_close(part(inputs), expected[:, [3, 1]], atol=0.05, rtol=0.05)


def test_some_of_a_layers_outputs() -> None:
    for bias in (True, False):
        layer, inputs, rows = nn.Linear(4, 6, bias=bias), torch.randn(3, 4), torch.tensor([5, 0])
        torch.testing.assert_close(narrowed(layer, rows)(inputs), layer(inputs)[:, rows])


def test_auto_asks_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reduces("bf16", CPU)
    assert not reduces("float32", CPU)
    state = torch.get_rng_state()
    assert isinstance(chapter.pays(CPU, rounds=1), bool)
    # training asks too, and must draw what it would draw without having asked
    assert torch.equal(torch.get_rng_state(), state)
    for seconds, expected in ((1.0, False), (0.5, True)):
        monkeypatch.setattr(
            chapter, "_seconds", lambda dtype, *_, took=seconds: took if dtype == torch.bfloat16 else 1.0
        )
        chapter.pays.cache_clear()
        assert reduces("auto", CPU) is expected
    chapter.pays.cache_clear()
