"""Data that needs no file and no network: dates in 24 locales, and the algorithmic tasks copy, reverse and sort."""

from __future__ import annotations

import gzip
import hashlib
import string
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import resources
from itertools import zip_longest
from random import Random
from typing import Literal

from typing_extensions import assert_never

from seqcli.data.corpus import Corpus, Split
from seqcli.data.date_links import date_links
from seqcli.errors import DataError
from seqcli.symbols import Example, Link

HELD_OUT_SHARE = 20
"""One string in so many is kept for validation, and one for the test."""


def examples_of(split: Split, training: int) -> int:
    """How many examples a split has where so many are learnt from: validation and test have a twentieth of that, at least 100."""
    return training if split == "train" else max(100, training // 20)


def read_dates(split: Split, locales: Sequence[str] | None = None) -> Corpus:
    """Dates as people write them → ISO 8601, from CLDR: `samstag, 5. märz 2011` → `2011-03-05`.

    The locales take turns, so that the beginning of the corpus has all of them. No date of one split is in another. The examples have
    the links of `date_links`.
    """
    known = sorted(_dates())
    chosen = known if locales is None else sorted(set(locales))
    for locale in chosen:
        if locale not in known:
            raise DataError(f"dates: there is no locale {locale!r}; there are: {', '.join(known)}")
    if not chosen:
        raise DataError("dates: no locale is chosen")

    def read() -> Iterator[Example]:
        rows = [[(locale, *pair) for pair in _dates()[locale][split]] for locale in chosen]
        turns = (row for turn in zip_longest(*rows) for row in turn if row is not None)
        for index, (locale, source, target) in enumerate(turns):
            links = date_links(locale, source, target)
            yield Example(source, target, index, f"dates:{split}:{index + 1}", links=links)

    return Corpus(f"dates ({split})", read, lambda: f"dates {_dates_digest()} {split} {chosen}")


def read_algorithmic(
    kind: Literal["copy", "reverse", "sort"],
    split: Split,
    *,
    seed: int = 1,
    alphabet: int = 10,
    shortest: int = 1,
    longest: int = 10,
    examples: int = 10000,
) -> Corpus:
    """Random strings of the first `alphabet` letters, and what becomes of them: the same, backwards, or in order.

    The examples have links, each letter to itself. `examples` counts the training split; the others have a twentieth of that, at least
    100. Strings repeat within a split, but none is in two of them, unless there are too few strings for that.
    """
    if shortest > longest:
        raise DataError(f"{kind}: shortest ({shortest}) is more than longest ({longest})")
    count = examples_of(split, examples)

    def read() -> Iterator[Example]:
        random = Random(f"{seed} {split}")
        for index in range(count):
            source = _draw(random, split, seed, string.ascii_lowercase[:alphabet], shortest, longest)
            target, origin = _answer(kind, source), f"{kind}:{split}:{index + 1}"
            yield Example(source, target, index, origin, links=_answer_links(kind, source, target))

    digest = f"{kind} 1 {split} {seed} {alphabet} {shortest} {longest} {count}"
    return Corpus(f"{kind} ({split})", read, lambda: digest)


def _answer(kind: Literal["copy", "reverse", "sort"], source: str) -> str:
    match kind:
        case "copy":
            return source
        case "reverse":
            return source[::-1]
        case "sort":
            return "".join(sorted(source))
        case _:
            assert_never(kind)


def _answer_links(kind: Literal["copy", "reverse", "sort"], source: str, target: str) -> tuple[Link, ...]:
    """Which letter became which, in the order of the target; of equal letters that were sorted, each possibly became each."""
    if kind == "sort":
        return tuple(
            Link(read, place, source.count(letter) == 1)
            for place, letter in enumerate(target)
            for read, other in enumerate(source)
            if other == letter
        )
    last = len(source) - 1
    return tuple(Link(place if kind == "copy" else last - place, place) for place in range(len(source)))


def _draw(random: Random, split: Split, seed: int, letters: str, shortest: int, longest: int) -> str:
    """A string of the split. Which split a string is in follows from the string itself, so the splits never meet."""
    for _ in range(1000):
        text = "".join(random.choices(letters, k=random.randint(shortest, longest)))
        if split_of(text, seed) == split:
            return text
    # With a handful of strings in all, a split may have none of its own.
    return text


def split_of(text: str, seed: int) -> Split:
    """The split that an example made of `text` belongs to: one in `HELD_OUT_SHARE` is validation, one test, the rest train."""
    place = hashlib.blake2b(f"{seed} {text}".encode(), digest_size=8).digest()
    match int.from_bytes(place, "big") % HELD_OUT_SHARE:
        case 0:
            return "test"
        case 1:
            return "validation"
        case _:
            return "train"


def _dates_file() -> bytes:
    return resources.files("seqcli.data").joinpath("dates.tsv.gz").read_bytes()


@lru_cache(maxsize=1)
def _dates() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """The shipped pairs by locale and split."""
    dates: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for line in gzip.decompress(_dates_file()).decode("utf-8").splitlines():
        locale, split, source, target = line.split("\t")
        splits = dates.setdefault(locale, {"train": [], "validation": [], "test": []})
        splits[split].append((source, target))
    for locale, splits in dates.items():
        for split, pairs in splits.items():
            # The file is sorted by text, which packs better than it learns.
            Random(f"{locale} {split}").shuffle(pairs)
    return dates


@lru_cache(maxsize=1)
def _dates_digest() -> str:
    return hashlib.blake2b(_dates_file(), digest_size=8).hexdigest()
