"""The keys and values of the positions that a decoder has been at, so that a step computes its own alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 16
"""Positions that there is room for at first."""


@dataclass(frozen=True)
class Past:
    """What one layer keeps of A sentences in K slots each (see `types.State`): the first `position` of C cells of (A,C,K,D) are filled. None
    where nothing was read yet."""

    position: int
    sentences: int
    cells: Tensor | None = None

    def extended(self, entries: Tensor) -> Tensor:
        """The cells with those of the next T positions, (A·K,T,D), behind them.

        Where no gradient can be asked for they are written into the room that is left, and where there is none left, the room is doubled: so
        each entry is copied twice at most, and not at every step. Otherwise old and new are joined.
        """
        new = entries.view(self.sentences, -1, *entries.shape[1:]).transpose(1, 2)
        cells, start = self.cells, self.position
        # a compiler can neither ask for the mode nor be used to decode
        if torch.compiler.is_compiling() or not torch.is_inference_mode_enabled():
            return new if cells is None else torch.cat((cells[:, :start], new), dim=1)
        sentences, more, slots, width = new.shape
        end, room = start + more, 0 if cells is None else cells.shape[1]
        if cells is None or end > room:
            larger = new.new_empty(sentences, max(end, 2 * room, SMALLEST), slots, width)
            if cells is not None:
                larger[:, :start] = cells[:, :start]
            cells = larger
        cells[:, start:end] = new
        return cells
