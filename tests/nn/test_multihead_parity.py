"""Self- and cross-attention ≡ nn.MultiheadAttention with the same weights, fast and traced; with relative positions, the paper's loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seqcli.nn.history import SMALLEST, Past
from seqcli.nn.masks import causal_mask, length_mask
from seqcli.nn.multihead import CrossAttention, SelfAttention
from seqcli.nn.positions import RelativePositions
from seqcli.nn.trace import trace_attention

WIDTH, HEADS = 12, 3


POSITIONS = ["none", "rotary", "relative"]


@pytest.fixture
def mask() -> Tensor:
    return length_mask(torch.tensor([5, 3]), 5)


def attention_with(positions: str, heads: int, *, causal: bool, max_distance: int = 2) -> SelfAttention:
    relative = RelativePositions(max_distance, WIDTH // heads, causal=causal) if positions == "relative" else None
    return SelfAttention(WIDTH, heads, rotary=positions == "rotary", relative=relative)


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


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("how", [torch.no_grad, torch.inference_mode], ids=["joined", "in place"])
def test_the_past_can_be_kept(positions: str, how: Callable[[], AbstractContextManager[None]]) -> None:
    """Longer than the room that there is at first, so that it grows."""
    attention = attention_with(positions, 2, causal=True, max_distance=5)
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
def test_attention_sees_order_by_positions_alone() -> None:
    torch.manual_seed(0)
    inputs, every = torch.randn(1, 5, WIDTH), torch.ones(1, 5, dtype=torch.bool)
    for positions in POSITIONS:
        attention = attention_with(positions, 2, causal=False)
        turned = attention(inputs.flip(1), every).flip(1)
        assert torch.allclose(attention(inputs, every), turned, atol=1e-6) == (positions == "none")


@pytest.mark.parametrize("causal", [False, True])
def test_relative_positions_are_those_of_the_paper(causal: bool, mask: Tensor) -> None:
    """Shaw et al. 2018, eq. 4 with a^K_ij = w_clip(j - i, k): e_ij = q_i·(k_j + a_ij)/√d, symbol by symbol; and its gradients, fast and
    traced."""
    torch.manual_seed(0)
    attention, inputs = attention_with("relative", HEADS, causal=causal), torch.randn(2, 5, WIDTH)
    assert attention.relative is not None
    table = attention.relative.embedding.weight
    assert len(table) == 2 + 1 + (0 if causal else 2)
    query, keys, values = (
        part.view(2, 5, HEADS, WIDTH // HEADS) for part in attention.query_key_value(inputs).chunk(3, dim=-1)
    )
    weights, context = torch.zeros(2, HEADS, 5, 5), torch.zeros(2, 5, HEADS, WIDTH // HEADS)
    for row in range(2):
        for head in range(HEADS):
            for i in range(5):
                seen = [j for j in range(5) if mask[row, j] and (j <= i or not causal)]
                scores = [
                    query[row, i, head] @ (keys[row, j, head] + table[2 + max(-2, min(2, j - i))]) / math.sqrt(4)
                    for j in seen
                ]
                shares = torch.softmax(torch.stack(scores), dim=0)
                weights[row, head, i, seen] = shares.detach()
                context[row, i, head] = shares @ values[row, seen, head]
    expected = attention.output(context.flatten(2))
    by_hand = torch.autograd.grad(expected.square().sum(), [table, attention.query_key_value.weight])
    visible = mask[:, None, None, :] & causal_mask(5, 0, inputs.device)

    def check() -> None:
        outputs = attention.extend(inputs, Past(0, 2), visible)[0] if causal else attention(inputs, mask)
        torch.testing.assert_close(outputs, expected)
        found = torch.autograd.grad(outputs.square().sum(), [table, attention.query_key_value.weight])
        torch.testing.assert_close(found, by_hand, rtol=1e-4, atol=1e-5)

    check()
    with trace_attention(attention) as maps:
        check()
    torch.testing.assert_close(maps[""], weights)


@torch.no_grad()
def test_relative_positions_make_no_vector_for_each_pair() -> None:
    length, attention = 64, attention_with("relative", 1, causal=False)
    with _Largest() as largest:
        attention(torch.randn(1, length, WIDTH), torch.ones(1, length, dtype=torch.bool))
    assert largest.elements == length * length


class _Largest(TorchDispatchMode):
    """How many elements the largest tensor has that is made in the block."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return made


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
