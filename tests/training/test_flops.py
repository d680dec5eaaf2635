"""The arithmetic of a step, counted by torch's counter with our own entries, against formulas worked out by hand."""

from __future__ import annotations

import pytest
import torch
from models.zoo import IMAGE, VOCABULARY, batch

from seqcli.build.model import build_model
from seqcli.recipe.model import Model
from seqcli.training.flops import KERNELS, matrix_rate, training_flops
from seqcli.training.step import Objective

PLAIN = Objective(label_smoothing=0.0, clip_norm=None, teacher_forcing=1.0, accumulation=1)
V, D, FF = VOCABULARY, 16, 24


def flops(section: dict[str, object], source: int, target: int) -> int:
    torch.manual_seed(1)
    model = build_model(Model.model_validate(section), V, V, image_shape=IMAGE)
    return training_flops(model, [batch([source], [target], seed=1)], PLAIN)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_transformer(dropout: float) -> None:
    """Per source symbol and layer: 4 D² of attention, 2·D·FF; per label: 4 D² + 2 D² (+ 2 D² a source symbol, keys and values of the
    memory) + 2·D·FF; the output D·V. Each with 2 FLOPs forward and 4 backward. Attention itself: two products of D a pair."""
    stack = {"kind": "transformer", "hidden_size": D, "layers": 2, "heads": 2, "feedforward_size": FF}
    section = {"encoder": stack, "decoder": stack, "attention_dropout": dropout, "dropout": dropout}
    s, t = 5, 7
    model_products = 2 * (s * (4 * D * D + 2 * D * FF) + t * (6 * D * D + 2 * D * FF) + s * 2 * D * D) + t * D * V
    pairs = 2 * 2 * D * (s * s + t * t + t * s)
    counted = flops(section, s, t)
    assert counted == 3 * 2 * (model_products + pairs)


@pytest.mark.parametrize(("kind", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_a_recurrent_model_without_attention(kind: str, gates: int) -> None:
    """Per symbol: gates·D·(E + D), both sides; the bridge D² a state; the output D·V. Steps whose state is not learnt from (the first one of
    the encoder, which starts at zeros) may be left out by a kernel, so the count may be a little lower."""
    side = {"kind": kind, "hidden_size": D, "embedding_size": D}
    section = {"encoder": side, "decoder": {**side, "attention": {"kind": "none"}}}
    s, t = 5, 7
    bridges = (2 if kind == "lstm" else 1) * D * D
    whole = 3 * 2 * ((s + t) * gates * D * 2 * D + bridges + t * D * V)
    assert whole - 3 * 2 * gates * D * D <= flops(section, s, t) <= whole


DECODER = {"kind": "gru", "hidden_size": D, "embedding_size": D, "attention": {"kind": "none"}, "bridge": "dense"}


def decoder_products(labels: int) -> int:
    """Multiplications of a GRU without attention: the bridge D², per label 3·D·2D and the output D·V."""
    return D * D + labels * (3 * D * 2 * D + D * V)


@pytest.mark.parametrize(("channels", "blocks"), [([6], 1), ([6, 16], 1), ([6, 16], 2)])
def test_a_residual_network(channels: list[int], blocks: int) -> None:
    """Per cell of a stage and kernel: in · out · 9, or · 1 on the way past it. Of what is multiplied, pixels are not learnt from: where they
    are, the backward pass has one product, else two."""
    encoder = {"kind": "conv", "hidden_size": D, "channels": channels, "blocks": blocks}
    (before, height, width), t, whole = IMAGE, 7, 0
    for stage, after in enumerate(channels):
        height, width = -(-height // 2), -(-width // 2)
        first = height * width * before * after * (9 + 1)
        others = height * width * after * after * 9 * (1 + 2 * (blocks - 1))
        whole += 2 * first * (2 if stage == 0 else 3) + 2 * others * 3
        before = after
    whole += 3 * 2 * (height * width * before * D + decoder_products(t))
    assert flops({"encoder": encoder, "decoder": DECODER}, 1, t) == whole


def test_patches() -> None:
    """6 patches of 3·4·4 numbers to D, without a gradient for the pixels; a layer's products, and two of D a pair of patches."""
    encoder = {"kind": "patch", "patch_size": 4, "hidden_size": D, "layers": 1, "heads": 2, "feedforward_size": FF}
    cells, t = 6, 7
    layer = cells * (4 * D * D + 2 * D * FF) + 2 * D * cells * cells
    whole = 2 * 2 * cells * 48 * D + 3 * 2 * (layer + decoder_products(t))
    assert flops({"encoder": encoder, "decoder": DECODER, "attention_dropout": 0.1}, 1, t) == whole


def test_features_alone() -> None:
    """24 cells of 12 features to D; the norm below them learns, so that there is a gradient for each factor."""
    whole = 3 * 2 * (24 * 12 * D + decoder_products(7))
    assert flops({"encoder": {"kind": "features", "hidden_size": D}, "decoder": DECODER}, 1, 7) == whole


def test_cudnns_recurrences() -> None:
    """Shapes alone: its kernels are not on every machine. Two layers of an LSTM over 7 packed symbols."""
    layers = [[(4 * D, E), (4 * D, D), (4 * D,), (4 * D,)] for E in (5, D)]
    symbols, weights = (7, 5), [shape for layer in layers for shape in layer]
    expected = 2 * 7 * (4 * D * (5 + D) + 4 * D * (D + D))
    assert KERNELS[torch.ops.aten._cudnn_rnn](symbols, weights, 4) == expected
    assert KERNELS[torch.ops.aten._cudnn_rnn_backward](symbols, weights, 4) == 2 * expected


def test_the_machines_rate_is_that_of_a_matrix_product() -> None:
    """Any machine that runs this does between 0.1 and 100,000 GFLOP/s."""
    assert 1e8 < matrix_rate(torch.device("cpu")) < 1e14
