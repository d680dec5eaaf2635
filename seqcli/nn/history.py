"""The keys and values of the positions that a decoder has been at, so that a step computes its own alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 16
"""Positions that there is room for at first."""


@dataclass(frozen=True)
class Past:
    """Keys and values of one layer, of A sentences in K slots each (see `types.State`): the first `position` of C cells of (A,C,K,D) are
    filled. None where nothing was read yet."""

    position: int
    sentences: int
    keys: Tensor | None = None
    values: Tensor | None = None

    def extended(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The two with those of the next T positions, (A·K,T,D) each."""
        entries = (part.view(self.sentences, -1, *part.shape[1:]).transpose(1, 2) for part in (keys, values))
        grown = (_put(old, new, self.position) for old, new in zip((self.keys, self.values), entries, strict=True))
        keys, values = grown
        return keys, values


def _put(cells: Tensor | None, entries: Tensor, position: int) -> Tensor:
    """`entries (A,T,K,D)` behind the first `position` of the cells (A,C,K,D).

    Where no gradient can be asked for they are written into the room that is left, and where there is none left, the room is doubled: so
    each entry is copied twice at most, and not at every step. Otherwise old and new are joined.
    """
    if not torch.is_inference_mode_enabled():
        return entries if cells is None else torch.cat((cells[:, :position], entries), dim=1)
    sentences, more, slots, width = entries.shape
    end, room = position + more, 0 if cells is None else cells.shape[1]
    if cells is None or end > room:
        larger = entries.new_empty(sentences, max(end, 2 * room, SMALLEST), slots, width)
        if cells is not None:
            larger[:, :position] = cells[:, :position]
        cells = larger
    cells[:, position:end] = entries
    return cells
