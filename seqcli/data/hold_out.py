"""Examples that are set aside: a corpus parted into what is learnt from and what is scored.

Which part an example belongs to follows from what it asks, by a hash, and from nothing else: not from its place in the file, nor from chance. So
no source is in two parts, however often it occurs, and every reading of the same data, in whatever order, parts it alike.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from seqcli.data.corpus import Corpus
from seqcli.errors import DataError
from seqcli.symbols import Example

MOST = 2000
"""Different sources that a part which is set aside has at most: more take long to translate and say little more."""


def hold_out(corpus: Corpus, share: float, parts: Sequence[str]) -> dict[str, Corpus]:
    """The corpus in parts: `train`, and those named by `parts`, which share `share` of the different sources between them.

    Each of them has one source at least and `MOST` at most. Sources that differ in case or spaces alone are one, and so are all questions about one
    image. Reading a part raises `DataError` where nothing would be left to learn from.
    """

    @cache
    def ends() -> list[int]:
        """The number below which each of `parts` ends: its sources are those with the next smallest numbers."""
        numbers = np.unique(np.fromiter(map(_number, corpus.read()), dtype=np.uint64))
        size = max(1, min(MOST, round(share * len(numbers) / len(parts))))
        if len(numbers) <= size * len(parts):
            raise DataError(
                f"{corpus.name}: {len(numbers)} different sources are too few to set some aside for {' and '.join(parts)} "
                f"(data.hold_out is {share:g}); name these splits, or let data.hold_out=null set none aside"
            )
        return [int(numbers[size * place]) for place in range(1, len(parts) + 1)]

    def only(part: int) -> Callable[[], Iterator[Example]]:
        def read() -> Iterator[Example]:
            limits = ends()
            index = 0
            for example in corpus.read():
                number = _number(example)
                if sum(number >= limit for limit in limits) == part:
                    yield replace(example, index=index)
                    index += 1

        return read

    def described(name: str) -> Callable[[], str]:
        return lambda: f"{corpus.digest()}, {name} of {share} held out for {', '.join(parts)}"

    names = [*parts, "train"]
    return {name: Corpus(corpus.name, only(place), described(name)) for place, name in enumerate(names)}


def _number(example: Example) -> int:
    """The number of 64 bits of what an example asks: of its image, or else of its source."""
    image = example.image
    if image is None:
        asked = " ".join(unicodedata.normalize("NFC", example.source).casefold().split()).encode()
    elif isinstance(image, np.ndarray):
        asked = image.tobytes()
    else:
        asked = image.encode("utf-8", "surrogateescape") if isinstance(image, str) else image
    return int.from_bytes(hashlib.blake2b(asked, digest_size=8, person=b"hold_out").digest(), "big")
