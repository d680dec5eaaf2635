"""The five scores on numbers small enough to work out by hand, then softmax, mask and weighted average."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from seqcli.nn.attention import (
    AdditiveScore,
    Attention,
    ContentScore,
    DotScore,
    MultiplicativeScore,
    Score,
    _AdditiveScores,
)

QUERIES = torch.tensor([[[1.0, 2.0], [0.0, -1.0]]])
KEYS = torch.tensor([[[3.0, 1.0], [1.0, 0.0]]])


def compare(score: Score) -> Tensor:
    """The 2×2 scores: a row a query, a column a key."""
    with torch.no_grad():
        return score(QUERIES, score.keys(KEYS))[0]


def near(actual: Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(actual, torch.tensor(expected), atol=1e-6, rtol=1e-6)


def test_dot() -> None:
    # q₁·k₁ = 1·3 + 2·1 = 5    q₁·k₂ = 1·1 + 2·0 = 1
    # q₂·k₁ = 0·3 - 1·1 = -1   q₂·k₂ = 0·1 - 1·0 = 0
    near(compare(DotScore()), [[5.0, 1.0], [-1.0, 0.0]])


def test_scaled_dot() -> None:
    # the same over √2
    near(compare(DotScore(scale=2**-0.5)), [[5 / math.sqrt(2), 1 / math.sqrt(2)], [-1 / math.sqrt(2), 0.0]])


def test_multiplicative() -> None:
    score = MultiplicativeScore(2, 2)
    score.project.weight.data = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    # Wk₁ = (1·3 + 2·1, -1·1) = (5, -1)   Wk₂ = (1·1 + 2·0, 0) = (1, 0)
    # q₁·Wk₁ = 5 - 2 = 3   q₁·Wk₂ = 1     q₂·Wk₁ = 1   q₂·Wk₂ = 0
    near(compare(score), [[3.0, 1.0], [1.0, 0.0]])


def test_multiplicative_joins_different_widths() -> None:
    score = MultiplicativeScore(3, 2)
    score.project.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    # k = (3, 1): Wk = (3, 1, 4); q = (1, 0, 2): 3 + 8 = 11
    assert score(torch.tensor([[[1.0, 0.0, 2.0]]]), score.keys(KEYS[:, :1])).item() == 11


def test_additive() -> None:
    score = AdditiveScore(2, 2, 2)
    score.query.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    score.key.weight.data = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    score.key.bias.data = torch.tensor([0.5, 0.0])
    score.vector.weight.data = torch.tensor([[2.0, 1.0]])
    # Uk₁ = (1 + 0.5, -3)   Uk₂ = (0 + 0.5, -1)   Wq = q
    # q₁+k₁: (2.5, -1)  q₁+k₂: (1.5, 1)  q₂+k₁: (1.5, -4)  q₂+k₂: (0.5, -2);  2·tanh(first) + tanh(second)
    t = math.tanh
    near(compare(score), [[2 * t(2.5) - t(1), 2 * t(1.5) + t(1)], [2 * t(1.5) - t(4), 2 * t(0.5) - t(2)]])


def test_content() -> None:
    score = ContentScore(2, 2)
    score.query.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    score.query.bias.data = torch.zeros(2)
    score.strength.weight.data = torch.tensor([[1.0, -1.0]])
    score.strength.bias.data = torch.zeros(1)
    # cos(q₁,k₁) = 5/(√5·√10) = 1/√2   cos(q₁,k₂) = 1/√5   cos(q₂,k₁) = -1/√10   cos(q₂,k₂) = 0
    # β₁ = softplus(1 - 2 + 5) = ln(1 + e⁴)   β₂ = softplus(0 + 1 + 5) = ln(1 + e⁶)
    first, second = math.log1p(math.exp(4)), math.log1p(math.exp(6))
    near(compare(score), [[first / math.sqrt(2), first / math.sqrt(5)], [-second / math.sqrt(10), 0.0]])


def test_content_of_a_query_without_direction() -> None:
    """All keys are as good, and no gradient tells the query where to point: a decoder that starts from zeros asks so first."""
    score = ContentScore(2, 2)
    torch.nn.init.zeros_(score.query.bias)
    scores = score(torch.zeros_like(QUERIES), score.keys(KEYS))
    assert not scores.any()
    (scores * torch.arange(scores.numel()).view_as(scores)).sum().backward()
    assert score.query.bias.grad is not None
    assert not score.query.bias.grad.any()


def test_content_does_not_see_the_length_of_a_key() -> None:
    score = ContentScore(2, 2)
    torch.testing.assert_close(score(QUERIES, score.keys(KEYS)), score(QUERIES, score.keys(KEYS * 1000)))


def test_the_context_is_the_average_of_the_values_weighted_by_the_softmax_of_the_scores() -> None:
    attention, mask = Attention(DotScore()), torch.tensor([[True, True]])
    values = torch.tensor([[[10.0], [20.0]]])
    # q₁: weights e⁵ : e¹ = σ(4) : σ(-4)   q₂: e⁻¹ : e⁰ = σ(-1) : σ(1)
    sigmoid = torch.sigmoid(torch.tensor([4.0, -1.0])).tolist()
    near(attention(QUERIES, attention.keys(KEYS), values, mask)[0], [[20 - 10 * share] for share in sigmoid])


def test_a_gate_multiplies_the_context_by_a_number_of_the_query() -> None:
    gate = nn.Linear(2, 1)
    gate.weight.data, gate.bias.data = torch.tensor([[1.0, -1.0]]), torch.tensor([0.5])
    attention, mask = Attention(DotScore(), gate), torch.tensor([[True, True]])
    values = torch.tensor([[[10.0, 1.0], [20.0, 1.0]]])
    # β₁ = σ(1 - 2 + 0.5)   β₂ = σ(0 + 1 + 0.5); the contexts are those of the test above, and 1
    first, second, beta1, beta2 = torch.sigmoid(torch.tensor([4.0, -1.0, -0.5, 1.5])).tolist()
    context = attention(QUERIES, attention.keys(KEYS), values, mask)[0]
    near(context, [[beta1 * (20 - 10 * first), beta1], [beta2 * (20 - 10 * second), beta2]])


def test_what_is_masked_weighs_nothing() -> None:
    attention = Attention(DotScore())
    values = torch.tensor([[[10.0], [1e30]]])
    context = attention(QUERIES, attention.keys(KEYS), values, torch.tensor([[True, False]]))
    assert context.flatten().tolist() == [10.0, 10.0]


def test_large_scores_do_not_overflow() -> None:
    attention = Attention(DotScore(scale=1e4))
    context = attention(QUERIES, attention.keys(KEYS), KEYS, torch.tensor([[True, True]]))
    near(context[0], [[3.0, 1.0], [1.0, 0.0]])


def test_additive_scores_of_many_queries_and_their_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed in parts on a CPU: against the formula in one piece, and against finite differences, whatever the size of the parts."""
    torch.manual_seed(1)
    query, keys, vector = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((5, 3, 4), (5, 6, 4), (4,))
    )
    expected = torch.tanh(query[:, :, None] + keys[:, None]) @ vector
    weight = torch.randn(5, 3, 6, dtype=torch.float64)
    gradients = torch.autograd.grad((expected * weight).sum(), (query, keys, vector))
    for cells in (1, 3 * 6 * 4 * 2, 10**6):
        monkeypatch.setattr(_AdditiveScores, "CELLS", cells)
        scores = _AdditiveScores.apply(query, keys, vector)
        torch.testing.assert_close(scores, expected)
        found = torch.autograd.grad((scores * weight).sum(), (query, keys, vector))
        torch.testing.assert_close(found, gradients)
        assert torch.autograd.gradcheck(_AdditiveScores.apply, (query, keys, vector))
