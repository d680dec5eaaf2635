"""Examples of one length, so that what happens at a step of one can be compared with the same step of another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from seqcli.errors import DataError
from seqcli.evaluation.translator import Translator
from seqcli.symbols import Example
from seqcli.types import Batch

SCANNED = 5000
"""Examples that are looked through."""

Pair = tuple[Example, list[int], list[int]]


def batch_of_one_length(
    translator: Translator, examples: Iterable[Example], *, count: int, length: int | None = None
) -> Batch:
    """At most `count` of the first examples whose sources are of one length, and whose targets are, side by side.

    With a `length` in symbols, EOS not counted, sources are as long as that; else they are as long as there are `count` of,
    and if of no length there are, of the length that most are of. DataError where there is none of that length, or none at all.
    """
    by_lengths: dict[tuple[int, int], list[Pair]] = {}
    for example in itertools.islice(examples, SCANNED):
        source, target = translator.encode(example), translator.encode_target(example.target or "")
        if len(target) > 1 and (len(source) > 1 or example.image is not None):
            by_lengths.setdefault((len(source), len(target)), []).append((example, source, target))
    if length is not None:
        by_lengths = _of_length(by_lengths, length)
    if not by_lengths:
        raise DataError("there are no examples to look at")
    enough = [lengths for lengths, found in by_lengths.items() if len(found) >= count]
    chosen = (
        max(enough) if enough and length is None else max(by_lengths, key=lambda each: (len(by_lengths[each]), each))
    )
    pairs = by_lengths[chosen][:count]
    return translator.batch(
        [example for example, _, _ in pairs],
        [target for _, _, target in pairs],
        sources=[source for _, source, _ in pairs],
    )


def _of_length(by_lengths: dict[tuple[int, int], list[Pair]], length: int) -> dict[tuple[int, int], list[Pair]]:
    found = {lengths: pairs for lengths, pairs in by_lengths.items() if lengths[0] == length + 1}
    if not found and by_lengths:
        sources = [source - 1 for source, _ in by_lengths]
        raise DataError(
            f"no source among the first {SCANNED:,} examples has {length} symbols; they have {min(sources)} to {max(sources)}"
        )
    return found
