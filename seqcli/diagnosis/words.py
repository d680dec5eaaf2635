"""Which words and characters of validation and test training has never shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MOST_SHOWN = 5
MOST_WORDS = 1_000_000
"""Different words that are remembered of a side, so that memory has an end; what comes later and is not among them counts as unknown."""


@dataclass
class Unknown:
    """How many texts, words and characters there are, how many of them are unknown, and which."""

    texts: int = 0
    words: int = 0
    characters: int = 0
    unknown_words: Counter[str] = field(default_factory=Counter)
    unknown_characters: Counter[str] = field(default_factory=Counter)

    @property
    def has_words(self) -> bool:
        """Whether texts are of several words; where they are single ones, nearly all are unknown, and it is the characters that count."""
        return self.words > 1.5 * self.texts

    def as_json(self) -> dict[str, object]:
        """The rates, from 0 to 1 (None for words where texts are single ones), and the most frequent of what is unknown."""
        return {
            "words": self.words,
            "unknown_words": rate(self.unknown_words, self.words) if self.has_words else None,
            "most_frequent": [word for word, _ in self.unknown_words.most_common(MOST_SHOWN)],
            "characters": self.characters,
            "unknown_characters": rate(self.unknown_characters, self.characters),
            "which_characters": [character for character, _ in self.unknown_characters.most_common(MOST_SHOWN)],
        }


class Vocabulary:
    """The words (what stands between white space) and characters of one side of training."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._characters: set[str] = set()

    def add(self, text: str) -> None:
        """Take in a text."""
        if len(self._words) < MOST_WORDS:
            self._words.update(text.split())
        self._characters.update(text)

    def count_unknown(self, text: str, into: Unknown) -> None:
        """Count a text's words and characters."""
        words = text.split()
        into.texts += 1
        into.words += len(words)
        into.characters += len(text)
        into.unknown_words.update(word for word in words if word not in self._words)
        into.unknown_characters.update(character for character in text if character not in self._characters)


def rate(unknown: Counter[str], count: int) -> float:
    """The share of what is unknown, 0 where there is nothing."""
    return sum(unknown.values()) / count if count else 0.0
