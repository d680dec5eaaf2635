"""What is measured of each layer: saturation and spread by hand, gradients against torch's own, variance against the papers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from models.zoo import batch, padded
from torch import Tensor

from seqcli.analysis.activations import LayerActivity, layer_activities, saturation, shown_layers, spread
from seqcli.analysis.watching import watch
from seqcli.build.model import build_model
from seqcli.models.feedforward import DenseStack
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.load import load_recipe

VOCABULARY = 20
SENTENCES = batch([5, 3, 7, 4], [4, 6, 2, 5])
DENSE = "kind: feedforward, hidden_size: 256, window: 12"
RECURRENT = "hidden_size: 12, embedding_size: 10, layers: 2"


def model_of(encoder: str, decoder: str, initialization: str = "{}", dropout: float = 0.0) -> Seq2Seq:
    keys = (f"model.encoder={{{encoder}}}", f"model.decoder={{{decoder}}}", f"model.initialization={initialization}")
    recipe = load_recipe("copy", [*keys, f"model.dropout={dropout}"])
    torch.manual_seed(3)
    return build_model(recipe.model, VOCABULARY, VOCABULARY)


MODELS = {
    "feedforward": (f"{DENSE}, layers: 2", f"{DENSE}, layers: 2"),
    "rnn": (f"kind: rnn, {RECURRENT}, bidirectional: true", f"kind: rnn, {RECURRENT}"),
    "lstm": (f"kind: lstm, {RECURRENT}, bidirectional: true", f"kind: lstm, {RECURRENT}, input_feeding: true"),
    "gru": (f"kind: gru, {RECURRENT}", f"kind: gru, {RECURRENT}, order: bahdanau"),
    "transformer": (
        "kind: transformer, hidden_size: 16, layers: 2, heads: 2, feedforward_size: 24",
        "kind: transformer, hidden_size: 16, layers: 2, heads: 2, feedforward_size: 24",
    ),
}


@pytest.mark.parametrize("nonlinearity", ["tanh", "sigmoid"])
def test_saturated_by_hand(nonlinearity: str) -> None:
    inputs = torch.tensor([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    # |tanh x| > 0.9 beyond ±1.472: four of seven; σ(x) < 0.1 or > 0.9 beyond ±2.197: two of seven
    expected = {"tanh": [1, 1, 0, 0, 0, 1, 1], "sigmoid": [1, 0, 0, 0, 0, 0, 1]}[nonlinearity]
    found = saturation(getattr(torch, nonlinearity)(inputs), nonlinearity)
    assert found is not None
    assert found.int().tolist() == expected


def test_only_what_flattens_on_both_sides_saturates() -> None:
    assert saturation(torch.zeros(3), "relu") is None
    assert saturation(torch.zeros(3), "linear") is None


def test_spread_by_hand() -> None:
    found = spread(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert found.mean == 2.5
    assert found.deviation == pytest.approx(math.sqrt(1.25))
    assert found.rms == pytest.approx(math.sqrt(30 / 4))
    assert found.percentiles == pytest.approx((1.15, 1.75, 2.5, 3.25, 3.85))
    assert found.sample.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", MODELS)
def test_a_watched_pass_is_the_same_pass(kind: str) -> None:
    model = model_of(*MODELS[kind], dropout=0.3).eval()
    plain = model.loss(SENTENCES)
    with watch(model) as places:
        watched = model.loss(SENTENCES)
    torch.testing.assert_close(watched, plain)
    assert len(places) >= 4
    count = len(places["decoder layer 1" + {"rnn": " hidden", "lstm": " hidden", "gru": " hidden"}.get(kind, "")].post)
    model.loss(SENTENCES)  # nobody watches any more
    assert len(next(reversed(places.values())).post) > 0
    assert (
        len(places["decoder layer 1" + {"rnn": " hidden", "lstm": " hidden", "gru": " hidden"}.get(kind, "")].post)
        == count
    )


@pytest.mark.parametrize("kind", MODELS)
def test_padding_does_not_count_and_the_model_is_left_alone(kind: str) -> None:
    model = model_of(*MODELS[kind], dropout=0.3).train()
    found = layer_activities(model, SENTENCES)
    wide = layer_activities(model, padded(SENTENCES, 3, 2))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert [layer.name for layer in found] == [layer.name for layer in wide]
    for one, other in zip(found, wide, strict=True):
        assert other.activations.rms == pytest.approx(one.activations.rms, rel=1e-4)
        assert other.gradients.rms == pytest.approx(one.gradients.rms, rel=1e-3)
        if one.steps is not None and other.steps is not None:
            assert one.steps.sentences.tolist() == other.steps.sentences.tolist()


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_gradients_of_gates_add_up_to_those_of_their_biases(kind: str) -> None:
    """Every bias is added to its pre-activation at every step, so its gradient is the sum of theirs: torch's own against ours."""
    model = model_of(*MODELS[kind]).eval()
    layers = {layer.name: layer for layer in layer_activities(model, SENTENCES)}
    model.loss(SENTENCES).backward()
    parameters = {name: parameter.grad for name, parameter in model.named_parameters()}
    blocks = {
        "rnn": ["hidden"],
        "lstm": ["input", "forget", "candidate", "output"],
        "gru": ["reset", "update", "candidate"],
    }
    seen = 0
    for side, symbols in (("encoder", 5 + 3 + 7 + 4), ("decoder", 4 + 6 + 2 + 5)):
        for depth in range(2):
            grads = parameters[f"{side}.recurrence.stack.bias_ih_l{depth}"]
            assert grads is not None
            for part, block in zip(blocks[kind], grads.split(12), strict=True):
                layer = layers[f"{side} layer {depth + 1} {part}"]
                total = layer.gradients.mean * symbols * 12
                assert total == pytest.approx(float(block.double().sum()), rel=1e-3, abs=1e-4)
                seen += 1
    assert seen == 4 * len(blocks[kind])


def test_steps_are_those_of_the_sentences() -> None:
    layers = {layer.name: layer for layer in layer_activities(model_of(*MODELS["gru"]), SENTENCES)}
    steps = layers["encoder layer 1 hidden"].steps
    assert steps is not None
    # sources of 5, 3, 7 and 4 symbols
    assert steps.sentences.tolist() == [4, 4, 4, 3, 2, 1, 1]
    assert steps.percentiles.shape == (7, 5)
    both = (steps.activations**2 * steps.sentences).sum() / steps.sentences.sum()
    assert math.sqrt(both) == pytest.approx(layers["encoder layer 1 hidden"].activations.rms)
    gate = layers["encoder layer 1 update"]
    assert gate.steps is not None
    assert gate.steps.saturated is not None
    assert gate.saturated == pytest.approx((gate.steps.saturated * steps.sentences).sum() / steps.sentences.sum())


def test_states_stand_for_their_gates() -> None:
    layers = layer_activities(model_of(*MODELS["lstm"]), SENTENCES)
    shown = [layer.name for layer in shown_layers(layers)]
    assert shown[:2] == ["encoder layer 1 hidden", "encoder layer 1 backward hidden"]
    assert not any("gate" in name or "forget" in name for name in shown)
    parts = [
        one.saturated for one in layers if one.name.startswith("decoder layer 1 ") and not one.name.endswith("hidden")
    ]
    state = next(one for one in layers if one.name == "decoder layer 1 hidden")
    assert len(parts) == 5
    assert state.saturated == pytest.approx(sum(one or 0.0 for one in parts) / 5)


DEPTH = 12


def deep(initialization: str, activation: Any = torch.tanh) -> tuple[list[LayerActivity], Seq2Seq]:
    """A stack of equally wide dense layers, and what they do."""
    model = model_of(f"{DENSE}, layers: {DEPTH}, embedding_size: 32", f"{DENSE}, layers: 1", initialization)
    assert isinstance(model.encoder.stack, DenseStack)  # type: ignore[attr-defined]
    model.encoder.stack.activation = activation  # type: ignore[attr-defined]
    sentences = batch([10] * 32, [9] * 32)
    return [layer for layer in layer_activities(model, sentences) if layer.chain == "encoder"], model


def gains(layers: list[LayerActivity]) -> tuple[list[float], list[float]]:
    """By what each layer but the first multiplies the variance going forward, and that of the gradient going back."""
    assert len(layers) == DEPTH
    forward = [layer.forward for layer in layers if layer.forward is not None]
    backward = [layer.backward for layer in layers if layer.backward is not None]
    assert len(forward) == len(backward) == DEPTH - 1
    return forward, backward


def identity(inputs: Tensor) -> Tensor:
    return inputs


@pytest.mark.parametrize("kind", ["xavier_uniform", "xavier_normal"])
def test_xavier_keeps_the_variance_both_ways(kind: str) -> None:
    """Glorot & Bengio 2010, §4.2.1: width × variance = 1 in square layers, so a linear stack keeps it; tanh takes a little each time."""
    for forward in gains(deep(f"{{weights: {kind}}}", identity)[0]):
        assert 0.6 < math.prod(forward) < 1.6
        assert all(0.85 < gain < 1.15 for gain in forward)
    layers, _ = deep(f"{{weights: {kind}}}")
    for kept in gains(layers):
        assert all(0.75 < gain < 1.1 for gain in kept)
    assert all(layer.saturated == 0 for layer in layers[1:])


def test_small_weights_let_the_signal_die() -> None:
    """Width 256 × 0.01² = 0.0256 a layer, forwards and backwards."""
    layers, _ = deep("{weights: normal, scale: 0.01}")
    for gain in gains(layers):
        assert all(one == pytest.approx(0.0256, rel=0.25) for one in gain)
    assert layers[-1].activations.rms < 1e-8 * layers[0].activations.rms


def test_large_weights_saturate() -> None:
    """Pre-activations of deviation √256 = 16: a normal number is beyond ±1.472/16 with probability 0.927."""
    layers, _ = deep("{weights: normal, scale: 1.0}")
    for layer in layers[2:]:
        assert layer.saturated == pytest.approx(0.927, abs=0.03)
        assert layer.pre is not None
        assert layer.pre.deviation == pytest.approx(16, rel=0.1)


def test_he_keeps_the_variance_through_rectifiers_where_xavier_halves_it() -> None:
    """He et al. 2015, §2.2."""
    he, _ = deep("{weights: he_normal}", torch.relu)
    assert 0.3 < math.prod(gains(he)[0]) < 3.0
    xavier, _ = deep("{weights: xavier_normal}", torch.relu)
    assert math.prod(gains(xavier)[0]) ** (1 / (DEPTH - 1)) == pytest.approx(0.5, rel=0.12)
    assert all(layer.dead == pytest.approx(0.5, abs=0.12) for layer in xavier)


def test_orthogonal_keeps_every_length_exactly() -> None:
    """Saxe et al. 2014, §3: not on average but for each vector, forwards and backwards."""
    layers, model = deep("{weights: orthogonal}", identity)
    for kept in gains(layers):
        assert kept == pytest.approx([1.0] * (DEPTH - 1), abs=1e-5)
    with watch(model) as places, torch.no_grad():
        model.loss(batch([10] * 4, [9] * 4))
    lengths = [places[layer.name].post[0].norm(dim=1) for layer in layers]
    for length in lengths[1:]:
        torch.testing.assert_close(length, lengths[0], rtol=1e-5, atol=0)
