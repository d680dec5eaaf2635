"""Attention over a memory, with five scores.

Attention compares a query with every key and returns the average of the values, weighted by the softmax of the scores:

    context_t = Σ_s weights[t,s] · values_s        weights[t] = softmax_s(score(query_t, key_s))

The scores differ in how they compare (Luong et al. 2015, §3.1; Bahdanau et al. 2015, §A.1.2; Graves et al. 2014, §3.3.1;
Vaswani et al. 2017, §3.2.1). Each is one small module with two methods: `keys` prepares the memory, once a sentence;
`forward` compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqcli.nn.trace import record


class Score(Protocol):
    """How alike a query and a key are."""

    def keys(self, states: Tensor) -> Tensor:
        """Prepare memory states (B,S,D) for comparison: (B,S,A)."""
        ...

    def __call__(self, query: Tensor, keys: Tensor) -> Tensor:
        """Compare queries (B,T,Q) with prepared keys (B,S,A): scores (B,T,S)."""
        ...


class DotScore(nn.Module):
    """score(q, k) = q·k, times `scale`: 1 for dot (Luong et al. 2015), 1/√D for scaled dot (Vaswani et al. 2017).

    Query and memory must have the same width.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def keys(self, states: Tensor) -> Tensor:
        """The states as they are, scaled here once instead of at every step."""
        return states * self.scale

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B,T,D) against (B,S,D): (B,T,S)."""
        return query @ keys.transpose(1, 2)


class MultiplicativeScore(nn.Module):
    """score(q, k) = q·Wk, Luong's "general" (Luong et al. 2015, §3.1)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.project = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """W·states, (B,S,Q)."""
        projected: Tensor = self.project(states)
        return projected

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B,T,Q) against (B,S,Q): (B,T,S)."""
        return query @ keys.transpose(1, 2)


class AdditiveScore(nn.Module):
    """score(q, k) = v·tanh(Wq + Uk) (Bahdanau et al. 2015, §A.1.2)."""

    def __init__(self, query_size: int, memory_size: int, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, hidden_size, bias=False)
        self.key = nn.Linear(memory_size, hidden_size)
        self.vector = nn.Linear(hidden_size, 1, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """U·states, (B,S,A)."""
        projected: Tensor = self.key(states)
        return projected

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B,T,Q) against (B,S,A): (B,T,S)."""
        scores: Tensor
        # one step's pairs fit into the cache as they are
        if query.shape[1] > 1 and query.device.type == "cpu" and not torch.compiler.is_compiling():
            scores = _AdditiveScores.apply(self.query(query), keys, self.vector.weight[0])  # type: ignore[no-untyped-call]
        else:
            mixed = torch.tanh(self.query(query)[:, :, None, :] + keys[:, None, :, :])
            scores = F.linear(mixed, self.vector.weight).squeeze(-1)
        return scores


class _AdditiveScores(torch.autograd.Function):
    """v·tanh(q + k) for every pair, sentence by sentence, so that the (T,S,A) in between stay in the cache and are not kept: the
    backward pass makes them again, which is cheaper than to write and read them."""

    CELLS = 2**18

    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, vector)
        parts = [_mixed(*part) @ vector for part in _in_parts(query, keys)]
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, vector = ctx.saved_tensors
        grad_query, grad_keys, grad_vector = map(torch.empty_like, (query, keys, vector))
        grad_vector.zero_()
        # what each part is written to are views of the whole
        for q, k, grad, grad_q, grad_k in _in_parts(query, keys, grad_scores, grad_query, grad_keys):
            mixed = _mixed(q, k)
            grad_vector += grad.flatten() @ mixed.flatten(0, 2)
            # tanh' = 1 - tanh²
            slope = mixed.square_().neg_().add_(1.0).mul_(grad[..., None])
            torch.sum(slope, dim=2, out=grad_q)
            torch.sum(slope, dim=1, out=grad_k)
        return grad_query.mul_(vector), grad_keys.mul_(vector), grad_vector


def _mixed(query: Tensor, keys: Tensor) -> Tensor:
    """tanh(q + k): (B,T,A), (B,S,A) → (B,T,S,A)."""
    return (query[:, :, None, :] + keys[:, None, :, :]).tanh_()


def _in_parts(query: Tensor, keys: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """All of them, cut along the batch so that a part's (B,T,S,A) have about `CELLS` elements."""
    cells = query.shape[1] * keys.shape[1] * query.shape[2]
    rows = max(1, _AdditiveScores.CELLS // max(1, cells))
    return zip(*(torch.split(tensor, rows) for tensor in (query, keys, *others)), strict=True)


class ContentScore(nn.Module):
    """score(q, k) = β·cos(Wq, k): content addressing of the Neural Turing Machine (Graves et al. 2014, §3.3.1).

    The query emits a key Wq and a strength β > 0 that sharpens the softmax; β = softplus(w·q + 5), so it starts near 5, where
    a perfect match weighs e⁵ times as much as an unrelated one.
    """

    INITIAL_STRENGTH = 5.0

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, memory_size)
        self.strength = nn.Linear(query_size, 1)

    def keys(self, states: Tensor) -> Tensor:
        """The states at length 1, (B,S,D)."""
        return _at_length_1(states)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B,T,Q) against (B,S,D): (B,T,S)."""
        cosine = _at_length_1(self.query(query)) @ keys.transpose(1, 2)
        return F.softplus(self.strength(query) + self.INITIAL_STRENGTH) * cosine


def _at_length_1(vectors: Tensor) -> Tensor:
    """In float32 at least, since 16 bits have no number small enough to divide by."""
    precise = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    # a zero vector has no direction; divided by the next best thing to zero, its gradient would be 10¹² long
    # (not 0, and not `any` of the numbers themselves, which an ONNX graph would round first)
    return torch.where((precise != 0).any(dim=-1, keepdim=True), F.normalize(precise, dim=-1), 0.0)


class Attention(nn.Module):
    """Attention with one head and any score: the weighted average of the values, as the query asks for it.

    With a `gate`, a linear layer from query to 1, the context is multiplied by β = σ(gate(query)), by which a step says how much it
    needs the memory at all (Xu et al. 2015, §4.2.1).
    """

    def __init__(self, score: Score, gate: nn.Linear | None = None) -> None:
        super().__init__()
        self.score = score
        self.gate = gate

    def keys(self, states: Tensor) -> Tensor:
        """Prepare memory states (B,S,D), once a sentence."""
        return self.score.keys(states)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Queries (B,T,Q), prepared keys (B,S,A), values (B,S,D), mask (B,S) → context (B,T,D)."""
        weights = weights_of(self.score(query, keys), mask)
        record(self, weights[:, None])
        return gated(weights.to(values.dtype) @ values, query, self.gate)


def weights_of(scores: Tensor, mask: Tensor) -> Tensor:
    """The softmax of scores (B,T,S) over the places where `mask (B,S)` is True, in float32 at least, whatever the products are computed in."""
    scores = scores.masked_fill(~mask[:, None, :], float("-inf"))
    return torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def gated(context: Tensor, query: Tensor, gate: nn.Linear | None) -> Tensor:
    """What a gate, if there is one, lets through of a context (B,T,D) that a query (B,T,Q) has found: σ(gate(query))·context."""
    return context if gate is None else torch.sigmoid(gate(query)) * context
