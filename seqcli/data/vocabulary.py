"""Tokenizers with a list of symbols: characters, words, separated symbols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal

from typing_extensions import Self

from seqcli.data.records import record_digest, write_record
from seqcli.data.splitting import (
    Characters,
    Form,
    MarkedCapitals,
    Normalizer,
    Separated,
    Splitter,
    Words,
    WordsAndPunctuation,
)
from seqcli.errors import DataError
from seqcli.symbols import SPECIAL, UNK

Kind = Literal["characters", "words", "symbols"]


@dataclass(frozen=True)
class VocabularyTokenizer:
    """A tokenizer that knows the symbols of the training data; see `Tokenizer` for what it does.

    `features` and `symbols` follow the special symbols in the order of their ids. They are looked up apart from each
    other and from the special symbols, so a text that says `<s>` never becomes BOS.
    """

    kind: Kind
    splitter: Splitter
    normalizer: Normalizer
    features: tuple[str, ...]
    symbols: tuple[str, ...]

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """The tokenizer that `save` wrote."""
        return cls(
            record["kind"],
            _splitter(record["kind"], record["split"], record["separator"]),
            Normalizer(record["lowercase"], record["normalize"]),
            tuple(record["features"]),
            tuple(record["symbols"]),
        )

    @property
    def size(self) -> int:
        """Special symbols, features and symbols."""
        return len(self._labels)

    @cached_property
    def digest(self) -> str:
        """Differs for tokenizers that differ."""
        return record_digest(self._record())

    def encode(self, text: str, features: Sequence[str] = ()) -> list[int]:
        """Ids of features and text."""
        ids = [self._feature_ids.get(feature, UNK) for feature in features]
        find = self._symbol_ids.get
        return ids + [find(symbol, UNK) for symbol in self.split(text)]

    def decode(self, ids: Sequence[int], unknown: Sequence[str] = ()) -> str:
        """The text without special symbols and features; for unknown symbols, one after the other, those given."""
        given = chain(unknown, repeat(self._labels[UNK]))
        written = (i for i in ids if i == UNK or i >= self._first_symbol)
        text = self.splitter.join([next(given) if i == UNK else self._labels[i] for i in written])
        return self.normalizer.composed(text)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """A label for each id."""
        return [self._labels[i] for i in ids]

    def texts(self) -> list[str | None]:
        """The symbols, and None for all before them."""
        return [*[None] * self._first_symbol, *self.symbols]

    def words(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Each symbol by itself; characters up to the next white space together."""
        if self.kind != "characters":
            return [(place, place + 1) for place in range(len(ids))]
        spans: list[tuple[int, int]] = []
        inside = False
        for place, i in enumerate(ids):
            single = i != UNK and i < self._first_symbol
            space = not single and self._labels[i].isspace()
            if inside and not single and not space:
                spans[-1] = (spans[-1][0], place + 1)
            elif not space:
                spans.append((place, place + 1))
            inside = not single and not space
        return spans

    @property
    def splitting(self) -> dict[str, str]:
        """How a text becomes symbols, in words: `split`, and the `separator` of symbols."""
        separator = self.splitter.separator if isinstance(self.splitter, Separated) else " "
        return {"split": _SPLITS.get(type(self.splitter), "whitespace"), "separator": separator}

    def split(self, text: str) -> list[str]:
        """The symbols of the text."""
        return self.splitter.split(self.normalizer(text))

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.json."""
        write_record(folder / f"{name}.json", self._record())

    def _record(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            **self.splitting,
            **asdict(self.normalizer),
            "features": list(self.features),
            "symbols": list(self.symbols),
        }

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        return (*SPECIAL, *self.features, *self.symbols)

    @cached_property
    def _first_symbol(self) -> int:
        return len(SPECIAL) + len(self.features)

    @cached_property
    def _feature_ids(self) -> dict[str, int]:
        return {feature: i for i, feature in enumerate(self.features, start=len(SPECIAL))}

    @cached_property
    def _symbol_ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols, start=self._first_symbol)}


class CannotLearn(DataError):
    """Texts that no tokenizer can be learnt from as it was described."""


def learn_characters(
    texts: Iterable[str],
    *,
    features: Iterable[str] = (),
    lowercase: bool = False,
    normalize: Form = "none",
    marked_capitals: bool = False,
    min_frequency: int = 1,
) -> VocabularyTokenizer:
    """A tokenizer of the characters in `texts` that occur `min_frequency` times; `features` are all tags of the data. With
    `marked_capitals` a capital is a mark and its small letter."""
    splitter = MarkedCapitals() if marked_capitals else Characters()
    return _learn("characters", splitter, Normalizer(lowercase, normalize), texts, features, min_frequency, None)


def learn_words(
    texts: Iterable[str],
    *,
    features: Iterable[str] = (),
    lowercase: bool = False,
    normalize: Form = "none",
    split: Literal["whitespace", "punctuation"] = "whitespace",
    min_frequency: int = 1,
    max_size: int | None = None,
) -> VocabularyTokenizer:
    """A tokenizer of the words in `texts` that occur `min_frequency` times, of the `max_size` most frequent if given."""
    splitter = _splitter("words", split, " ")
    return _learn("words", splitter, Normalizer(lowercase, normalize), texts, features, min_frequency, max_size)


def learn_symbols(
    texts: Iterable[str],
    *,
    features: Iterable[str] = (),
    lowercase: bool = False,
    normalize: Form = "none",
    separator: str = " ",
    min_frequency: int = 1,
    max_size: int | None = None,
) -> VocabularyTokenizer:
    """A tokenizer of the symbols between `separator`s in `texts` that occur `min_frequency` times, of the `max_size` most frequent if given."""
    splitter = Separated(separator)
    return _learn("symbols", splitter, Normalizer(lowercase, normalize), texts, features, min_frequency, max_size)


def _learn(
    kind: Kind,
    splitter: Splitter,
    normalizer: Normalizer,
    texts: Iterable[str],
    features: Iterable[str],
    min_frequency: int,
    max_size: int | None,
) -> VocabularyTokenizer:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(splitter.split(normalizer(text)))
    if not counts:
        raise CannotLearn(f"there is no text to learn {kind} from; every one is empty")
    symbols = tuple(symbol for symbol in by_frequency(counts) if counts[symbol] >= min_frequency)
    if not symbols:
        raise CannotLearn(
            f"none of the {kind} occurs min_frequency = {min_frequency} times; lower it to {max(counts.values())} or less"
        )
    return VocabularyTokenizer(kind, splitter, normalizer, by_frequency(Counter(features)), symbols[:max_size])


def no_words() -> VocabularyTokenizer:
    """The tokenizer of a source that is an image alone: no text has a symbol."""
    return VocabularyTokenizer("words", Words(), Normalizer(), (), ())


def by_frequency(counts: Counter[str]) -> tuple[str, ...]:
    """The keys, the most frequent first, those that are equally frequent in the order of their text."""
    return tuple(sorted(counts, key=lambda symbol: (-counts[symbol], symbol)))


_SPLITS: dict[type, str] = {WordsAndPunctuation: "punctuation", MarkedCapitals: "capitals"}
"""What a tokenizer's file says of the splitters that are not their kind's usual one."""


def _splitter(kind: str, split: str, separator: str) -> Splitter:
    if kind == "characters":
        return MarkedCapitals() if split == "capitals" else Characters()
    if kind == "symbols":
        return Separated(separator)
    if kind == "words":
        return WordsAndPunctuation() if split == "punctuation" else Words()
    raise KeyError(kind)
