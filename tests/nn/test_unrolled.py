"""Recurrences that walk step by step ≡ the kernels that take a sequence at once: outputs, states and gradients."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from seqcli.nn.recurrence import CellKind, Recurrence, zero_state
from seqcli.nn.unrolled import recurrent_step, trace_states

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
    with trace_states(recurrence) as walks:
        walked, end = recurrence.read(inputs, LENGTHS)
    torch.testing.assert_close(walked, outputs)
    assert end.keys() == final.keys()
    for name in final:
        torch.testing.assert_close(end[name], final[name])
    fast, slow = gradients(recurrence, outputs, final), gradients(recurrence, walked, end)
    assert len(fast) == 4 * LAYERS * (1 + bidirectional)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(other, one)
    assert [(walk.layer, walk.backward) for walk in walks[""]] == [
        (layer, backward) for layer in range(LAYERS) for backward in ((False, True) if bidirectional else (False,))
    ]
    # the states of the top layer are what comes out
    top = torch.cat([torch.stack(walk.hidden, 1) for walk in walks[""] if walk.layer == LAYERS - 1], dim=-1)
    torch.testing.assert_close(top[1], outputs[1])


@pytest.mark.parametrize("kind", get_args(CellKind))
def test_going_on_from_a_state(kind: CellKind) -> None:
    recurrence = build(kind)
    inputs = torch.randn(3, 6, WIDTH, dtype=torch.float64)
    expected, final = recurrence(inputs, zero_state(kind, 3, LAYERS, HIDDEN, inputs))
    with trace_states(recurrence) as walks:
        state, outputs = zero_state(kind, 3, LAYERS, HIDDEN, inputs), []
        for part in inputs.split(2, dim=1):
            out, state = recurrence(part, state)
            outputs.append(out)
    torch.testing.assert_close(torch.cat(outputs, dim=1), expected)
    torch.testing.assert_close(state["hidden"], final["hidden"])
    assert [len(walk.hidden) for walk in walks[""]] == [6, 6]
    assert [len(walk.cell) for walk in walks[""]] == ([6, 6] if kind == "lstm" else [0, 0])


def test_outside_the_block_nothing_is_kept() -> None:
    recurrence = build("gru")
    inputs = torch.randn(1, 3, WIDTH, dtype=torch.float64)
    with trace_states(recurrence) as walks:
        pass
    recurrence(inputs, zero_state("gru", 1, LAYERS, HIDDEN, inputs))
    assert walks == {}


def test_steps_by_hand() -> None:
    """One unit, all weights 0 but what is said, so that gates are σ of their input."""
    zero, none = torch.zeros(4, 1), torch.zeros(4)
    half = torch.tensor([[0.5]])
    # rnn: tanh(0.25 + 2·0.5 + 0.1) = tanh(1.35)
    (rnn,) = recurrent_step("rnn", torch.tensor([[0.25]]), (half,), torch.tensor([[2.0]]), torch.tensor([0.1]))
    assert rnn.item() == pytest.approx(0.874053, abs=1e-6)
    # lstm: all gates σ(0) = 0.5, new tanh(1) = 0.761594, cell 0.5·2 + 0.5·0.761594 = 1.380797, hidden 0.5·tanh(1.380797)
    given = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    hidden, cell = recurrent_step("lstm", given, (half, torch.tensor([[2.0]])), zero, none)
    assert cell.item() == pytest.approx(1.380797, abs=1e-6)
    assert hidden.item() == pytest.approx(0.5 * 0.881130, abs=2e-6)
    # gru: gates 0.5, candidate tanh(1) = 0.761594, hidden 0.5·0.761594 + 0.5·0.5
    (gru,) = recurrent_step("gru", torch.tensor([[0.0, 0.0, 1.0]]), (half,), torch.zeros(3, 1), torch.zeros(3))
    assert gru.item() == pytest.approx(0.630797, abs=1e-6)
