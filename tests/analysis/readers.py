"""An untrained Transformer in miniature that reads words cut into pieces, and what it looked at."""

from __future__ import annotations

import numpy as np
import torch
from evaluation.onlookers import STACK, words

from seqcli.build.model import build_model
from seqcli.evaluation.attention import AttentionMaps
from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.translator import Translator
from seqcli.recipe.model import Model
from seqcli.symbols import Example

SETTINGS = SearchSettings(beam_size=1, length_penalty=1.0, max_length=5, max_ratio=None, batch_sentences=8)
PAIRS = [Example("blue red green", "red green", 0, "here:1"), Example("red", "yellow blue red", 1, "here:2")]


def reader() -> Translator:
    """Two layers of two heads in its encoder, and in its decoder; the same each time."""
    stack = {"kind": "transformer", **STACK}
    torch.manual_seed(1)
    model = build_model(Model.model_validate({"encoder": stack, "decoder": stack}), words().size, words().size)
    return Translator(model, words(), words())


def maps_between(
    source: list[str],
    target: list[str],
    source_words: list[tuple[int, int]],
    target_words: list[tuple[int, int]],
) -> AttentionMaps:
    """Random weights of one layer and head of each kind, those of the decoder causal."""
    chance = np.random.default_rng(1)

    def weights(rows: int, columns: int, causal: bool = False) -> np.ndarray:
        drawn = chance.random((1, 1, rows, columns))
        drawn = np.tril(drawn) if causal else drawn
        return np.asarray(drawn / drawn.sum(axis=-1, keepdims=True), dtype=np.float32)

    sizes = len(source), len(target)
    return AttentionMaps(
        tuple(source),
        tuple(target),
        weights(sizes[1], sizes[0]),
        weights(sizes[0], sizes[0]),
        weights(sizes[1], sizes[1], causal=True),
        tuple(source_words),
        tuple(target_words),
    )
