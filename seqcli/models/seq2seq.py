"""The model: an encoder, a decoder, and the output layer that turns features into words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from seqcli.errors import SeqcliError
from seqcli.nn.output import NamedAlready, OutputLayer
from seqcli.nn.projection import chunk_cells
from seqcli.nn.scheduled_sampling import Pick, mixed, own_symbols
from seqcli.nn.trace import collect_attention, trace_attention
from seqcli.symbols import PAD
from seqcli.types import Batch, Memory, State

OVER_MEMORY = re.compile(r"decoder\.(attention|attention\.hops\.\d+|layers\.\d+\.cross_attention)")
"""The names of a model's attentions over the memory."""


class Encoder(Protocol):
    """Reads the sources of a batch: their ids, their images, or both."""

    def __call__(self, batch: Batch) -> Memory:
        """A batch, whose target it does not look at → Memory."""
        ...


class Decoder(Protocol):
    """Writes a target, all of it at once under teacher forcing or a symbol at a time in search, by the same call."""

    def start(self, memory: Memory) -> State:
        """The state before the first symbol."""
        ...

    def __call__(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Ids (B,T) from `state` on → features (B,T,D), and the state after them."""
        ...


@dataclass(frozen=True)
class Looks:
    """What the steps of a batch have attended to: the `weights` over the memory of each layer or hop, (B,H,T,S), attached to the graph of their
    computation; `steps (B,T)`, True where there is a label; and `positions (B,S)` and `grid`, the memory's mask and grid."""

    weights: Sequence[Tensor]
    steps: Tensor
    positions: Tensor
    grid: tuple[int, int] | None


class Seq2Seq(nn.Module):
    """An encoder and a decoder joined (Sutskever et al. 2014; Cho et al. 2014).

    The decoder returns features; the projection to the vocabulary is a step of its own, so that training can fuse it with
    the loss. A decoder that mixes distributions has done that step already.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, output: OutputLayer | NamedAlready) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.output = output

    def start(self, batch: Batch) -> State:
        """Read the sources of `batch`: the decoder's state before the first symbol."""
        return self.begin(batch, self.encoder(batch))

    def begin(self, batch: Batch, memory: Memory) -> State:
        """As `start`, where the sources of `batch` are read already."""
        return self.decoder.start(memory)

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """The last symbols (R,) → raw scores (R,V) of the next ones, and the state after them."""
        features, state, looked = self._read(ids[:, None], state)
        return self._scores(features, looked, state)[:, 0], state

    def step_with_attention(self, ids: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """As `step`, and the attention (R,S) over the memory, that of the last layer, or hop, in the mean over its heads.

        Raises `SeqcliError` for a model without attention.
        """
        return attentive_step(self, self.step, ids, state)

    def forward(self, batch: Batch, teacher_forcing: float = 1.0) -> Tensor:
        """Features (B,T,D) for every label of `batch`.

        With `teacher_forcing` below 1 each step reads the given symbol with that probability, one draw for the whole batch,
        and else the model's own last word (scheduled sampling at a fixed rate; Bengio et al. 2015).
        """
        return self._walk(batch, self.start(batch), teacher_forcing)

    def forward_with_looks(self, batch: Batch, teacher_forcing: float = 1.0) -> tuple[Tensor, Looks]:
        """As `forward`, and beside the features the attention over the memory that they come from, to be part of a loss.

        A decoder without attention has no such thing.
        """
        memory = self.encoder(batch)
        with collect_attention(self) as maps:
            features = self._walk(batch, self.begin(batch, memory), teacher_forcing)
        return features, Looks(over_memory(maps), batch.labels != PAD, memory.mask, memory.grid)

    def _walk(self, batch: Batch, state: State, teacher_forcing: float) -> Tensor:
        if teacher_forcing >= 1.0:
            return self.decoder(batch.inputs, state)[0]
        given = (torch.rand(batch.inputs.shape[1]) < teacher_forcing).tolist()
        features: list[Tensor] = []
        looked: Tensor | None = None
        for position, symbols in enumerate(torch.split(batch.inputs, 1, dim=1)):
            ids = symbols if position == 0 or given[position] else self._last_word(features[-1], looked, state)
            feature, state, looked = self._read(ids, state)
            features.append(feature)
        return torch.cat(features, dim=1)

    def _read(self, ids: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """Ids (R,T) from `state` on → features (R,T,D), the state after them, and, of a model whose scores need it, the attention (R,T,S)
        over the memory."""
        return *self.decoder(ids, state), None

    def _scores(self, features: Tensor, looked: Tensor | None, state: State) -> Tensor:
        """The scores (R,T,V) of every symbol, from what `_read` has given."""
        scores: Tensor = self.output(features)
        return scores

    @torch.no_grad()
    def _last_word(self, feature: Tensor, looked: Tensor | None, state: State) -> Tensor:
        """The symbol (B,1) that the step before, which has given this, makes most likely."""
        return self._scores(feature, looked, state).argmax(dim=-1)

    @torch.no_grad()
    def scheduled_sampling(self, batch: Batch, given: float, pick: Pick) -> Batch:
        """The batch as scheduled sampling has the decoder read it: each symbol as given with probability `given`, and else what the model itself
        makes of the given ones before it (see `nn/scheduled_sampling.py`).

        The model is asked as it learns, with its dropout. The scores exist some steps at a time.
        """
        features, state, looked = self._read(batch.inputs, self.start(batch))
        rows, steps, _ = features.shape
        size = max(1, chunk_cells(features.device) // (rows * self.output.out_features))
        own = []
        for start in range(0, steps, size):
            part = slice(start, start + size)
            scores = self._scores(features[:, part], None if looked is None else looked[:, part], state)
            own.append(own_symbols(scores, pick))
        # torch 2.9 would keep weights in 16 bits, made here without a gradient, for the pass that learns (pytorch issue 158232)
        torch.clear_autocast_cache()
        return batch.reading(mixed(batch, torch.cat(own, dim=1), given))

    def logits(self, batch: Batch) -> Tensor:
        """The scores (B,T,V) of every symbol at every label of `batch`, under teacher forcing."""
        features, state, looked = self._read(batch.inputs, self.start(batch))
        return self._scores(features, looked, state)

    def loss(
        self,
        batch: Batch,
        *,
        label_smoothing: float = 0.0,
        teacher_forcing: float = 1.0,
        forward: Callable[[Batch, float], Tensor] | None = None,
    ) -> Tensor:
        """The summed cross-entropy of the labels, in nats; divide by `batch.target_tokens` for the mean.

        `forward` is the forward pass where it is another than the model's own: its own, compiled.
        """
        features = (forward or self)(batch, teacher_forcing)
        return self.output.cross_entropy(features, batch.labels, label_smoothing, batch.real_labels)

    def r_drop_loss(
        self,
        batch: Batch,
        alpha: float,
        *,
        label_smoothing: float = 0.0,
        teacher_forcing: float = 1.0,
        forward: Callable[[Batch, float], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What R-Drop minimises, summed over the labels (see `projected_r_drop`), and the summed cross-entropy, to be reported.
        `forward` is as in `loss`.

        The two passes, which differ in what dropout drops, go side by side, as one batch of twice the rows.
        """
        features = (forward or self)(batch.twice(), teacher_forcing)
        return self.output.r_drop(features, batch.labels, label_smoothing, alpha, batch.real_labels)


def over_memory(maps: Mapping[str, Tensor]) -> list[Tensor]:
    """Of the traced weights of a model, those of the decoder over the memory, layer by layer or hop by hop, each (B,H,T,S)."""
    return [weights for name, weights in maps.items() if OVER_MEMORY.fullmatch(name)]


def attentive_step(
    model: Seq2Seq, step: Callable[[Tensor, State], tuple[Tensor, State]], ids: Tensor, state: State
) -> tuple[Tensor, State, Tensor]:
    """A `step` of search with a model, and the attention (R,S) over the memory, that of the last layer, or hop, in the mean over its heads."""
    with trace_attention(model) as maps:
        scores, state = step(ids, state)
    layers = over_memory(maps)
    if not layers:
        raise SeqcliError("this model has no attention: its decoder's attention is none, or it is feed-forward")
    # a sentence's hypotheses were asked about side by side, as if they were its steps
    return scores, state, layers[-1].mean(dim=1).flatten(0, 1)
