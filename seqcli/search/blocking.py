"""Symbols that must not come next: those that would repeat an n-gram, or end a phrase that is to be avoided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqcli.search.demands import Phrase


def ends_of_repetitions(ids: Sequence[int], size: int) -> set[int]:
    """The symbols that, after `ids`, would end an n-gram of `size` symbols that is there already (Paulus et al. 2018, §2.5: trigrams)."""
    start = len(ids) - size + 1
    if start < 1:
        return set()
    last = tuple(ids[start:])
    return {ids[place + size - 1] for place in range(start) if tuple(ids[place : place + size - 1]) == last}


def ends_of_phrases(ids: Sequence[int], phrases: Iterable[Phrase]) -> set[int]:
    """The last symbols of those phrases whose other symbols `ids` ends with."""
    return {
        phrase[-1]
        for phrase in phrases
        if len(phrase) <= len(ids) + 1 and tuple(ids[len(ids) - len(phrase) + 1 :]) == phrase[:-1]
    }
