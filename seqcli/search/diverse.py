"""Diverse beam search: groups of hypotheses, of which each is kept from writing what those before it have just written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seqcli.search.hypotheses import Extensions


def unlike(extensions: Extensions, places: Sequence[int], used: Mapping[int, int], diversity: float) -> list[int]:
    """The `places` of a group's extensions, ordered by total - diversity · how often the groups before have chosen the symbol in this step:
    the Hamming diversity of Vijayakumar et al. 2018, §3 and §5.1. It counts in this step's choice alone; a total stays what it is."""
    return sorted(
        places,
        key=lambda place: extensions.totals[place] - diversity * used.get(extensions.symbols[place], 0),
        reverse=True,
    )
