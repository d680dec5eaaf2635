"""The Levenshtein distance, on which word, phoneme and character error rates stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence


def edit_distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """The fewest insertions, deletions and substitutions that turn `first` into `second`.

    The bit-parallel form of the dynamic programme (Myers 1999, in the wording of Hyyrö 2003, "A Bit-Vector Algorithm for
    Computing Levenshtein and Damerau Edit Distances", figure 3): a column of the table is two integers whose bits say where
    it goes up or down by one, so that each symbol of `second` costs a dozen operations on whole columns. Python's integers
    have as many bits as `first` has symbols.
    """
    if not first:
        return len(second)
    places: defaultdict[Hashable, int] = defaultdict(int)
    for place, symbol in enumerate(first):
        places[symbol] |= 1 << place
    column, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    rises, falls, distance = column, 0, len(first)
    for symbol in second:
        matches = places.get(symbol, 0) | falls
        diagonal = (((matches & rises) + rises) ^ rises) | matches
        right_rises = falls | (column & ~(diagonal | rises))
        right_falls = diagonal & rises
        distance += bool(right_rises & last) - bool(right_falls & last)
        # The top row of the table counts the symbols of `second`: it always rises, hence the 1 that is shifted in.
        right_rises, right_falls = right_rises << 1 | 1, right_falls << 1
        rises = column & (right_falls | ~(diagonal | right_rises))
        falls = column & right_rises & diagonal
    return distance
