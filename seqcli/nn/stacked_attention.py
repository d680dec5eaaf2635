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

    Its context is that of the last hop, c_N. The paper's values have the query's width already, and the sum ṽ^k + u^{k-1} of the last
    hop is what answers; here W brings a context to that width, and the last sum is left to the decoder's readout, which gets the
    query beside the context.

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
        """Queries (B,T,Q), prepared keys (B,N,S,A), values (B,S,D), mask (B,S) → context (B,T,D) of the last hop."""
        first, *others = zip(self.hops, keys.unbind(dim=1), strict=True)
        context: Tensor = first[0](query, first[1], values, mask)
        for hop, prepared in others:
            query = query + self.project(context)
            context = hop(query, prepared, values, mask)
        return context
