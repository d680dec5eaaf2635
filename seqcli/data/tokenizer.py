"""How text becomes symbols and symbols text again: what every tokenizer can do, and how one is loaded.

The ids are laid out alike everywhere: PAD, BOS, EOS, UNK, then (in `vocabulary`) the features, then the symbols by falling
frequency; in `subwords` the features come last, because sentencepiece numbers its own pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from seqcli.data.records import read_record
from seqcli.data.splitting import Normalizer
from seqcli.data.subwords import SubwordTokenizer
from seqcli.data.vocabulary import VocabularyTokenizer
from seqcli.errors import DataError
from seqcli.symbols import EOS, NOT_THERE


class Tokenizer(Protocol):
    """Text ↔ ids. Every method that takes text normalises it first, as the tokenizer was told when it was learnt."""

    @property
    def kind(self) -> str:
        """The kind that the recipe calls it by."""

    @property
    def size(self) -> int:
        """How many ids there are, special symbols and features counted: all ids are below."""

    @property
    def normalizer(self) -> Normalizer:
        """What it does to a text before anything else: case and Unicode form."""

    @property
    def digest(self) -> str:
        """A text that differs for tokenizers that differ."""

    def encode(self, text: str, features: Sequence[str] = ()) -> list[int]:
        """The ids of the features, then those of the text, without BOS and EOS; unknown symbols are UNK."""

    def decode(self, ids: Sequence[int], unknown: Sequence[str] = ()) -> str:
        """The text that `ids` spell, detokenised; special symbols and features are left out. What stands for UNK, one after the other, is
        `unknown`, and then `<unk>`. What was decomposed is composed."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """One label for each id, for people and pictures."""

    def texts(self) -> list[str | None]:
        """Of each id the text that it stands for, as its label has it; None for special symbols and features, which stand for none."""

    def words(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """The positions [start, end) of the words that the ids make up; a special symbol or feature is a word of its own."""

    def split(self, text: str) -> list[str]:
        """The symbols of a text as strings, known or not, as symbol error rates count them."""

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.json (and `name`.model for subwords) into `folder`; raises `StorageError`."""


def load_tokenizer(folder: Path, name: str) -> Tokenizer:
    """The tokenizer that was saved as `name` in `folder`; raises `DataError` if a file is missing or damaged."""
    path = folder / f"{name}.json"
    record = read_record(path)
    try:
        if record["kind"] in ("bpe", "unigram"):
            return SubwordTokenizer.from_record(record, path.with_suffix(".model"))
        return VocabularyTokenizer.from_record(record)
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: is no tokenizer that this version of seqcli knows ({error})") from error


def same_symbols(source: Tokenizer, target: Tokenizer) -> list[int]:
    """For each id of the source's tokenizer the target's of the same text, `NOT_THERE` where there is none; the end of the one is that of
    the other."""
    ids = {text: i for i, text in enumerate(target.texts()) if text is not None}
    same = [NOT_THERE if text is None else ids.get(text, NOT_THERE) for text in source.texts()]
    same[EOS] = EOS
    return same


def encode_source(tokenizer: Tokenizer, text: str, features: Sequence[str] = (), *, reverse: bool = False) -> list[int]:
    """The ids that an encoder reads: features and text, the other way round if `reverse`, then EOS."""
    ids = tokenizer.encode(text, features)
    return [*(reversed(ids) if reverse else ids), EOS]
