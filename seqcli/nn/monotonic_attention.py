"""Hard attention that moves in one direction: at each step one place of the memory is looked at, none that lies before the last one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.nn.attention import Score
from seqcli.nn.pointer import NEVER
from seqcli.nn.trace import record


class MonotonicAttention(nn.Module):
    """Where a step looks, given where the last one looked: a Markov chain over the places (Wu & Cotterell 2019, §3.2).

        p(a_t = j | a_{t-1} = i) = softmax over j ≥ i of score(query_t, key_j) + shift[min(j - i, reach)]

    `shift` is learnt: how likely it is to stay, and to go on by 1, 2, …, `reach` or more places.
    """

    def __init__(self, score: Score, reach: int) -> None:
        super().__init__()
        self.score = score
        self.shift = nn.Parameter(torch.zeros(reach + 1))

    def keys(self, states: Tensor) -> Tensor:
        """Prepare memory states (B,S,D), once a sentence."""
        return self.score.keys(states)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Queries (B,T,Q), prepared keys (B,S,A), mask (B,S) → log p(a_t = j | a_{t-1} = i), (B,T,S,S), i before j."""
        scores = self.score(query, keys)
        places = torch.arange(keys.shape[1], device=keys.device)
        ahead = places[None, :] - places[:, None]
        shift = self.shift.index_select(0, ahead.clamp(0, len(self.shift) - 1).flatten()).view_as(ahead)
        allowed = (ahead >= 0) & mask[:, None, None, :]
        moves = (scores[:, :, None, :] + shift).masked_fill(~allowed, NEVER)
        return torch.log_softmax(moves, dim=-1, dtype=torch.promote_types(moves.dtype, torch.float32))

    def follow(self, moves: Tensor, before: Tensor, fit: Tensor) -> Tensor:
        """Where each of T steps looks, before its symbol is known: log-probabilities (B,T,S).

        `moves (B,T,S,S)` are the transitions, `before (B,S)` where the step before the first one looked, before its symbol was known, and
        `fit (B,T,S)` how likely each place made the symbol that each step reads: p(y_{t-1} | a_{t-1}), in logarithms.
        """
        looks = []
        for move, likely in zip(moves.unbind(1), fit.unbind(1), strict=True):
            # Bayes: where it was looked, now that the symbol is known
            known = torch.log_softmax(before + likely, dim=-1)
            before = torch.logsumexp(known[:, :, None] + move, dim=1)
            looks.append(before)
        found = torch.stack(looks, dim=1)
        record(self, found.exp()[:, None])
        return found

    def start(self, rows: int, places: int) -> Tensor:
        """Before the first step the first place is looked at: (B,S)."""
        place = torch.arange(places, device=self.shift.device)
        return torch.where(place == 0, 0.0, NEVER).to(self.shift.dtype).expand(rows, places)
