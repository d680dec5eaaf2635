"""Coverage: each look knows how much all looks before it have given to each place of the memory.

    e_t,s = v·tanh(Wq_t + Uk_s + w·c_t,s)        a_t = softmax_s(e_t)        c_t = Σ_{t'<t} a_t'

(Tu et al. 2016, "Modeling coverage for neural machine translation", §3.1, with what See, Liu & Manning 2017, "Get to the point", §2.3, eq. 10 and
11, accumulate). What looks twice is told to the loss too (eq. 12 and 13):

    Σ_t Σ_s min(a_t,s, c_t,s)

This is part of a model and of its training. The coverage penalty of a search (Wu et al. 2016, `search/penalties.py`) is something else: it ranks
what a model has written, whatever the model is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn.attention import AdditiveScore, gated, weights_of
from seqcli.nn.trace import record
from seqcli.types import Memory


class CoverageAttention(nn.Module):
    """As `Attention` with an additive score, one step at a time, each of which is handed the coverage and hands on its own."""

    def __init__(self, score: AdditiveScore, gate: nn.Linear | None = None) -> None:
        super().__init__()
        self.score = score
        self.gate = gate
        self.covered = nn.Linear(1, score.vector.in_features, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Prepare memory states (B,S,D), once a sentence."""
        return self.score.keys(states)

    def start(self, memory: Memory) -> Tensor:
        """Before the first step nothing is covered: zeros (B,S), in float32 at least, as what is summed up in them."""
        precise = torch.promote_types(memory.states.dtype, torch.float32)
        return torch.zeros_like(memory.mask, dtype=precise)

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, covered: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The queries (B,K,Q) of K hypotheses, prepared keys (B,S,A), values (B,S,D), mask (B,S), and what each hypothesis has covered, (B,K,S)
        → context (B,K,D), and what is covered then, (B,K,S)."""
        mixed = torch.tanh(self.score.query(query)[:, :, None] + keys[:, None] + self.covered(covered[..., None]))
        scores = F.linear(mixed, self.score.vector.weight).squeeze(-1)
        weights = weights_of(scores, mask)
        record(self, weights[:, None])
        return gated(weights.to(values.dtype) @ values, query, self.gate), covered + weights


def coverage_loss(weights: Sequence[Tensor], steps: Tensor) -> Tensor:
    """Σ_t Σ_s min(a_t,s, c_t,s), summed over the sentences, in float32 at least: 0 where no place is looked at twice, and never more than the
    number of steps.

    `weights`, one (B,H,T,S) or more, are those of the layers or hops; a is the mean of all their heads. Steps t are those where
    `steps (B,T)` is True.
    """
    heads = torch.cat(list(weights), dim=1)
    looks = heads.to(torch.promote_types(heads.dtype, torch.float32)).mean(dim=1)
    covered = looks.cumsum(dim=1) - looks
    return (torch.minimum(looks, covered) * steps[:, :, None]).sum()
