"""Recurrence ≡ torch's RNN, LSTM and GRU run sentence by sentence, without padding, with the same weights."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from seqcli.nn.recurrence import CellKind, Recurrence, zero_state

LENGTHS = [4, 7, 1, 5]
WIDTH, HIDDEN, LAYERS = 5, 6, 2


def build(kind: CellKind, bidirectional: bool) -> tuple[Recurrence, nn.Module]:
    torch.manual_seed(0)
    ours = Recurrence(kind, WIDTH, HIDDEN, LAYERS, bidirectional=bidirectional)
    cell = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind]
    theirs = cell(WIDTH, HIDDEN, LAYERS, batch_first=True, bidirectional=bidirectional)
    theirs.load_state_dict(ours.stack.state_dict())
    return ours, theirs


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", get_args(CellKind))
@torch.no_grad()
def test_reading_a_padded_batch(kind: CellKind, bidirectional: bool) -> None:
    ours, theirs = build(kind, bidirectional)
    inputs = torch.randn(len(LENGTHS), max(LENGTHS), WIDTH)  # the padding is not even zero
    outputs, final = ours.read(inputs, torch.tensor(LENGTHS))
    directions = 1 + bidirectional
    assert outputs.shape == (len(LENGTHS), max(LENGTHS), directions * HIDDEN)
    for row, length in enumerate(LENGTHS):
        expected, state = theirs(inputs[row : row + 1, :length])
        torch.testing.assert_close(outputs[row : row + 1, :length], expected)
        assert not outputs[row, length:].any()
        states = {"hidden": state[0], "cell": state[1]} if kind == "lstm" else {"hidden": state}
        assert final.keys() == states.keys()
        for name, by_direction in states.items():
            for layer in range(LAYERS):
                sides = by_direction[layer * directions : (layer + 1) * directions, 0]
                torch.testing.assert_close(final[name][row, layer], sides.flatten())


@pytest.mark.parametrize("kind", get_args(CellKind))
@torch.no_grad()
def test_going_on_from_a_state(kind: CellKind) -> None:
    ours, theirs = build(kind, bidirectional=False)
    inputs = torch.randn(3, 6, WIDTH)
    outputs, middle = ours(inputs[:, :4], zero_state(kind, 3, LAYERS, HIDDEN, inputs))
    more, end = ours(inputs[:, 4:], middle)
    expected, state = theirs(inputs)
    torch.testing.assert_close(torch.cat((outputs, more), dim=1), expected)
    hidden = state[0] if kind == "lstm" else state
    torch.testing.assert_close(end["hidden"], hidden.transpose(0, 1))
    if kind == "lstm":
        torch.testing.assert_close(end["cell"], state[1].transpose(0, 1))


def test_one_layer_drops_nothing_between_layers() -> None:
    recurrence = Recurrence("gru", WIDTH, HIDDEN, 1, dropout=0.5).train()
    inputs = torch.randn(2, 3, WIDTH)
    state = zero_state("gru", 2, 1, HIDDEN, inputs)
    assert torch.equal(recurrence(inputs, state)[0], recurrence(inputs, state)[0])
