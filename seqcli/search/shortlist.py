"""A short list of the target symbols that a source can need, so that the others need not be scored (Jean et al. 2015, "On using very large
target vocabulary", §3.2; L'Hostis et al. 2016, "Vocabulary selection strategies")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqcli.search.hypotheses import IMPOSSIBLE
from seqcli.symbols import SPECIAL


@dataclass(frozen=True)
class Shortlist:
    """What may be written: symbols that are `usual` in any target (n,), and for each source symbol its `best` translations (V,m), -1 where
    there are fewer; and, where both sides have one vocabulary (`shared`), the source's own symbols, such as those of names."""

    best: Tensor
    usual: Tensor
    size: int
    """Symbols of the whole target vocabulary."""
    shared: bool

    def candidates(self, sources: Tensor, mask: Tensor, more: Sequence[Iterable[int]] = ()) -> tuple[Tensor, Tensor]:
        """The symbols (U,) that any of the sources (A,S) with mask (A,S) can need, in rising order, the special ones first; and (A,U) what to
        add to the score of each: 0, or -inf where it is not on a sentence's own list. `more` are symbols that each must have, too."""
        device = sources.device
        listed = torch.zeros(len(sources), self.size + 1, dtype=torch.bool, device=device)
        listed[:, : len(SPECIAL)] = True
        listed[:, self.usual.to(device)] = True
        rows, places = mask.nonzero(as_tuple=True)
        read = sources[rows, places]
        found = self.best.to(device)[read]
        # what there is not of translations goes to a place behind the vocabulary
        listed[rows[:, None].expand_as(found), torch.where(found < 0, self.size, found)] = True
        if self.shared:
            listed[rows, read] = True
        for row, symbols in enumerate(more):
            listed[row, list(symbols)] = True
        listed = listed[:, : self.size]
        columns = listed.any(dim=0).nonzero().squeeze(1)
        own = listed[:, columns]
        return columns, torch.zeros(own.shape, device=device).masked_fill_(~own, IMPOSSIBLE)
