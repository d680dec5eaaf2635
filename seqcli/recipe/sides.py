"""The recipe's `source` and `target` sections: how text becomes symbols."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from seqcli.recipe.section import Count, Section


class CharacterTokenizer(Section):
    """One symbol a character."""

    kind: Literal["characters"]
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


class SubwordTokenizer(Section):
    """Subwords learnt from the training data by sentencepiece: byte-pair encoding or a unigram language model."""

    kind: Literal["bpe", "unigram"]
    vocabulary_size: Annotated[int, Field(ge=8)] = 8000
    """How many subwords to learn, at most."""


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
    normalize: Literal["none", "nfc", "nfkc"] = "none"
    """Unicode normalisation, before anything else."""
    max_length: Count | None = None
    """Leave out training examples with more symbols than this (they are counted and told); null means none."""


class Source(Side):
    """How the source becomes symbols."""

    tokenizer: SourceTokenizer
    """What a symbol is."""
    reverse: bool = False
    """Read the source backwards (Sutskever et al. 2014, §3.3)."""


class Target(Side):
    """How the target becomes symbols, and symbols text again."""

    tokenizer: TargetTokenizer
    """What a symbol is."""
