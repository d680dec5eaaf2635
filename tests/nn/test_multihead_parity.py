"""Self- and cross-attention ≡ nn.MultiheadAttention with the same weights, fast and traced."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqcli.nn.masks import causal_mask, length_mask
from seqcli.nn.multihead import CrossAttention, SelfAttention
from seqcli.nn.trace import trace_attention

WIDTH, HEADS = 12, 3


@pytest.fixture
def mask() -> Tensor:
    return length_mask(torch.tensor([5, 3]), 5)


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_self_attention(causal: bool, mask: Tensor) -> None:
    torch.manual_seed(0)
    ours = SelfAttention(WIDTH, HEADS, causal=causal)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.query_key_value.weight, ours.query_key_value.bias
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    inputs = torch.randn(2, 5, WIDTH)
    hidden = ~torch.ones(5, 5, dtype=torch.bool).tril() if causal else None
    expected, weights = theirs(
        inputs, inputs, inputs, key_padding_mask=~mask, attn_mask=hidden, average_attn_weights=False
    )
    outputs, (keys, values) = ours(inputs, mask)
    torch.testing.assert_close(outputs, expected)
    assert keys.shape == values.shape == (2, HEADS, 5, WIDTH // HEADS)
    with trace_attention(ours) as maps:
        torch.testing.assert_close(ours(inputs, mask)[0], expected)
    torch.testing.assert_close(maps[""], weights)


@torch.no_grad()
def test_cross_attention(mask: Tensor) -> None:
    torch.manual_seed(0)
    ours = CrossAttention(WIDTH, 7, HEADS)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, kdim=7, vdim=7)
    key, value = ours.key_value.weight.chunk(2)
    theirs.q_proj_weight.data, theirs.k_proj_weight.data, theirs.v_proj_weight.data = ours.query.weight, key, value
    theirs.in_proj_bias.data = torch.cat((ours.query.bias, ours.key_value.bias))
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    inputs, states = torch.randn(2, 4, WIDTH), torch.randn(2, 5, 7)
    expected, weights = theirs(inputs, states, states, key_padding_mask=~mask, average_attn_weights=False)
    torch.testing.assert_close(ours(inputs, *ours.project(states), mask), expected)
    with trace_attention(ours) as maps:
        torch.testing.assert_close(ours(inputs, *ours.project(states), mask), expected)
    torch.testing.assert_close(maps[""], weights)


@pytest.mark.parametrize("rotary", [False, True])
@torch.no_grad()
def test_the_past_can_be_kept(rotary: bool) -> None:
    attention = SelfAttention(WIDTH, 2, causal=True, rotary=rotary)
    inputs = torch.randn(2, 6, WIDTH)
    whole, _ = attention(inputs)
    past, parts = None, []
    for part in inputs.split([2, 1, 3], dim=1):
        outputs, past = attention(part, past=past)
        parts.append(outputs)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@torch.no_grad()
def test_rotary_attention_sees_order_and_plain_attention_does_not() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(1, 5, WIDTH)
    for rotary in (False, True):
        attention = SelfAttention(WIDTH, 2, causal=False, rotary=rotary)
        turned = attention(inputs.flip(1))[0].flip(1)
        assert torch.allclose(attention(inputs)[0], turned, atol=1e-6) != rotary


def test_dropout_falls_on_the_weights_and_only_in_training() -> None:
    attention = SelfAttention(WIDTH, HEADS, causal=False, dropout=0.5)
    inputs = torch.randn(2, 5, WIDTH)
    assert not torch.equal(attention(inputs)[0], attention(inputs)[0])
    attention.eval()
    assert torch.equal(attention(inputs)[0], attention(inputs)[0])


def test_masks() -> None:
    assert length_mask(torch.tensor([2, 0, 3]), 3).int().tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
    # two new positions after one old: the first sees the old one and itself, the second all three
    assert causal_mask(2, 1, torch.device("cpu")).int().tolist() == [[1, 1, 0], [1, 1, 1]]
