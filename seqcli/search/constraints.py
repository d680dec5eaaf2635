"""Lexical constraints: phrases that every hypothesis holds, by dynamic beam allocation (Post & Vilar 2018).

The places of the beam are shared out among banks, one for each number of constraint symbols that are written, so that hypotheses with
few of them do not crowd out those with many. A phrase counts as written where its symbols stand next to each other; one that was begun and not
gone on with counts for nothing. Phrases may overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from seqcli.search.demands import Phrase
from seqcli.search.hypotheses import IMPOSSIBLE, Extensions
from seqcli.symbols import EOS

Progress = tuple[int, ...]
"""For each phrase how many of its symbols a hypothesis ends with; all of them from where it is written on."""


def go_on(phrases: Sequence[Phrase], progress: Progress, symbol: int) -> Progress:
    """The progress after one more symbol."""
    return tuple(_matched(phrase, count, symbol) for phrase, count in zip(phrases, progress, strict=True))


def _matched(phrase: Phrase, count: int, symbol: int) -> int:
    if count == len(phrase):
        return count
    while count and phrase[count] != symbol:
        count = _borders(phrase)[count - 1]
    return count + 1 if phrase[count] == symbol else 0


@lru_cache(maxsize=4096)
def _borders(phrase: Phrase) -> tuple[int, ...]:
    """For each beginning of the phrase, how long the longest shorter beginning is that it ends with (Knuth, Morris & Pratt 1977)."""
    borders = [0]
    for symbol in phrase[1:]:
        count = borders[-1]
        while count and phrase[count] != symbol:
            count = borders[count - 1]
        borders.append(count + 1 if phrase[count] == symbol else 0)
    return tuple(borders)


def missing(phrases: Sequence[Phrase], progress: Progress) -> int:
    """How many symbols will do to write all phrases that are not yet written: one that is begun is gone on with first."""
    open_phrases = [
        (len(phrase), count) for phrase, count in zip(phrases, progress, strict=True) if count < len(phrase)
    ]
    return sum(length for length, _ in open_phrases) - max((count for _, count in open_phrases), default=0)


def wanted(phrases: Sequence[Phrase], progress: Progress) -> set[int]:
    """The symbols that begin a phrase that is not yet written, or go on with it."""
    return {phrase[count] for phrase, count in zip(phrases, progress, strict=True) if count < len(phrase)}


def urgent(phrases: Sequence[Phrase], progress: Progress) -> set[int]:
    """Those of the `wanted` symbols that make what is `missing` one less."""
    open_phrases = [
        (count, phrase[count]) for phrase, count in zip(phrases, progress, strict=True) if count < len(phrase)
    ]
    most = max((count for count, _ in open_phrases), default=0)
    return {symbol for count, symbol in open_phrases if count == most}


def shares(candidates: Sequence[int], places: int) -> list[int]:
    """How many of `places` each bank gets that has so many `candidates`: an equal share, the fullest bank the rest; what a bank cannot
    use goes to those with more symbols written first."""
    given = [places // len(candidates)] * len(candidates)
    given[-1] += places % len(candidates)
    spare = sum(max(0, share - count) for share, count in zip(given, candidates, strict=True))
    given = [min(share, count) for share, count in zip(given, candidates, strict=True)]
    for bank in reversed(range(len(given))):
        more = min(spare, candidates[bank] - given[bank])
        given[bank] += more
        spare -= more
    return given


def by_banks(
    extensions: Extensions, phrases: Sequence[Phrase], progress: Sequence[Progress], size: int
) -> tuple[list[int], list[int]]:
    """Of the places in `extensions`, best first, those that end in EOS and those that live on, at most `size`; `progress` is that of each row.

    Candidates are the `size` best, all that go on with a phrase, and the best extension of each row (Post & Vilar 2018, §3.2).
    """
    symbols = sum(map(len, phrases))
    banks: list[list[int]] = [[] for _ in range(symbols + 1)]
    whole: list[tuple[int, int]] = []  # what ends, and how many of its bank are better
    seen: set[int] = set()
    for place, (total, parent, symbol, _) in enumerate(zip(*extensions, strict=True)):
        if total == IMPOSSIBLE:
            break
        before = progress[parent]
        if place < size or parent not in seen or symbol in wanted(phrases, before):
            if symbol == EOS:
                whole.append((place, len(banks[-1])))
            else:
                banks[symbols - missing(phrases, go_on(phrases, before, symbol))].append(place)
        seen.add(parent)
    given = shares([len(bank) for bank in banks], size)
    ending = [place for place, better in whole if place < size or better < max(1, given[-1])]
    return ending, sorted(place for bank, count in zip(banks, given, strict=True) for place in bank[:count])
