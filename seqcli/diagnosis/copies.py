"""Which rows say the same: keys of texts, and pairs that stand twice in a split or in two splits."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WORDS_TO_COMPARE = 3
"""A text of fewer words may differ from another in case or marks and nothing else, and mean it."""


class Keys:
    """A number of 64 bits for each row of a split and each way to compare: the pair, the pair but for case, spaces and outer marks, and
    the source, likewise."""

    def __init__(self) -> None:
        self._pair, self._near, self._source = array("q"), array("q"), array("q")

    def add(self, source: str, target: str, others: str) -> bool:
        """Take in a row; `others` is what else the source has, its tags and its image. Whether both sides say the same."""
        plain_source, plain_target = plain(source), plain(target)
        self._pair.append(hash((source, target, others)))
        self._near.append(hash((plain_source, plain_target, others)))
        self._source.append(hash((plain_source, others)))
        return plain_source == plain_target

    @property
    def pairs(self) -> NDArray[np.int64]:
        """The pairs as they are."""
        return np.frombuffer(self._pair, dtype=np.int64) if self._pair else np.empty(0, np.int64)

    @property
    def near(self) -> NDArray[np.int64]:
        """The pairs but for case, spaces and outer marks."""
        return np.frombuffer(self._near, dtype=np.int64) if self._near else np.empty(0, np.int64)

    @property
    def sources(self) -> NDArray[np.int64]:
        """The sources but for case, spaces and outer marks."""
        return np.frombuffer(self._source, dtype=np.int64) if self._source else np.empty(0, np.int64)


def plain(text: str) -> str:
    """A text without what two copies of a sentence may differ in: case, spaces, and the marks around its words."""
    if len(text.split()) < WORDS_TO_COMPARE:
        return text
    marks = _marks()
    words = (word.strip(marks) for word in unicodedata.normalize("NFC", text).casefold().split())
    return " ".join(filter(None, words)) or text


def first_places(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each key the place where it stands first."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])


def places_in(keys: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each key the first place where it stands among the others, -1 where it does not."""
    if not len(others):
        return np.full(len(keys), -1)
    known, first = np.unique(others, return_index=True)
    places = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.where(known[places] == keys, first[places], -1)


def repeated(text: str, times: int = 4) -> str | None:
    """What a text says over and over: a word `times` times one after the other, a phrase of up to four words as often, or a letter
    eight times; None for any other text."""
    words = text.split()
    # a loop leaves few different words
    if len(words) >= times and len(set(words)) <= len(words) - times + 1:
        for period in range(1, 5):
            if (start := _loop(words, period, times)) is not None:
                return " ".join(words[start : start + period])
    found = LETTER.search(text)
    return found[0] if found else None


LETTER = re.compile(r"([^\W\d_])\1{7}")


def _loop(words: Sequence[str], period: int, times: int) -> int | None:
    """Where a phrase of `period` words starts that stands `times` times in a row."""
    run, needed = 0, period * (times - 1)
    for place in range(len(words) - period):
        run = run + 1 if words[place] == words[place + period] else 0
        if run == needed:
            start = place - needed + 1
            return start if any(any(map(str.isalnum, word)) for word in words[start : start + period]) else None
    return None


@lru_cache(maxsize=1)
def _marks() -> str:
    """All punctuation marks."""
    return "".join(chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] == "P")
