"""One recurrent layer over a padded batch, in one direction, as a single autograd function for the CPU.

Over a packed batch torch's CPU kernels zero a tensor of all steps at each step, and make the gradient of every weight anew. Here
all that does not depend on the step before is one matrix product over all steps: the input projection ahead of the walk, the
gradients of weights and inputs behind it. The walk itself is left with one product a step, and rows whose sequence has ended
take no part in it. That makes a training step of an encoder a sixth shorter; over a batch without padding torch is as fast.

Tensors are time-major, so that a step is contiguous: T steps, B rows, H width, G = gates · H. Weights are laid out as in
`torch.nn.RNN`, `LSTM` and `GRU`: `weight_ih (G,E)`, `weight_hh (G,H)`, `bias_ih (G)`, `bias_hh (G)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CellKind = Literal["rnn", "lstm", "gru"]

STATES = {"rnn": ("hidden",), "gru": ("hidden",), "lstm": ("hidden", "cell")}
"""What each kind of cell carries from step to step."""

# in place: the gradient through tanh or sigmoid, given what it returned
_through_tanh = torch.ops.aten.tanh_backward.grad_input
_through_sigmoid = torch.ops.aten.sigmoid_backward.grad_input


def scan(
    kind: CellKind, inputs: Tensor, weights: Sequence[Tensor], lengths: Sequence[int], *, backwards: bool = False
) -> tuple[Tensor, ...]:
    """Inputs (T,B,E) → outputs (T,B,H) and the states at the walk's end: hidden (B,H), for an LSTM also cell (B,H).

    `weights` are weight_ih, weight_hh, bias_ih, bias_hh. Row b takes part in its first `lengths[b]` steps, starting from zeros;
    its outputs after them are 0. Lengths must not grow along the rows. `backwards` walks from a row's last step to its first.
    Differentiable once.
    """
    results: tuple[Tensor, ...] = _Scan.apply(kind, lengths, backwards, inputs, *weights)  # type: ignore[no-untyped-call]
    return results


class _Scan(torch.autograd.Function):
    """Remembers the activated gates (T,B,G), the states before, between and after the steps (T+1,B,H), and `extra (T,B,H)`:
    the tanh of an LSTM's cell, or what the state adds to a GRU's candidate."""

    @staticmethod
    def forward(ctx, kind, lengths, backwards, inputs, weight_ih, weight_hh, bias_ih, bias_hh):  # type: ignore[no-untyped-def]
        steps, batch, _ = inputs.shape
        width = weight_hh.shape[1]
        # a GRU's reset gate acts on the state's bias too, so the two cannot be added beforehand
        gates = F.linear(inputs, weight_ih, bias_ih if kind == "gru" else bias_ih + bias_hh)
        states = [inputs.new_zeros(steps + 1, batch, width) for _ in STATES[kind]]
        hidden, cell = states[0], states[-1]
        extra = inputs.new_empty(0 if kind == "rnn" else steps, batch, width)
        walk = _walk(lengths, steps, backwards)
        for step, rows, before, after in walk:
            now, was, becomes = gates[step, :rows], hidden[before, :rows], hidden[after, :rows]
            if kind == "gru":
                _gru(now, torch.addmm(bias_hh, was, weight_hh.T), was, becomes, extra[step, :rows])
                continue
            now.addmm_(was, weight_hh.T)
            if kind == "lstm":
                _lstm(now, cell[before, :rows], cell[after, :rows], becomes, extra[step, :rows])
            else:
                torch.tanh(now, out=becomes)
        ctx.kind, ctx.backwards, ctx.walk, ctx.full = kind, backwards, walk, lengths[-1] == steps
        ctx.save_for_backward(inputs, weight_ih, weight_hh, gates, hidden, cell, extra)
        ends = 0 if backwards else torch.tensor(lengths, device=inputs.device)
        places = torch.arange(batch, device=inputs.device)
        outputs = hidden[:-1] if backwards else hidden[1:]
        return (outputs, *(series[ends, places] for series in states))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_outputs, *grad_states):  # type: ignore[no-untyped-def]
        inputs, weight_ih, weight_hh, gates, hidden, cell, extra = ctx.saved_tensors
        # what arrives at each gate from the input's side; at a GRU's candidate another gradient leaves to the state's side
        grad_gates = torch.empty_like(gates) if ctx.full else torch.zeros_like(gates)
        grad_recurrent = torch.empty_like(grad_gates).copy_(grad_gates) if ctx.kind == "gru" else grad_gates
        # a row's gradient waits here until the walk, going back, meets its end
        carried = [grad.clone(memory_format=torch.contiguous_format) for grad in grad_states]
        for step, rows, before, after in reversed(ctx.walk):
            now, grad, grad_hidden = gates[step, :rows], grad_gates[step, :rows], carried[0][:rows]
            grad_hidden += grad_outputs[step, :rows]
            if ctx.kind == "gru":
                recurrent = grad_recurrent[step, :rows]
                _gru_back(now, hidden[before, :rows], extra[step, :rows], grad, recurrent, grad_hidden)
                grad_hidden.addmm_(recurrent, weight_hh)
                continue
            if ctx.kind == "lstm":
                _lstm_back(now, cell[before, :rows], extra[step, :rows], grad, grad_hidden, carried[1][:rows])
            else:
                _through_tanh(grad_hidden, hidden[after, :rows], grad_input=grad)
            torch.mm(grad, weight_hh, out=grad_hidden)
        before_steps = hidden[1:] if ctx.backwards else hidden[:-1]
        flat_gates, flat_recurrent = grad_gates.flatten(0, 1), grad_recurrent.flatten(0, 1)
        return (
            *(None, None, None),
            grad_gates @ weight_ih,
            flat_gates.T @ inputs.flatten(0, 1),
            flat_recurrent.T @ before_steps.flatten(0, 1),
            flat_gates.sum(dim=0),
            flat_recurrent.sum(dim=0),
        )


def _walk(lengths: Sequence[int], steps: int, backwards: bool) -> list[tuple[int, int, int, int]]:
    """For each step in walking order: its number, how many rows take part, and where the states before and after it stand."""
    rows, active = len(lengths), []
    for step in range(steps):
        while rows and lengths[rows - 1] <= step:
            rows -= 1
        active.append(rows)
    if backwards:
        return [(step, active[step], step + 1, step) for step in reversed(range(steps))]
    return [(step, active[step], step, step + 1) for step in range(steps)]


def _lstm(gates: Tensor, cell: Tensor, new_cell: Tensor, new_hidden: Tensor, tanh_cell: Tensor) -> None:
    """Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000: c' = f·c + i·g, h' = o·tanh(c').

    `gates (n,4H)` holds the sums for input, forget, candidate and output, and is activated in place; the others (n,H).
    """
    width = cell.shape[1]
    gates[:, : 2 * width].sigmoid_()
    admit, forget, candidate, expose = gates.chunk(4, dim=1)
    candidate.tanh_()
    expose.sigmoid_()
    torch.mul(forget, cell, out=new_cell).addcmul_(admit, candidate)
    torch.tanh(new_cell, out=tanh_cell)
    torch.mul(expose, tanh_cell, out=new_hidden)


def _lstm_back(
    gates: Tensor, cell: Tensor, tanh_cell: Tensor, grad: Tensor, grad_hidden: Tensor, grad_cell: Tensor
) -> None:
    """Fill `grad (n,4H)`; `grad_cell (n,H)` turns from the gradient of the new cell into that of the old one."""
    width = cell.shape[1]
    admit, forget, candidate, expose = gates.chunk(4, dim=1)
    at_admit, at_forget, at_candidate, at_expose = grad.chunk(4, dim=1)
    grad_cell += _through_tanh(grad_hidden * expose, tanh_cell, grad_input=torch.empty_like(cell))
    torch.mul(grad_cell, candidate, out=at_admit)
    torch.mul(grad_cell, cell, out=at_forget)
    _through_sigmoid(grad[:, : 2 * width], gates[:, : 2 * width], grad_input=grad[:, : 2 * width])
    _through_tanh(grad_cell * admit, candidate, grad_input=at_candidate)
    _through_sigmoid(grad_hidden * tanh_cell, expose, grad_input=at_expose)
    grad_cell *= forget


def _gru(gates: Tensor, recurrent: Tensor, hidden: Tensor, new_hidden: Tensor, from_state: Tensor) -> None:
    """Cho et al. 2014, with the reset gate after the product, as in cuDNN: h' = z·h + (1-z)·tanh(W x + r·(U h)).

    `gates (n,3H)` holds the input's sums for reset, update and candidate, and is activated in place; `recurrent (n,3H)` the
    state's; `from_state (n,H)` keeps the state's share of the candidate.
    """
    width = hidden.shape[1]
    both = gates[:, : 2 * width]
    both.add_(recurrent[:, : 2 * width]).sigmoid_()
    reset, update, candidate = gates.chunk(3, dim=1)
    from_state.copy_(recurrent[:, 2 * width :])
    candidate.addcmul_(reset, from_state).tanh_()
    torch.lerp(candidate, hidden, update, out=new_hidden)


def _gru_back(
    gates: Tensor, hidden: Tensor, from_state: Tensor, grad: Tensor, grad_recurrent: Tensor, grad_hidden: Tensor
) -> None:
    """Fill `grad` and `grad_recurrent (n,3H)`; `grad_hidden (n,H)` becomes what reaches the old state past the gates."""
    width = hidden.shape[1]
    reset, update, candidate = gates.chunk(3, dim=1)
    at_reset, at_update, at_candidate = grad.chunk(3, dim=1)
    torch.mul(grad_hidden, hidden - candidate, out=at_update)
    grad_hidden_kept = grad_hidden * update
    _through_tanh(grad_hidden - grad_hidden_kept, candidate, grad_input=at_candidate)
    torch.mul(at_candidate, from_state, out=at_reset)
    both = grad[:, : 2 * width]
    _through_sigmoid(both, gates[:, : 2 * width], grad_input=both)
    grad_recurrent[:, : 2 * width] = both
    torch.mul(at_candidate, reset, out=grad_recurrent[:, 2 * width :])
    grad_hidden.copy_(grad_hidden_kept)
