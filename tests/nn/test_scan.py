"""The walk over a sequence: its gradients by finite differences, and equal to torch's own kernels, packed and not."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqcli.nn.recurrence import Recurrence
from seqcli.nn.scan import CellKind, scan

WIDTH, HIDDEN, LAYERS = 3, 4, 2
LENGTHS = [5, 3, 3, 1]


def gate_count(kind: CellKind) -> int:
    return {"rnn": 1, "gru": 3, "lstm": 4}[kind]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("lengths", [[3, 3], [4, 2, 2, 1]])
@pytest.mark.parametrize("kind", get_args(CellKind))
def test_gradients_equal_finite_differences(kind: CellKind, lengths: list[int], backwards: bool) -> None:
    rows, gates, batch = max(lengths), gate_count(kind) * HIDDEN, len(lengths)
    shapes = [(rows, batch, WIDTH), (gates, WIDTH), (gates, HIDDEN), (gates,), (gates,)]
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def run(inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        return scan(kind, inputs, rest, lengths, backwards=backwards)

    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", get_args(CellKind))
def test_gradients_equal_those_of_torch_over_a_packed_batch(kind: CellKind, bidirectional: bool) -> None:
    recurrence = Recurrence(kind, WIDTH, HIDDEN, LAYERS, bidirectional=bidirectional).double()
    shuffled = torch.tensor([LENGTHS[row] for row in (2, 0, 3, 1)])
    inputs = torch.randn(len(LENGTHS), max(LENGTHS), WIDTH, dtype=torch.float64, requires_grad=True)
    outputs, final = recurrence.read(inputs, shuffled)
    wanted = torch.randn_like(outputs)
    weights = {name: torch.randn_like(part) for name, part in final.items()}
    total = (outputs * wanted).sum() + sum((final[name] * weights[name]).sum() for name in final)
    ours = torch.autograd.grad(total, [inputs, *recurrence.parameters()])

    packed, states = recurrence.stack(pack_padded_sequence(inputs, shuffled, batch_first=True, enforce_sorted=False))
    theirs_outputs, _ = pad_packed_sequence(packed, batch_first=True)
    theirs_final = recurrence._named(states)
    total = (theirs_outputs * wanted).sum() + sum((theirs_final[name] * weights[name]).sum() for name in final)
    theirs = torch.autograd.grad(total, [inputs, *recurrence.parameters()])
    assert len(ours) == 1 + 4 * LAYERS * (1 + bidirectional)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
