"""The recurrent decoders ≡ their formulas, written out a sentence and a step at a time with torch's cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from models.zoo import VOCABULARY, alone, batch
from torch import Tensor, nn

from seqcli.build.model import build_model
from seqcli.models.recurrent import AttentiveDecoder, PlainDecoder, RecurrentDecoder
from seqcli.models.seq2seq import Seq2Seq
from seqcli.nn.coverage import CoverageAttention
from seqcli.recipe.model import Model
from seqcli.types import Memory

HIDDEN, EMBEDDED = 16, 12
LENGTHS = [7, 5, 2]
Cell = Callable[[Tensor, dict[str, Tensor]], dict[str, Tensor]]
Formula = Callable[[Any, Cell, Tensor, dict[str, Tensor], Tensor, Tensor], list[Tensor]]


def plain(
    decoder: PlainDecoder, cell: Cell, symbols: Tensor, state: dict[str, Tensor], states: Tensor, summary: Tensor
) -> list[Tensor]:
    """h_t = cell(e_t, h_{t-1}); the features are h_t."""
    features = []
    for symbol in symbols:
        state = cell(symbol, state)
        features.append(state["hidden"])
    return features


def cho(
    decoder: PlainDecoder, cell: Cell, symbols: Tensor, state: dict[str, Tensor], states: Tensor, summary: Tensor
) -> list[Tensor]:
    """h_t = cell([e_t; s], h_{t-1}); f_t = tanh(W[h_t; s; e_t])."""
    features = []
    assert decoder.readout is not None
    for symbol in symbols:
        state = cell(torch.cat((symbol, summary)), state)
        features.append(torch.tanh(decoder.readout.mix.weight @ torch.cat((state["hidden"], summary, symbol))))
    return features


def luong(
    decoder: AttentiveDecoder, cell: Cell, symbols: Tensor, state: dict[str, Tensor], states: Tensor, summary: Tensor
) -> list[Tensor]:
    """h_t = cell(e_t, h_{t-1}); c_t = attend(h_t); f_t = tanh(W[h_t; c_t])."""
    features, attend = [], attention_of(decoder)
    for symbol in symbols:
        state = cell(symbol, state)
        context = attend(state["hidden"], states)
        features.append(torch.tanh(decoder.readout.mix.weight @ torch.cat((state["hidden"], context))))
    return features


def input_feeding(
    decoder: AttentiveDecoder, cell: Cell, symbols: Tensor, state: dict[str, Tensor], states: Tensor, summary: Tensor
) -> list[Tensor]:
    """h_t = cell([e_t; f_{t-1}], h_{t-1}), f_0 = 0; the rest as Luong."""
    features, attend = [torch.zeros(HIDDEN)], attention_of(decoder)
    for symbol in symbols:
        state = cell(torch.cat((symbol, features[-1])), state)
        context = attend(state["hidden"], states)
        features.append(torch.tanh(decoder.readout.mix.weight @ torch.cat((state["hidden"], context))))
    return features[1:]


def bahdanau(
    decoder: AttentiveDecoder, cell: Cell, symbols: Tensor, state: dict[str, Tensor], states: Tensor, summary: Tensor
) -> list[Tensor]:
    """c_t = attend(h_{t-1}); h_t = cell([e_t; c_t], h_{t-1}); f_t = tanh(W[h_t; c_t; e_t])."""
    features, attend = [], attention_of(decoder)
    for symbol in symbols:
        context = attend(state["hidden"], states)
        state = cell(torch.cat((symbol, context)), state)
        features.append(torch.tanh(decoder.readout.mix.weight @ torch.cat((state["hidden"], context, symbol))))
    return features


def attention_of(decoder: AttentiveDecoder) -> Callable[[Tensor, Tensor], Tensor]:
    """What a query finds in one sentence's states (S,D), asked step after step."""
    return Covering(decoder.attention) if isinstance(decoder.attention, CoverageAttention) else with_dot


def with_dot(query: Tensor, states: Tensor) -> Tensor:
    """With the plain dot score."""
    return torch.softmax(states @ query, dim=0) @ states


class Covering:
    """e_s = v·tanh(W q + U k_s + b + w_c c_s), c_s the sum of all weights before (See et al. 2017, eq. 11 and 10), place by place."""

    def __init__(self, attention: CoverageAttention) -> None:
        self.attention = attention
        self.covered: list[float] = []

    def __call__(self, query: Tensor, states: Tensor) -> Tensor:
        score, scores = self.attention.score, []
        self.covered = self.covered or [0.0] * len(states)
        for state, before in zip(states, self.covered, strict=True):
            of_query, of_key = score.query.weight @ query, score.key.weight @ state + score.key.bias
            mixed = torch.tanh(of_query + of_key + self.attention.covered.weight[:, 0] * before)
            scores.append(float(score.vector.weight[0] @ mixed))
        weights = torch.tensor(scores).softmax(dim=0)
        self.covered = [before + float(weight) for before, weight in zip(self.covered, weights, strict=True)]
        return sum((weight * state for weight, state in zip(weights, states, strict=True)), torch.zeros_like(states[0]))


COVERAGE = {"kind": "additive", "hidden_size": 9, "coverage": True}
ORDERS: dict[str, tuple[dict[str, Any], Formula]] = {
    "plain": ({"attention": {"kind": "none"}}, plain),
    "cho": ({"attention": {"kind": "none", "feed_summary": True}}, cho),
    "luong": ({"attention": {"kind": "dot"}}, luong),
    "input_feeding": ({"attention": {"kind": "dot"}, "input_feeding": True}, input_feeding),
    "bahdanau": ({"attention": {"kind": "dot"}, "order": "bahdanau"}, bahdanau),
    "luong with coverage": ({"attention": COVERAGE}, luong),
    "input_feeding with coverage": ({"attention": COVERAGE, "input_feeding": True}, input_feeding),
    "bahdanau with coverage": ({"attention": COVERAGE, "order": "bahdanau"}, bahdanau),
}


def build(encoder: str, decoder: str, layers: int = 1, **keys: Any) -> Seq2Seq:
    side = {"hidden_size": HIDDEN, "embedding_size": EMBEDDED, "layers": layers}
    torch.manual_seed(0)
    model = build_model(
        Model.model_validate({"encoder": {"kind": encoder, **side}, "decoder": {"kind": decoder, **side, **keys}}),
        VOCABULARY,
        VOCABULARY,
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.0, 0.3)
    return model.eval()


def torch_cell(kind: str, decoder: RecurrentDecoder) -> Cell:
    """torch's cell for one step of one sentence, with the decoder's weights."""
    weights = {name.removesuffix("_l0"): tensor for name, tensor in decoder.recurrence.stack.state_dict().items()}
    width = weights["weight_ih"].shape[1]
    cell = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}[kind](width, HIDDEN)
    cell.load_state_dict(weights)

    def step(inputs: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        if kind == "lstm":
            hidden, carried = cell(inputs, (state["hidden"], state["cell"]))
            return {"hidden": hidden, "cell": carried}
        return {"hidden": cell(inputs, state["hidden"])}

    return step


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@torch.no_grad()
def test_every_order_is_its_formula(kind: str, order: str) -> None:
    keys, formula = ORDERS[order]
    model, given = build("gru", kind, **keys), batch(LENGTHS, [6, 3, 6])
    features = model(given)
    cell = torch_cell(kind, model.decoder)
    for row, length in enumerate(LENGTHS):
        memory = model.encoder(alone(given, row, length))
        first = {name: part[0, 0] for name, part in model.decoder.bridge(memory).items()}
        symbols = model.decoder.embedding(given.inputs[row])
        expected = formula(model.decoder, cell, symbols, first, memory.states[0], memory.summary[0, -1])
        torch.testing.assert_close(features[row], torch.stack(expected), atol=1e-5, rtol=1e-4)


def memory_of(cell: bool) -> Memory:
    """Two sentences, two layers."""
    draw = torch.Generator().manual_seed(0)
    summary, carried = (torch.randn(2, 2, HIDDEN, generator=draw) for _ in range(2))
    return Memory(torch.zeros(2, 3, HIDDEN), torch.ones(2, 3, dtype=torch.bool), summary, carried if cell else None)


@pytest.mark.parametrize("cell", [False, True])
@torch.no_grad()
def test_a_dense_bridge_is_a_layer_over_the_top_of_the_summary(cell: bool) -> None:
    bridge, memory = build("gru", "lstm", layers=2, bridge="dense").decoder.bridge, memory_of(cell)
    state = bridge(memory)
    top = memory.summary[:, 1]
    carried = top if memory.cell is None else memory.cell[:, 1]
    for layer in range(2):
        rows = slice(layer * HIDDEN, (layer + 1) * HIDDEN)
        hidden = torch.tanh(top @ bridge.hidden.weight[rows].T + bridge.hidden.bias[rows])
        torch.testing.assert_close(state["hidden"][:, layer], hidden)
        expected = carried @ bridge.cell.weight[rows].T + bridge.cell.bias[rows]
        torch.testing.assert_close(state["cell"][:, layer], expected)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_copy_bridge_hands_over_every_layer(kind: str) -> None:
    bridge, memory = build(kind, kind, layers=2, bridge="copy").decoder.bridge, memory_of(kind == "lstm")
    state = bridge(memory)
    assert state["hidden"] is memory.summary
    assert state.get("cell") is memory.cell


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_zeros(kind: str) -> None:
    state = build("gru", kind, layers=2, bridge="zeros").decoder.bridge(memory_of(cell=False))
    assert state.keys() == ({"hidden", "cell"} if kind == "lstm" else {"hidden"})
    assert all(part.shape == (2, 2, HIDDEN) and not part.any() for part in state.values())


@torch.no_grad()
def test_bahdanau_asks_with_the_top_layer() -> None:
    """With two layers, what is below the top changes no first context."""
    model, given = build("gru", "gru", layers=2, order="bahdanau", attention={"kind": "dot"}), batch([5], [2])
    start = model.start(given)
    asked: list[Tensor] = []
    model.decoder.attention.register_forward_pre_hook(lambda _module, inputs: asked.append(inputs[0]))
    model.decoder(given.inputs[:, :1], start)
    assert torch.equal(asked[0][:, 0], start.cache["hidden"][:, 1])
