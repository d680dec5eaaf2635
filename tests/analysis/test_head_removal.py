"""The loss without a head: by weights that do the same, and by a head that says nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from analysis.readers import PAIRS, reader
from evaluation.onlookers import GRU, pixels, translator_of

from seqcli.analysis.head_removal import _removed, losses_without
from seqcli.evaluation.attention import traced_pass
from seqcli.evaluation.translator import Translator
from seqcli.symbols import Example

HEADS = [(kind, layer, head) for kind in ("encoder", "decoder", "cross") for layer in (1, 2) for head in (1, 2)]
MODULES = {
    "encoder": "encoder.layers.{}.attention.output",
    "decoder": "decoder.layers.{}.attention.output",
    "cross": "decoder.layers.{}.cross_attention.output",
}


def loss(translator: Translator) -> float:
    """Nats a symbol, a pair at a time."""
    targets = [translator.encode_target(pair.target or "") for pair in PAIRS]
    batches = [translator.batch([pair], [target]) for pair, target in zip(PAIRS, targets, strict=True)]
    with torch.inference_mode():
        return sum(float(translator.model.loss(batch)) for batch in batches) / sum(map(len, targets))


@pytest.mark.parametrize("place", HEADS, ids=str)
def test_a_head_is_removed_as_by_weights_of_zero(place: tuple[str, int, int]) -> None:
    """What mixes the heads ignores one of them, if its columns for that head are 0. A head of these is 8 wide."""
    translator = reader()
    translator.model.eval()
    rises = losses_without(translator, PAIRS)
    assert list(rises) == HEADS
    kind, layer, head = place
    without = copy.deepcopy(translator.model)
    with torch.no_grad():
        without.get_submodule(MODULES[kind].format(layer - 1)).weight[:, 8 * (head - 1) : 8 * head] = 0.0
    expected = loss(Translator(without, translator.source_tokenizer, translator.target_tokenizer)) - loss(translator)
    assert rises[place] == pytest.approx(expected, abs=1e-6)  # type: ignore[index]
    assert expected != 0


def test_the_model_is_left_as_it_was() -> None:
    translator = reader()
    translator.model.eval()
    before = loss(translator)
    assert losses_without(translator, PAIRS) == losses_without(translator, PAIRS)
    assert loss(translator) == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in translator.model.modules())


@pytest.mark.parametrize(("hops", "coverage"), [(1, False), (2, False), (1, True)])
def test_attention_with_one_head_is_removed_whole(hops: int, coverage: bool) -> None:
    """Also of an image, of each hop, and with coverage."""
    attention = {"kind": "additive", "hops": hops, "coverage": coverage}
    translator = translator_of("conv", {**GRU, "attention": attention})
    pair = Example("", "red green", 0, "here:1", image=pixels(["red", "blue"]))
    rises = losses_without(translator, [pair])
    assert list(rises) == [("cross", hop + 1, 1) for hop in range(hops)]
    assert all(rises.values())


def test_hard_monotonic_attention_is_removed_by_not_knowing_where_to_go() -> None:
    """What is looked at is still a distribution, all moves from a place to those not before it being alike."""
    translator = translator_of("gru", {**GRU, "attention": {"kind": "hard_monotonic"}})
    pair = Example("red green blue", "red green", 0, "here:1")
    batch = translator.batch([pair], [translator.encode_target(pair.target or "")])
    with _removed(translator.model.get_submodule("decoder.attention"), 0):
        (looked,) = traced_pass(translator, batch).cross
    # from the first of four places, the end among them, one move
    assert looked[0, 0, 0].tolist() == pytest.approx([1 / 4] * 4)
    assert looked.sum(dim=-1).flatten().tolist() == pytest.approx([1.0] * 3)
    (rise,) = losses_without(translator, [pair]).values()
    assert abs(rise) < 0.5
