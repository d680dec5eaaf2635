"""Several looks at a memory, one after the other, each knowing what the one before has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from seqcli.nn.attention import Attention


class StackedAttention(nn.Module):
    """Attention in hops (Yang et al. 2016, "Stacked Attention Networks", §3.3), each with a score, and a gate, of its own:

        u_1 = query     c_k = attend_k(u_k)     u_{k+1} = W·c_k + u_k

    Its context is the sum of all that was found, c_1 + … + c_N: what answers in the paper is u_{N+1}, which is that sum and the query, and
    W brings a context to the query's width where the paper's values have it already. So a first look that finds the answer is learnt at
    once, and what later ones add, later.

    Its keys are those of all hops, (B,N,S,A), so that the memory is prepared once a sentence.
    """

    def __init__(self, hops: Sequence[Attention], query_size: int, memory_size: int) -> None:
        super().__init__()
        self.hops = nn.ModuleList(hops)
        self.project = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Prepare memory states (B,S,D) for the N hops, once a sentence: (B,N,S,A)."""
        return torch.stack([cast(Attention, hop).keys(states) for hop in self.hops], dim=1)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Queries (B,T,Q), prepared keys (B,N,S,A), values (B,S,D), mask (B,S) → context (B,T,D) of all hops."""
        first, *others = zip(self.hops, keys.unbind(dim=1), strict=True)
        context: Tensor = first[0](query, first[1], values, mask)
        found = context
        for hop, prepared in others:
            query = query + self.project(context)
            context = hop(query, prepared, values, mask)
            found = found + context
        return found
