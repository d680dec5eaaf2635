"""Recurrences that walk step by step ≡ the kernels that take a sequence at once: outputs, states and gradients; and gates by hand."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqcli.nn.recurrence import CellKind, Recurrence, zero_state
from seqcli.nn.unrolled import GATES, recurrent_step, trace_recurrences, unroll

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = torch.tensor([4, 7, 1, 5])
WIDTH, HIDDEN, LAYERS = 5, 6, 2


def build(kind: CellKind, *, bidirectional: bool = False) -> Recurrence:
    torch.manual_seed(0)
    return Recurrence(kind, WIDTH, HIDDEN, LAYERS, bidirectional=bidirectional).double()


def gradients(recurrence: Recurrence, outputs: Tensor, final: dict[str, Tensor]) -> list[Tensor]:
    torch.manual_seed(1)
    weighted = sum((part * torch.randn(part.shape, dtype=part.dtype)).sum() for part in (outputs, *final.values()))
    assert isinstance(weighted, Tensor)
    return list(torch.autograd.grad(weighted, list(recurrence.parameters())))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", get_args(CellKind))
def test_a_padded_batch(kind: CellKind, bidirectional: bool) -> None:
    recurrence = build(kind, bidirectional=bidirectional)
    inputs = torch.randn(len(LENGTHS), int(LENGTHS.max()), WIDTH, dtype=torch.float64)
    outputs, final = recurrence.read(inputs, LENGTHS)
    with trace_recurrences(recurrence) as traces:
        walked, end = recurrence.read(inputs, LENGTHS)
    torch.testing.assert_close(walked, outputs)
    assert end.keys() == final.keys()
    for name in final:
        torch.testing.assert_close(end[name], final[name])
    fast, slow = gradients(recurrence, outputs, final), gradients(recurrence, walked, end)
    assert len(fast) == 4 * LAYERS * (1 + bidirectional)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(other, one)
    assert [(layer.number, layer.backward) for layer in traces["stack"]] == [
        (layer, backward) for layer in range(LAYERS) for backward in ((False, True) if bidirectional else (False,))
    ]
    # the states of the top layer are what comes out
    top = [layer.parts["hidden"].values for layer in traces["stack"] if layer.number == LAYERS - 1]
    torch.testing.assert_close(torch.cat(top, dim=-1)[1], outputs[1])
    # and behind a row's end, the state of a forward walk stays
    torch.testing.assert_close(top[0][2, 1:], top[0][2, :1].expand(6, HIDDEN))


@pytest.mark.parametrize("kind", get_args(CellKind))
def test_going_on_from_a_state(kind: CellKind) -> None:
    recurrence = build(kind)
    inputs = torch.randn(3, 6, WIDTH, dtype=torch.float64)
    expected, final = recurrence(inputs, zero_state(kind, 3, LAYERS, HIDDEN, inputs))
    with trace_recurrences(recurrence) as traces:
        state, outputs = zero_state(kind, 3, LAYERS, HIDDEN, inputs), []
        for part in inputs.split(2, dim=1):
            out, state = recurrence(part, state)
            outputs.append(out)
    torch.testing.assert_close(torch.cat(outputs, dim=1), expected)
    torch.testing.assert_close(state["hidden"], final["hidden"])
    for layer in traces["stack"]:
        parts = {name: (len(part.pre), len(part.post)) for name, part in layer.parts.items()}
        assert parts.pop("hidden") == (6 if kind == "rnn" else 0, 6)
        assert parts == dict.fromkeys(parts, (6, 6))
        assert ("cell" in parts) == (kind == "lstm")


def test_outside_the_block_nothing_is_kept() -> None:
    recurrence = build("gru")
    inputs = torch.randn(1, 3, WIDTH, dtype=torch.float64)
    with trace_recurrences(recurrence) as traces:
        pass
    recurrence(inputs, zero_state("gru", 1, LAYERS, HIDDEN, inputs))
    assert traces == {}


def test_steps_by_hand() -> None:
    """One unit, all weights 0 but what is said, so that gates are σ of their input."""
    zero, none = torch.zeros(4, 1), torch.zeros(4)
    half = torch.tensor([[0.5]])
    # rnn: tanh(0.25 + 2·0.5 + 0.1) = tanh(1.35)
    _, (rnn,) = recurrent_step("rnn", torch.tensor([[0.25]]), (half,), torch.tensor([[2.0]]), torch.tensor([0.1]))
    assert rnn.item() == pytest.approx(0.874053, abs=1e-6)
    # lstm: all gates σ(0) = 0.5, new tanh(1) = 0.761594, cell 0.5·2 + 0.5·0.761594 = 1.380797, hidden 0.5·tanh(1.380797)
    given = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    _, (hidden, cell) = recurrent_step("lstm", given, (half, torch.tensor([[2.0]])), zero, none)
    assert cell.item() == pytest.approx(1.380797, abs=1e-6)
    assert hidden.item() == pytest.approx(0.5 * 0.881130, abs=2e-6)
    # gru: gates 0.5, candidate tanh(1) = 0.761594, hidden 0.5·0.761594 + 0.5·0.5
    _, (gru,) = recurrent_step("gru", torch.tensor([[0.0, 0.0, 1.0]]), (half,), torch.zeros(3, 1), torch.zeros(3))
    assert gru.item() == pytest.approx(0.630797, abs=1e-6)


def stack_of(kind: str, bidirectional: bool = False, layers: int = 2) -> nn.RNNBase:
    torch.manual_seed(0)
    stack: nn.RNNBase = KINDS[kind](5, 6, layers, batch_first=True, bidirectional=bidirectional).double()
    return stack


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_states_and_gradients_are_the_kernels(kind: str, bidirectional: bool) -> None:
    stack = stack_of(kind, bidirectional)
    inputs = torch.randn(3, 6, 5, dtype=torch.float64, requires_grad=True)
    states = tuple(torch.randn(2 * (1 + bidirectional), 3, 6).double() for _ in range(1 + (kind == "lstm")))
    expected, final = stack(inputs, states if kind == "lstm" else states[0])
    found = unroll(stack, inputs, states)
    torch.testing.assert_close(found.outputs, expected)
    torch.testing.assert_close(found.hidden, final[0] if kind == "lstm" else final)
    if kind == "lstm":
        torch.testing.assert_close(found.cell, final[1])
    wanted = (inputs, *stack.parameters())
    theirs = torch.autograd.grad(expected.square().sum(), wanted)
    for ours, reference in zip(torch.autograd.grad(found.outputs.square().sum(), wanted), theirs, strict=True):
        torch.testing.assert_close(ours, reference)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_padded_batch_is_read_as_packed(kind: str, bidirectional: bool) -> None:
    stack = stack_of(kind, bidirectional)
    inputs = torch.randn(len(LENGTHS), int(LENGTHS.max()), 5, dtype=torch.float64)
    mask = torch.arange(int(LENGTHS.max())) < LENGTHS[:, None]
    packed, final = stack(pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False))
    found = unroll(stack, inputs, mask=mask)
    torch.testing.assert_close(found.outputs, pad_packed_sequence(packed, batch_first=True)[0])
    torch.testing.assert_close(found.hidden, final[0] if kind == "lstm" else final)


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_and_direction_has_its_gates(kind: str) -> None:
    found = unroll(stack_of(kind, True), torch.randn(2, 3, 5, dtype=torch.float64))
    assert [(layer.number, layer.backward) for layer in found.layers] == [(0, False), (0, True), (1, False), (1, True)]
    for layer in found.layers:
        assert {*GATES[kind], "hidden"} <= set(layer.parts)
        for gate in GATES[kind]:
            assert layer.parts[gate].values.shape == (2, 3, 6)
            assert 0 < layer.parts[gate].values.min() <= layer.parts[gate].values.max() < 1


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@torch.no_grad()
def test_an_lstm_of_one_unit_by_hand() -> None:
    lstm = nn.LSTM(1, 1, batch_first=True).double()
    # rows are input, forget, candidate, output
    lstm.weight_ih_l0[:, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    lstm.weight_hh_l0[:, 0] = torch.tensor([0.5, 0.5, 0.5, 0.5])
    lstm.bias_ih_l0[:] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    lstm.bias_hh_l0[:] = 0.0
    hidden, cell, x = 0.2, -0.4, 0.5
    found = unroll(lstm, torch.tensor([[[x]]]).double(), tuple(torch.tensor([[[v]]]).double() for v in (hidden, cell)))
    parts = {name: part.values.item() for name, part in found.layers[0].parts.items()}
    # W x + U h + b: 0.5·1 + 0.1 + 0.1 = 0.7, 1 + 0.1 + 0.2 = 1.3, 1.5 + 0.1 + 0.3 = 1.9, 2 + 0.1 + 0.4 = 2.5
    assert parts["input"] == pytest.approx(sigmoid(0.7))
    assert parts["forget"] == pytest.approx(sigmoid(1.3))
    assert parts["candidate"] == pytest.approx(math.tanh(1.9))
    assert parts["output"] == pytest.approx(sigmoid(2.5))
    new = sigmoid(1.3) * cell + sigmoid(0.7) * math.tanh(1.9)
    assert parts["cell"] == pytest.approx(math.tanh(new))
    assert parts["hidden"] == pytest.approx(sigmoid(2.5) * math.tanh(new))


@torch.no_grad()
def test_a_gru_of_one_unit_by_hand() -> None:
    gru = nn.GRU(1, 1, batch_first=True).double()
    # rows are reset, update, candidate
    gru.weight_ih_l0[:, 0] = torch.tensor([1.0, 2.0, 3.0])
    gru.weight_hh_l0[:, 0] = torch.tensor([0.5, -0.5, 2.0])
    gru.bias_ih_l0[:] = 0.0
    gru.bias_hh_l0[:] = torch.tensor([0.0, 0.0, 0.1])
    found = unroll(gru, torch.tensor([[[0.5]]]).double(), (torch.tensor([[[0.2]]]).double(),))
    parts = {name: part.values.item() for name, part in found.layers[0].parts.items()}
    reset, update = sigmoid(0.5 + 0.1), sigmoid(1.0 - 0.1)
    candidate = math.tanh(1.5 + reset * (0.4 + 0.1))
    assert parts["reset"] == pytest.approx(reset)
    assert parts["update"] == pytest.approx(update)
    assert parts["candidate"] == pytest.approx(candidate)
    assert parts["hidden"] == pytest.approx((1 - update) * candidate + update * 0.2)


def test_dropout_between_layers_is_refused() -> None:
    stack = nn.GRU(5, 6, 2, batch_first=True, dropout=0.5)
    with pytest.raises(ValueError, match="evaluation mode"):
        unroll(stack, torch.randn(1, 2, 5))
    assert unroll(stack.eval(), torch.randn(1, 2, 5)).outputs.shape == (1, 2, 6)
