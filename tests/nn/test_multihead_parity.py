"""Self- and cross-attention ≡ nn.MultiheadAttention with the same weights, fast and traced."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor, nn

from seqcli.nn.history import SMALLEST, Past
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
    ours = SelfAttention(WIDTH, HEADS)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.query_key_value.weight, ours.query_key_value.bias
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    inputs = torch.randn(2, 5, WIDTH)
    hidden = ~torch.ones(5, 5, dtype=torch.bool).tril() if causal else None
    expected, weights = theirs(
        inputs, inputs, inputs, key_padding_mask=~mask, attn_mask=hidden, average_attn_weights=False
    )
    visible = mask[:, None, None, :] & causal_mask(5, 0, inputs.device)

    def outputs() -> Tensor:
        return ours.extend(inputs, Past(0, 2), visible)[0] if causal else ours(inputs, mask)

    torch.testing.assert_close(outputs(), expected)
    with trace_attention(ours) as maps:
        torch.testing.assert_close(outputs(), expected)
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
    torch.testing.assert_close(ours(inputs, ours.project(states), mask), expected)
    with trace_attention(ours) as maps:
        torch.testing.assert_close(ours(inputs, ours.project(states), mask), expected)
    torch.testing.assert_close(maps[""], weights)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("how", [torch.no_grad, torch.inference_mode], ids=["joined", "in place"])
def test_the_past_can_be_kept(rotary: bool, how: Callable[[], AbstractContextManager[None]]) -> None:
    """Longer than the room that there is at first, so that it grows."""
    attention = SelfAttention(WIDTH, 2, rotary=rotary)
    inputs = torch.randn(2, 3 * SMALLEST, WIDTH)
    with how():
        whole, _ = attention.extend(inputs, Past(0, 2), causal_mask(inputs.shape[1], 0, inputs.device))
        past, parts = Past(0, 2), []
        for part in inputs.split([2, 1, 3, SMALLEST, 1, 2 * SMALLEST - 7], dim=1):
            visible = causal_mask(part.shape[1], past.position, inputs.device)
            outputs, grown = attention.extend(part, past, visible)
            past = Past(past.position + part.shape[1], 2, grown)
            parts.append(outputs)
        torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@torch.no_grad()
def test_rotary_attention_sees_order_and_plain_attention_does_not() -> None:
    torch.manual_seed(0)
    inputs, every = torch.randn(1, 5, WIDTH), torch.ones(1, 5, dtype=torch.bool)
    for rotary in (False, True):
        attention = SelfAttention(WIDTH, 2, rotary=rotary)
        turned = attention(inputs.flip(1), every).flip(1)
        assert torch.allclose(attention(inputs, every), turned, atol=1e-6) != rotary


def test_dropout_falls_on_the_weights_and_only_in_training() -> None:
    attention = SelfAttention(WIDTH, HEADS, dropout=0.5)
    inputs, every = torch.randn(2, 5, WIDTH), torch.ones(2, 5, dtype=torch.bool)
    assert not torch.equal(attention(inputs, every), attention(inputs, every))
    attention.eval()
    assert torch.equal(attention(inputs, every), attention(inputs, every))


def test_masks() -> None:
    assert length_mask(torch.tensor([2, 0, 3]), 3).int().tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
    # two new positions after one old: the first sees the old one and itself, the second all three
    assert causal_mask(2, 1, torch.device("cpu")).int().tolist() == [[1, 1, 0], [1, 1, 1]]
