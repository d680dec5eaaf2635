"""The models of the zoo with tokenizers before and behind them: text or random images in, text out."""

from __future__ import annotations

import numpy as np
from models.zoo import IMAGE, IMAGE_KINDS, VOCABULARY, Specimen

from seqcli.data.images import FeatureReader, ImageReader, PixelReader
from seqcli.data.vocabulary import VocabularyTokenizer, learn_words
from seqcli.evaluation.translator import Translator
from seqcli.symbols import SPECIAL, Example

WORDS = [f"w{number:02}" for number in range(VOCABULARY - len(SPECIAL))]
TEXTS = ["w03 w07 w01 w15 w00", "w02", "", "w11 w11 w04"]


def words() -> VocabularyTokenizer:
    """As many symbols as the models of the zoo know."""
    return learn_words(WORDS)


def translator_of(specimen: Specimen, longest_target: int | None = None) -> Translator:
    """A model of the zoo as a translator."""
    encoder = specimen.section.encoder
    kind = encoder.image.kind if encoder.kind == "image_text" else encoder.kind
    reader: ImageReader | None = None
    if kind in IMAGE_KINDS:
        reader = FeatureReader(*IMAGE) if kind == "features" else PixelReader(IMAGE[2], IMAGE[1], IMAGE[0])
    return Translator(specimen.model, words(), words(), image_reader=reader, longest_target=longest_target)


def examples_for(translator: Translator) -> list[Example]:
    """An example for each of the texts, one of them without anything to read, with an image where the translator sees."""
    draw = np.random.default_rng(3)
    reader = translator.image_reader
    found = []
    for row, text in enumerate(TEXTS):
        image = None
        if reader is not None and text:
            drawn = draw.random(reader.shape)
            image = (255 * drawn).astype(np.uint8) if reader.dtype is np.uint8 else drawn.astype(np.float32)
        found.append(Example(text, None, row, f"here:{row + 1}", image=image))
    return found
