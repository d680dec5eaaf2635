"""The Transformer's stacks ≡ nn.TransformerEncoder and nn.TransformerDecoder with the same weights."""

from __future__ import annotations

import pytest
import torch
from models.zoo import batch
from torch import nn

from seqcli.build.model import MAX_DISTANCE, build_model
from seqcli.models.seq2seq import Seq2Seq
from seqcli.models.transformer import DecoderLayer, EncoderLayer
from seqcli.nn.layers import SideBySide
from seqcli.nn.multihead import CrossAttention
from seqcli.nn.positions import sinusoidal
from seqcli.recipe import model as sections

WIDTH, HEADS, INNER, LAYERS, VOCABULARY = 16, 4, 24, 2, 20


def build(norm: str, activation: str) -> Seq2Seq:
    keys = {
        "kind": "transformer",
        "hidden_size": WIDTH,
        "heads": HEADS,
        "feedforward_size": INNER,
        "layers": LAYERS,
        "norm": norm,
        "activation": activation,
    }
    torch.manual_seed(0)
    model = build_model(sections.Model.model_validate({"encoder": keys, "decoder": keys}), VOCABULARY, VOCABULARY)
    for parameter in model.parameters():
        # biases and norms too, which start as constants
        nn.init.normal_(parameter, 0.1, 0.3)
    return model.eval()


def copy_sublayers(
    theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer, ours: EncoderLayer | DecoderLayer
) -> None:
    copy_attention(theirs.self_attn, ours.attention.query_key_value, ours.attention.output)
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    for number, residual in enumerate(ours.residuals, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(residual.norm.state_dict())


def copy_attention(theirs: nn.MultiheadAttention, projection: SideBySide, output: nn.Linear) -> None:
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = projection.weight.data, projection.bias.data
    theirs.out_proj.load_state_dict(output.state_dict())


def copy_cross_attention(theirs: nn.MultiheadAttention, ours: CrossAttention) -> None:
    theirs.in_proj_weight.data = torch.cat((ours.query.weight.data, ours.key_value.weight.data))
    theirs.in_proj_bias.data = torch.cat((ours.query.bias.data, ours.key_value.bias.data))
    theirs.out_proj.load_state_dict(ours.output.state_dict())


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm", ["pre", "post"])
@torch.no_grad()
def test_whole_stacks(norm: str, activation: str) -> None:
    ours = build(norm, activation)
    how = {"dropout": 0.0, "activation": activation, "batch_first": True, "norm_first": norm == "pre"}
    final = nn.LayerNorm(WIDTH) if norm == "pre" else None
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, **how), LAYERS, final, enable_nested_tensor=False
    ).eval()
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(WIDTH, HEADS, INNER, **how), LAYERS, final).eval()
    given = batch([7, 5, 2], [6, 3, 6])

    # embeddings of length 1 or so come up to the waves by √D (Vaswani et al. 2017, §3.4)
    embedded = ours.encoder.embedding(given.source) * WIDTH**0.5 + sinusoidal(7, WIDTH, like=torch.zeros(()))
    for mine, torchs in zip(ours.encoder.layers, encoder.layers, strict=True):
        copy_sublayers(torchs, mine)
    if final is not None:
        final.load_state_dict(ours.encoder.norm.state_dict())
    expected = encoder(embedded, src_key_padding_mask=~given.source_mask)
    memory = ours.encoder(given)
    for row, length in enumerate([7, 5, 2]):
        torch.testing.assert_close(memory.states[row, :length], expected[row, :length], atol=2e-5, rtol=1e-4)
        mean = expected[row, :length].mean(dim=0, keepdim=True)
        torch.testing.assert_close(memory.summary[row], mean, atol=2e-5, rtol=1e-4)

    embedded = ours.decoder.embedding(given.inputs) * WIDTH**0.5 + sinusoidal(6, WIDTH, like=torch.zeros(()))
    for mine, torchs in zip(ours.decoder.layers, decoder.layers, strict=True):
        copy_sublayers(torchs, mine)
        copy_cross_attention(torchs.multihead_attn, mine.cross_attention)
    if final is not None:
        final.load_state_dict(ours.decoder.norm.state_dict())
    causal = ~torch.ones(6, 6, dtype=torch.bool).tril()
    expected = decoder(embedded, memory.states, tgt_mask=causal, memory_key_padding_mask=~given.source_mask)
    features, _ = ours.decoder(given.inputs, ours.decoder.start(memory))
    torch.testing.assert_close(features, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(("keys", "distance"), [({}, MAX_DISTANCE), ({"max_distance": 3}, 3)])
def test_a_recipe_says_which_distances_are_told_apart(keys: dict[str, int], distance: int) -> None:
    """Each layer has vectors of a head's width; a decoder's none for what is ahead."""
    stack = {"kind": "transformer", "hidden_size": WIDTH, "heads": HEADS, "layers": LAYERS, "positions": "relative"}
    section = sections.Model.model_validate({"encoder": {**stack, **keys}, "decoder": {**stack, **keys}})
    weights = build_model(section, VOCABULARY, VOCABULARY).state_dict()
    tables = {name: tuple(one.shape) for name, one in weights.items() if "relative" in name}
    assert tables == {
        f"{side}.layers.{layer}.attention.relative.embedding.weight": (count, WIDTH // HEADS)
        for side, count in (("encoder", 2 * distance + 1), ("decoder", distance + 1))
        for layer in range(LAYERS)
    }
