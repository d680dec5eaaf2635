"""Recurrent encoders and decoders: tanh RNN, LSTM and GRU, without attention or with any score.

The decoders differ in when a step looks at the source:

    plain      h_t = cell(e_t, h_{t-1})                                          (Sutskever et al. 2014; Cho et al. 2014)
    Luong      h_t = cell(e_t [; f_{t-1}], h_{t-1})     c_t = attend(h_t)        (Luong et al. 2015, §3)
    Bahdanau   c_t = attend(h_{t-1})     h_t = cell([e_t; c_t], h_{t-1})         (Bahdanau et al. 2015, §3.1)

with e the embedded symbol, h the state, c the context and f the features that the output layer reads. With coverage (See et al. 2017, §2.3) a
look also knows what the looks before it were at, in either order.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from seqcli.models.bridge import Bridge
from seqcli.nn.attention import Attention
from seqcli.nn.coverage import CoverageAttention
from seqcli.nn.dropout import Dropout
from seqcli.nn.hypotheses import by_sentence, to_hypotheses
from seqcli.nn.layers import Readout
from seqcli.nn.recurrence import Recurrence
from seqcli.nn.stacked_attention import StackedAttention
from seqcli.types import Batch, Memory, State

FED = "fed"
"""The part of a decoder's cache that has the features of the last step, (R,1,D), where they are fed to the next."""
COVERED = "covered"
"""The part that has what all steps together have given to each place of the memory, (R,S), where a look knows it."""


class RecurrentEncoder(nn.Module):
    """Reads the source symbol by symbol; the memory is the top layer's state after each of them."""

    def __init__(
        self, embedding: nn.Embedding, recurrence: Recurrence, *, dropout: float, embedding_dropout: float
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.recurrence = recurrence
        self.embedding_dropout = Dropout(embedding_dropout)
        self.dropout = Dropout(dropout)

    def forward(self, batch: Batch) -> Memory:
        """Source ids (B,S) → Memory with states (B,S,D), D doubled by a second direction."""
        mask = batch.source_mask
        embedded = self.embedding_dropout(self.embedding(batch.source))
        states, final = self.recurrence.read(embedded, batch.lengths)
        return Memory(self.dropout(states), mask, final["hidden"], final.get("cell"))


class RecurrentDecoder(nn.Module):
    """What recurrent decoders share: the start, and the walk over the given symbols, for which a subclass says how to `advance`.

    Where nothing that a step looks at enters the next step's input, all given symbols go through the recurrence in one call; otherwise
    one by one. A decoder that walks in another way has a `forward` of its own (`models/monotonic.py`).
    """

    one_by_one = False

    def __init__(
        self,
        embedding: nn.Embedding,
        recurrence: Recurrence,
        bridge: Bridge,
        *,
        dropout: float,
        embedding_dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.recurrence = recurrence
        self.bridge = bridge
        self.embedding_dropout = Dropout(embedding_dropout)
        self.dropout = Dropout(dropout)

    def start(self, memory: Memory) -> State:
        """The state before the first symbol."""
        return State(self.constants(memory), self.bridge(memory))

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Ids (B,T) from `state` on → features (B,T,D), and the state after them."""
        embedded = self.embedding_dropout(self.embedding(inputs))
        width = 1 if self.one_by_one else inputs.shape[1]
        features = []
        for part in embedded.split(width, dim=1):
            feature, cache = self.advance(part, state)
            state = replace(state, cache=cache, position=state.position + part.shape[1])
            features.append(feature)
        return torch.cat(features, dim=1) if len(features) > 1 else features[0], state

    def constants(self, memory: Memory) -> dict[str, Tensor]:
        """What every step needs of the memory, prepared once."""
        raise NotImplementedError

    def advance(self, embedded: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """Embedded symbols (B,T,E), T = 1 where steps go one by one → features (B,T,D) and the new cache."""
        raise NotImplementedError


def summary_beside(embedded: Tensor, state: State) -> Tensor:
    """The summary in a state's memory, (A,1,D), for each of the embedded symbols (R,T,E): (R,T,D)."""
    return to_hypotheses(state.memory["summary"], embedded.shape[0]).expand(-1, embedded.shape[1], -1)


def without(cache: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    """The parts of a cache that are the recurrence's own: all but those with these names."""
    return {name: part for name, part in cache.items() if name not in names}


class PlainDecoder(RecurrentDecoder):
    """No attention: the source is in the first state (Sutskever et al. 2014, §2), with `readout` also in every step's input
    and output (Cho et al. 2014, §2.2)."""

    def __init__(
        self,
        embedding: nn.Embedding,
        recurrence: Recurrence,
        bridge: Bridge,
        readout: Readout | None,
        *,
        dropout: float,
        embedding_dropout: float,
    ) -> None:
        super().__init__(embedding, recurrence, bridge, dropout=dropout, embedding_dropout=embedding_dropout)
        self.readout = readout

    def constants(self, memory: Memory) -> dict[str, Tensor]:
        """The top row of the summary, (B,1,D), if steps read it."""
        return {} if self.readout is None else {"summary": memory.summary[:, -1:]}

    def advance(self, embedded: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """All given steps at once."""
        if self.readout is None:
            outputs, cache = self.recurrence(embedded, state.cache)
            return self.dropout(outputs), cache
        summary = summary_beside(embedded, state)
        outputs, cache = self.recurrence(torch.cat((embedded, summary), dim=-1), state.cache)
        return self.readout(outputs, summary, embedded), cache


class AttentiveDecoder(RecurrentDecoder):
    """What the decoders that attend by an average share: a memory whose keys are projected once, and what has been looked at before, if that
    enters the next look."""

    def __init__(
        self,
        embedding: nn.Embedding,
        recurrence: Recurrence,
        bridge: Bridge,
        attention: Attention | StackedAttention | CoverageAttention,
        readout: Readout,
        *,
        dropout: float,
        embedding_dropout: float,
    ) -> None:
        super().__init__(embedding, recurrence, bridge, dropout=dropout, embedding_dropout=embedding_dropout)
        self.attention = attention
        self.readout = readout
        self.one_by_one = self.one_by_one or isinstance(attention, CoverageAttention)

    def start(self, memory: Memory) -> State:
        """The state before the first symbol; nothing is covered yet."""
        state = super().start(memory)
        if not isinstance(self.attention, CoverageAttention):
            return state
        return replace(state, cache={**state.cache, COVERED: self.attention.start(memory)})

    def constants(self, memory: Memory) -> dict[str, Tensor]:
        """Projected keys, (B,S,A) or of several hops (B,N,S,A), values (B,S,D), mask (B,S)."""
        return {"keys": self.attention.keys(memory.states), "values": memory.states, "mask": memory.mask}

    def look(self, query: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """What the query (R,T,Q) finds in the memory, (R,T,D), and what the next look has to know of this one, for the cache."""
        keys, values, mask = (state.memory[name] for name in ("keys", "values", "mask"))
        sentences = values.shape[0]
        asked = by_sentence(query, sentences)
        if isinstance(self.attention, CoverageAttention):
            before = by_sentence(state.cache[COVERED][:, None], sentences)
            context, covered = self.attention(asked, keys, values, mask, before)
            return context.view(*query.shape[:2], -1), {COVERED: covered.flatten(0, 1)}
        context = self.attention(asked, keys, values, mask)
        return context.view(*query.shape[:2], -1), {}


class LuongDecoder(AttentiveDecoder):
    """Attends with the new state; its features are the attentional state tanh(W[h; c]) (Luong et al. 2015, §3.1)."""

    def advance(self, embedded: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """All given steps at once, or with coverage one."""
        outputs, cache = self.recurrence(embedded, without(state.cache, COVERED))
        context, left = self.look(outputs, state)
        return self.readout(outputs, context), {**cache, **left}


class InputFeedingDecoder(LuongDecoder):
    """Luong's order where each step also reads the features of the one before (Luong et al. 2015, §3.3)."""

    one_by_one = True

    def start(self, memory: Memory) -> State:
        """The state before the first symbol; nothing has been attended to, so zeros are fed."""
        state = super().start(memory)
        fed = memory.states.new_zeros(memory.states.shape[0], 1, self.readout.mix.out_features)
        return replace(state, cache={**state.cache, FED: fed})

    def advance(self, embedded: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """One step."""
        inputs = torch.cat((embedded, state.cache[FED]), dim=-1)
        outputs, cache = self.recurrence(inputs, without(state.cache, FED, COVERED))
        context, left = self.look(outputs, state)
        features = self.readout(outputs, context)
        return features, {**cache, FED: features, **left}


class BahdanauDecoder(AttentiveDecoder):
    """Attends with the last state, then steps; its features mix state, context and symbol (Bahdanau et al. 2015, §A.2.2)."""

    one_by_one = True

    def advance(self, embedded: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """One step."""
        context, left = self.look(state.cache["hidden"][:, -1:], state)
        outputs, cache = self.recurrence(torch.cat((embedded, context), dim=-1), without(state.cache, COVERED))
        return self.readout(outputs, context, embedded), {**cache, **left}
