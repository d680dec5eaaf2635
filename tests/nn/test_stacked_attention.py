"""Attention in hops, on numbers small enough to work out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from seqcli.nn.attention import Attention, DotScore, MultiplicativeScore
from seqcli.nn.stacked_attention import StackedAttention
from seqcli.nn.trace import trace_attention

QUERY = torch.tensor([[[1.0, 2.0]]])
KEYS = torch.tensor([[[3.0, 1.0], [1.0, 0.0]]])
VALUES = torch.tensor([[[1.0], [0.0]]])
BOTH = torch.tensor([[True, True]])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def stacked(*hops: Attention) -> StackedAttention:
    """Over values of width 1; the first number of the query is lowered by 3 times the context."""
    attention = StackedAttention(hops, query_size=2, memory_size=1)
    attention.project.weight.data = torch.tensor([[-3.0], [0.0]])
    return attention


@torch.no_grad()
def look(attention: StackedAttention) -> tuple[float, dict[str, Tensor]]:
    with trace_attention(attention) as maps:
        context = attention(QUERY, attention.keys(KEYS), VALUES, BOTH)
    assert context.shape == (1, 1, 1)
    return context.item(), maps


def test_each_hop_asks_with_the_query_and_all_that_was_found() -> None:
    """The first value is 1 and the second 0, so a context is the first weight: σ of the difference of the two scores.

    That is, for a query (x, 2), s·(3x + 2 - x) = s·(2x + 2), with s the scale of the hop.
    """
    context, maps = look(stacked(*(Attention(DotScore(scale)) for scale in (1.0, 0.5, 2.0))))
    first = sigmoid(2 * 1 + 2)
    second = sigmoid(0.5 * (2 * (1 - 3 * first) + 2))
    third = sigmoid(2 * (2 * (1 - 3 * first - 3 * second) + 2))
    assert context == pytest.approx(first + second + third)
    assert list(maps) == ["hops.0", "hops.1", "hops.2"]
    for weights, share in zip(maps.values(), (first, second, third), strict=True):
        torch.testing.assert_close(weights, torch.tensor([[[[share, 1 - share]]]]))


def test_a_gated_hop_hands_on_what_passed_the_gate() -> None:
    gate = nn.Linear(2, 1)
    gate.weight.data, gate.bias.data = torch.tensor([[1.0, -1.0]]), torch.tensor([0.5])
    context, _ = look(stacked(Attention(DotScore(), gate), Attention(DotScore())))
    # the gate of the query (1, 2): σ(1 - 2 + 0.5)
    first = sigmoid(-0.5) * sigmoid(4)
    assert context == pytest.approx(first + sigmoid(2 * (1 - 3 * first) + 2))


def test_each_hop_compares_with_keys_of_its_own() -> None:
    hops = [Attention(MultiplicativeScore(2, 2)) for _ in range(2)]
    attention = stacked(*hops)
    keys = attention.keys(KEYS)
    assert keys.shape == (1, 2, 2, 2)
    for number, hop in enumerate(hops):
        assert torch.equal(keys[:, number], hop.keys(KEYS))
    assert not torch.equal(keys[:, 0], keys[:, 1])


def test_one_hop_is_attention() -> None:
    hop = Attention(MultiplicativeScore(2, 2))
    attention = stacked(hop)
    found = attention(QUERY, attention.keys(KEYS), VALUES, BOTH)
    assert torch.equal(found, hop(QUERY, hop.keys(KEYS), VALUES, BOTH))
