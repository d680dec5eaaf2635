"""Untrained models in miniature that look at rows of coloured squares, or read, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.build.model import build_model
from seqcli.data.images import FeatureReader, PixelReader
from seqcli.data.vocabulary import VocabularyTokenizer, learn_words, no_words
from seqcli.evaluation.translator import Translator
from seqcli.recipe.model import Model

COLOURS = ["red", "green", "blue", "yellow"]
RGB = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}
SQUARE = 8
FEATURES = (3, 2, 5)
"""Rows, columns and features of a cell; as many rows as a picture has colours."""

GRU: dict[str, Any] = {"kind": "gru", "hidden_size": 16, "embedding_size": 8}
STACK: dict[str, Any] = {"hidden_size": 16, "layers": 2, "heads": 2, "feedforward_size": 16}
CONV: dict[str, Any] = {"kind": "conv", "hidden_size": 16, "channels": [8, 8]}
PATCH: dict[str, Any] = {"kind": "patch", "patch_size": 4, **STACK}
ENCODERS: dict[str, dict[str, Any]] = {
    "conv": CONV,
    "patch": PATCH,
    "features": {"kind": "features", "hidden_size": 16},
    "gru": GRU,
    "conv+gru": {"kind": "image_text", "image": CONV, "text": GRU},
    "patch+transformer": {"kind": "image_text", "image": PATCH, "text": {"kind": "transformer", **STACK}},
}


def words() -> VocabularyTokenizer:
    """One symbol a colour."""
    return learn_words(COLOURS)


def pixels(colours: Sequence[str]) -> NDArray[np.uint8]:
    """A square of each colour, from left to right: `uint8 (3,h,w)`."""
    row = np.array([RGB[colour] for colour in colours], dtype=np.uint8).T
    return np.repeat(np.repeat(row[:, None, :], SQUARE, axis=1), SQUARE, axis=2)


def translator_of(encoder: str, decoder: dict[str, Any] | None = None, *, channels: int = 3) -> Translator:
    """An untrained model for pictures of two squares, the same for the same arguments."""
    reader = FeatureReader(*FEATURES) if encoder == "features" else PixelReader(2 * SQUARE, SQUARE, channels)
    section = Model.model_validate(
        {"encoder": ENCODERS[encoder], "decoder": decoder or {"kind": "transformer", **STACK}}
    )
    reads = "+" in encoder or encoder == "gru"
    source = words() if reads else no_words()
    torch.manual_seed(1)
    model = build_model(section, source.size, words().size, image_shape=reader.shape)
    return Translator(model, source, words(), image_reader=None if encoder == "gru" else reader)
