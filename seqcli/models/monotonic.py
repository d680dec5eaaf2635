"""A recurrent decoder with hard monotonic attention, over which it sums: for tasks that go through the source from one end to the other.

    h_t = cell(e_t, h_{t-1})
    p(a_t | a_{t-1})        where step t looks, never before where the last one looked
    p(y_t | a_t) = softmax(O·tanh(W h_t + U m_{a_t}) + b)
    p(y_t | y_<t) = Σ_j p(a_t = j | y_<t) p(y_t | a_t = j)

A place can also copy: p(y_t | a_t = j) is then the mixture of `nn/pointer.py` of the softmax and the symbol that stands at j.

Exact hard monotonic attention of first order (Wu & Cotterell 2019, "Exact hard monotonic attention for character-level transduction").
A symbol is named from one place, not from an average of places; which place that was is never decided but summed over, by the forward
algorithm of hidden Markov models, so the likelihood is exact and needs no alignment to learn from.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from seqcli.models.bridge import Bridge
from seqcli.models.recurrent import RecurrentDecoder, summary_beside, without
from seqcli.nn.hypotheses import by_sentence
from seqcli.nn.monotonic_attention import MonotonicAttention
from seqcli.nn.pointer import COPIES, mixture_of_one
from seqcli.nn.recurrence import Recurrence
from seqcli.types import Memory, State

LOOKED = "looked"
"""The part of the cache that says at which place the last step looked, before its symbol was known: log-probabilities (R,S)."""
NAMED = "named"
"""The part that says how likely each place was to make each symbol then: log-probabilities (R,S,V)."""


class MonotonicDecoder(RecurrentDecoder):
    """Its features are log-probabilities, since it mixes distributions over the vocabulary.

    `mix_state`, `mix_place` and `projection` are the W, U and O of the formulas; with a `gate`, a linear layer from the width to 1, places copy.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        recurrence: Recurrence,
        bridge: Bridge,
        attention: MonotonicAttention,
        mix_state: nn.Linear,
        mix_place: nn.Linear,
        projection: nn.Linear,
        gate: nn.Linear | None,
        *,
        feed_summary: bool,
        dropout: float,
        embedding_dropout: float,
    ) -> None:
        super().__init__(embedding, recurrence, bridge, dropout=dropout, embedding_dropout=embedding_dropout)
        self.attention = attention
        self.mix_state = mix_state
        self.mix_place = mix_place
        self.projection = projection
        self.gate = gate
        self.feed_summary = feed_summary

    def start(self, memory: Memory) -> State:
        """The state before the first symbol."""
        state = super().start(memory)
        rows, places = memory.mask.shape
        looked = self.attention.start(rows, places)
        # BOS tells nothing of where it was looked
        named = looked.new_zeros(rows, places, self.projection.out_features)
        return replace(state, cache={**state.cache, LOOKED: looked, NAMED: named})

    def constants(self, memory: Memory) -> dict[str, Tensor]:
        """Projected keys (B,S,A), what each place adds to the mixture (B,S,D), mask (B,S), and the top row of the summary, (B,1,D), if steps
        read it."""
        keys, places = self.attention.keys(memory.states), self.mix_place(memory.states)
        fed = {"summary": memory.summary[:, -1:]} if self.feed_summary else {}
        return {"keys": keys, "places": places, "mask": memory.mask, **fed}

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Ids (R,T) from `state` on → log-probabilities (R,T,V) of the symbols after them, and the state."""
        outputs, cache = self.recurrence(self._read(inputs, state), without(state.cache, LOOKED, NAMED))
        keys, mask, sentences = state.memory["keys"], state.memory["mask"], state.memory["mask"].shape[0]
        rows, steps, places = *inputs.shape, mask.shape[1]
        asked = by_sentence(self.dropout(outputs), sentences)
        moves = self.attention(asked, keys, mask).view(rows, steps, places, places)
        mixed = torch.tanh(self.mix_state(asked)[:, :, None] + state.memory["places"][:, None])
        named = self._name(self.dropout(mixed), state).view(rows, steps, places, -1)
        # what each step reads was named by the step before
        read = inputs[:, :, None, None].expand(-1, -1, places, 1)
        fit = torch.cat(
            (state.cache[NAMED][:, None].gather(3, read[:, :1]), named[:, :-1].gather(3, read[:, 1:])), dim=1
        )
        looks = self.attention.follow(moves, state.cache[LOOKED], fit.squeeze(3))
        mixture = torch.logsumexp(looks[..., None] + named, dim=2)
        cache = {**cache, LOOKED: looks[:, -1], NAMED: named[:, -1]}
        return mixture, replace(state, cache=cache, position=state.position + steps)

    def _read(self, inputs: Tensor, state: State) -> Tensor:
        """What the recurrence reads of ids (R,T): their embeddings, beside them the summary if steps read it."""
        embedded: Tensor = self.embedding_dropout(self.embedding(inputs))
        if not self.feed_summary:
            return embedded
        return torch.cat((embedded, summary_beside(embedded, state)), dim=-1)

    def _name(self, mixed: Tensor, state: State) -> Tensor:
        """How likely each place makes each symbol: from (A,K·T,S,D) log-probabilities (A,K·T,S,V). With a gate, a place can also make the
        symbol that stands there itself."""
        scores: Tensor = self.projection(mixed)
        if self.gate is None:
            return scores.log_softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        copies = state.memory[COPIES][:, None, :, None].expand(*scores.shape[:3], 1)
        return mixture_of_one(scores, self.gate(mixed), copies)
