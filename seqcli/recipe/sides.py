"""The recipe's `source` and `target` sections: how text becomes symbols."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from seqcli.recipe.section import Count, Section, Share


class CharacterTokenizer(Section):
    """One symbol a character."""

    kind: Literal["characters"]
    capitals: Literal["whole", "marked"] = "whole"
    """What a capital is: a symbol of its own (whole), or a mark and its small letter (marked; inline casing, Bérard et al. 2019), so that
    what is learnt of a letter holds for its capital, too."""
    min_frequency: Count = 1
    """Characters rarer than this become the unknown symbol."""


class WordTokenizer(Section):
    """One symbol a word."""

    kind: Literal["words"]
    split: Literal["whitespace", "punctuation"] = "whitespace"
    """Where words end: at white space only (text that is tokenised already), or at punctuation too."""
    min_frequency: Count = 1
    """Words rarer than this become the unknown symbol."""
    max_size: Count | None = None
    """Keep only so many words, the most frequent ones."""


class SymbolTokenizer(Section):
    """One symbol between separators: phonemes, commands, tags."""

    kind: Literal["symbols"]
    separator: str = Field(" ", min_length=1)
    """What stands between two symbols."""
    min_frequency: Count = 1
    """Symbols rarer than this become the unknown symbol."""
    max_size: Count | None = None
    """Keep only so many symbols, the most frequent ones."""


class SubwordTokenizer(Section):
    """Subwords learnt from the training data by sentencepiece: byte-pair encoding or a unigram language model."""

    kind: Literal["bpe", "unigram"]
    vocabulary_size: Annotated[int, Field(ge=8)] = 8000
    """How many subwords to learn, at most."""
    median_frequency: Count | None = None
    """Learn fewer, until half of those of several characters are seen so often in the training data, or more often; null: as many as there may
    be."""


class SharedTokenizer(Section):
    """The source's tokenizer, learnt on both sides together."""

    kind: Literal["shared"]


SourceTokenizer = Annotated[
    Union[CharacterTokenizer, WordTokenizer, SymbolTokenizer, SubwordTokenizer], Field(discriminator="kind")
]
TargetTokenizer = Annotated[
    Union[CharacterTokenizer, WordTokenizer, SymbolTokenizer, SubwordTokenizer, SharedTokenizer],
    Field(discriminator="kind"),
]


class Side(Section):
    """How text of one side becomes symbols."""

    lowercase: bool = False
    """Write everything in lower case first."""
    normalize: Literal["none", "nfc", "nfkc", "nfd", "nfkd"] = "none"
    """Unicode normalisation, before anything else. In nfd and nfkd characters are in parts that they share (한 is ᄒ, ᅡ and ᆫ; é is e and an
    accent); a target's are put together again when it is written."""
    max_length: Count | None = None
    """Leave out training examples with more symbols than this (they are counted and told); null means none."""


class Augmentation(Section):
    """How a training image is changed each time it is looked at, at random, from the recipe's seed."""

    crop: Share = 0.0
    """Cut off up to this share of width and height, at any side, and enlarge the rest."""
    flip: bool = False
    """Mirror every other image, left and right."""
    colour: Share = 0.0
    """Change brightness, contrast and saturation by up to this share."""
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Turn by up to so many degrees, either way."""
    shift: Share = 0.0
    """Move by up to this share of width and height."""
    scale: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Enlarge or shrink by up to this share."""
    shear: Annotated[float, Field(ge=0.0, le=60.0)] = 0.0
    """Slant by up to so many degrees."""


class ImageSection(Section):
    """What every kind of image has."""

    corrupt_limit: Annotated[int, Field(ge=0)] = 0
    """How many images of a split may be unreadable; they are left out and told. One more is an error."""


class Pixels(ImageSection):
    """Images as pixels, all brought to one size."""

    kind: Literal["pixels"]
    width: Count
    """Pixels across."""
    height: Count
    """Pixels down."""
    channels: Literal[1, 3] = 3
    """3 for colours, 1 for shades of grey."""
    fit: Literal["stretch", "pad"] = "stretch"
    """How an image of another shape gets there: stretched, or enlarged as a whole and filled up with its own edge at right and bottom."""
    augment: Augmentation | None = None
    """How training images are varied; null means they are not."""


class FeatureGrid(ImageSection):
    """Images as grids of features that another network has computed beforehand, for the encoder of kind features."""

    kind: Literal["features"]
    rows: Count
    """Rows of the grid."""
    columns: Count
    """Columns of the grid."""
    size: Count
    """Features of a cell."""


ImageSource = Annotated[Union[Pixels, FeatureGrid], Field(discriminator="kind")]


class Source(Side):
    """How the source becomes symbols, or an image pixels."""

    tokenizer: SourceTokenizer | None = None
    """What a symbol is; null where the source is an image alone."""
    image: ImageSource | None = None
    """How images are read, where the source is an image, or a text and an image."""
    reverse: bool = False
    """Read the source backwards (Sutskever et al. 2014, §3.3)."""


class Target(Side):
    """How the target becomes symbols, and symbols text again."""

    tokenizer: TargetTokenizer
    """What a symbol is."""
