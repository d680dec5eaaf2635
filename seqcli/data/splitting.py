"""What is done to a text before it becomes ids: normalisation, and the ways to take it apart into symbols and back."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from typing_extensions import assert_never

Form = Literal["none", "nfc", "nfkc", "nfd", "nfkd"]

JOINER = "\uffed"
"""￭, as in OpenNMT's tokenizer: the side of a punctuation mark where it had no space carries one."""

CAPITAL = "⇧"
"""What stands before a small letter that is a capital in the text."""


@dataclass(frozen=True)
class Normalizer:
    """What is done to a text before it is taken apart: Unicode normalisation first (Unicode Standard Annex 15), then lower case."""

    lowercase: bool = False
    normalize: Form = "none"

    def __call__(self, text: str) -> str:
        """The normalised text."""
        match self.normalize:
            case "nfc":
                text = unicodedata.normalize("NFC", text)
            case "nfkc":
                text = unicodedata.normalize("NFKC", text)
            case "nfd":
                text = unicodedata.normalize("NFD", text)
            case "nfkd":
                text = unicodedata.normalize("NFKD", text)
            case "none":
                pass
            case _:
                assert_never(self.normalize)
        return text.lower() if self.lowercase else text

    @property
    def decomposes(self) -> bool:
        """Whether characters come apart into parts that they share: Hangul into jamo, é into e and an accent."""
        return self.normalize in ("nfd", "nfkd")

    def composed(self, text: str) -> str:
        """A normalised text as people read it: with the parts that characters came apart into put together (NFC)."""
        return unicodedata.normalize("NFC", text) if self.decomposes else text

    def readable(self, text: str) -> str:
        """A text as a model that writes it perfectly would be read: normalised, then composed."""
        return self.composed(self(text))


class Splitter(Protocol):
    """Text ↔ symbols."""

    def split(self, text: str) -> list[str]:
        """The symbols of a text."""

    def join(self, symbols: Sequence[str]) -> str:
        """The text of the symbols."""


@dataclass(frozen=True)
class Characters:
    """Every character (Unicode code point) a symbol; nothing is lost."""

    def split(self, text: str) -> list[str]:
        """The characters."""
        return list(text)

    def join(self, symbols: Sequence[str]) -> str:
        """The characters side by side."""
        return "".join(symbols)


@dataclass(frozen=True)
class MarkedCapitals:
    """Every character a symbol, a capital two: a mark and its small letter; `Haus` is `⇧ h a u s` (inline casing, Bérard, Calapodescu & Roux
    2019, "NAVER LABS Europe's systems for the WMT19 machine translation robustness task").

    What is learnt of a letter then holds for its capital. It is reversible but for a ⇧ of the text itself; letters that have no capital of one
    character (ß), or more than one (ſ, with that of s), are left as they are.
    """

    def split(self, text: str) -> list[str]:
        """The characters, with marks."""
        symbols: list[str] = []
        for character in text:
            small = character.lower()
            if small != character and len(small) == 1 and small.upper() == character:
                symbols.append(CAPITAL)
            else:
                small = character
            symbols.append(small)
        return symbols

    def join(self, symbols: Sequence[str]) -> str:
        """The characters side by side, capitals where marks say so; a mark before anything else is left out."""
        written: list[str] = []
        marked = False
        for symbol in symbols:
            if symbol != CAPITAL:
                capital = symbol.upper()
                written.append(
                    capital if marked and len(symbol) == len(capital) == 1 and capital.lower() == symbol else symbol
                )
            marked = symbol == CAPITAL
        return "".join(written)


@dataclass(frozen=True)
class Words:
    """Words between white space; runs of white space become one space."""

    def split(self, text: str) -> list[str]:
        """The words."""
        return text.split()

    def join(self, symbols: Sequence[str]) -> str:
        """The words with spaces between."""
        return " ".join(symbols)


@dataclass(frozen=True)
class WordsAndPunctuation:
    """Words, and every punctuation mark a symbol of its own; `Hello, "you"!` is `Hello ￭, "￭ you ￭" ￭!`.

    The joiners make it reversible but for runs of white space and a ￭ of the text itself.
    """

    def split(self, text: str) -> list[str]:
        """Words and marks, these with joiners where no space was."""
        return [symbol for chunk in text.split() for symbol in _parts(chunk)]

    def join(self, symbols: Sequence[str]) -> str:
        """The text, without spaces where there are joiners."""
        return " ".join(symbols).replace(f" {JOINER}", "").replace(f"{JOINER} ", "").replace(JOINER, "")


@dataclass(frozen=True)
class Separated:
    """Symbols between separators, as phonemes are written; empty ones are passed over."""

    separator: str = " "

    def split(self, text: str) -> list[str]:
        """The symbols."""
        return [symbol for symbol in text.split(self.separator) if symbol]

    def join(self, symbols: Sequence[str]) -> str:
        """The symbols with separators between."""
        return self.separator.join(symbols)


def _parts(chunk: str) -> list[str]:
    """The words and marks of a text without white space."""
    parts: list[str] = []
    after_word = False
    for character in chunk:
        if not _in_word(character):
            parts.append(f"{JOINER}{character}" if parts else character)
        elif after_word:
            parts[-1] += character
        else:
            if parts:
                parts[-1] += JOINER
            parts.append(character)
        after_word = _in_word(character)
    return parts


@lru_cache(maxsize=4096)
def _in_word(character: str) -> bool:
    """Letters, the marks that go with them (vowel signs of Hindi or Thai), and digits."""
    return unicodedata.category(character)[0] in "LMN"
