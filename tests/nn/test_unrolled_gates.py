"""The unrolled recurrence ≡ torch's kernels with the same weights, forwards and backwards; and its gates by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqcli.nn.unrolled_gates import GATES, unroll

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = [4, 7, 1, 5]


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
    stack, lengths = stack_of(kind, bidirectional), torch.tensor(LENGTHS)
    inputs = torch.randn(len(LENGTHS), max(LENGTHS), 5, dtype=torch.float64)
    mask = torch.arange(max(LENGTHS)) < lengths[:, None]
    packed, final = stack(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))
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
