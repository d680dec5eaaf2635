"""Which target symbols translate which source symbols, learnt from pairs: Model 1 of Brown et al. 1993, §4.

    t(f|e) ← c(f|e) / Σ_f' c(f'|e)       c(f|e) = Σ over pairs, and over each f in them, of t(f|e) / Σ_e' t(f|e')

where e runs over the source's symbols and an empty one, so that what belongs to no source symbol need not be blamed on one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

ROUNDS = 5
"""Of expectation and maximisation; the likelihood hardly grows after them."""
MOST_CELLS = 30_000_000
"""Pairs of a source and a target symbol that are looked at, at most, which bounds time and memory; the rest of the data is not read."""

Ids = NDArray[np.int64]
Symbols = Sequence[int] | NDArray[np.int32]
Pair = tuple[Symbols, Symbols]


def translation_table(pairs: Iterable[Pair], source_size: int, target_size: int, best: int) -> Ids:
    """The `best` target symbols of each source symbol, most likely first, (source_size,best), -1 where there are no more.

    `pairs` are the ids of both sides. Symbols that never met in a pair are never each other's translation.
    """
    empty = source_size  # the symbol that every source has besides its own
    cells, starts = _cells(pairs, empty, target_size)
    met, places = np.unique(cells, return_inverse=True)
    of_source = met // target_size
    probabilities = np.ones(len(met))
    for _ in range(ROUNDS if len(met) else 0):
        shares = probabilities[places]
        totals = np.add.reduceat(shares, starts)
        shares /= np.repeat(totals, np.diff(starts, append=len(shares)))
        counts = np.bincount(places, shares, len(met))
        probabilities = counts / np.bincount(of_source, counts, source_size + 1)[of_source]
    order = np.lexsort((met, -probabilities, of_source))
    found = np.full((source_size + 1, best), -1)
    first = np.searchsorted(of_source[order], np.arange(source_size + 1))
    rank = np.arange(len(order)) - first[of_source[order]]
    kept = rank < best
    found[of_source[order][kept], rank[kept]] = met[order][kept] % target_size
    return found[:source_size]


def _cells(pairs: Iterable[Pair], empty: int, target_size: int) -> tuple[Ids, Ids]:
    """Every target symbol of every pair beside every source symbol, as source × target_size + target, the sources of one target symbol
    side by side, and where each such row starts."""
    parts: list[Ids] = []
    widths: list[Ids] = []
    for sources, targets in _within(pairs):
        rows = np.array([*sources, empty]) * target_size
        parts.append((np.array(targets)[:, None] + rows).ravel())
        widths.append(np.full(len(targets), len(rows)))
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ends = np.cumsum(np.concatenate(widths))
    return np.concatenate(parts), np.concatenate(([0], ends[:-1]))


def _within(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The first of the pairs that together have no more than `MOST_CELLS`."""
    cells = 0
    for sources, targets in pairs:
        cells += (len(sources) + 1) * len(targets)
        if cells > MOST_CELLS:
            return
        if len(targets):
            yield sources, targets
