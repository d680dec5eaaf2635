"""A model that copies: what it writes next is a word of its own, or one of the source's that it attends to.

The pointer-generator (See, Liu & Manning 2017, "Get to the point", section 2.2; over characters Sharma, Katrapati & Sharma 2018, "IIT(BHU)-IIITH
at CoNLL-SIGMORPHON 2018"):

    p(y) = g·softmax(W·f + b)(y) + (1 - g)·Σ_s a_s [copy_s = y]        g = σ(w·f + c)

with f the decoder's features, a its attention over the memory (of the last layer, or hop, in the mean over its heads), and copy_s the symbol
of the target that is the same as symbol s of the source. In the paper the vocabulary grows by the source's unknown words; here a symbol
that only the source has, a feature tag among them, cannot be copied, and what attention gives to those goes to the words of one's own:

    p(y) = g'·softmax(W·f + b)(y) + (1 - g)·Σ_s a_s [copy_s = y]       g' = g + (1 - g)·Σ_s a_s [there is no copy_s]

so that p sums to 1. The source's end can be copied like any other symbol: it is the target's end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from seqcli.models.seq2seq import OVER_MEMORY, Decoder, Encoder, Seq2Seq
from seqcli.nn.hypotheses import to_hypotheses
from seqcli.nn.loss import cross_entropy
from seqcli.nn.output import NamedAlready, OutputLayer
from seqcli.nn.pointer import COPIES, mixture
from seqcli.nn.r_drop import r_drop
from seqcli.nn.trace import collect_attention
from seqcli.types import Batch, Memory, State


class Copying(Seq2Seq):
    """An encoder and a decoder joined, with what can be copied from each place of a source in the memory of their states.

    `copies (source V,)` has for each symbol of the source the same one of the target, or `NOT_THERE`. It belongs to the weights, so that a checkpoint
    alone says how to copy.
    """

    copies: Tensor

    def __init__(self, encoder: Encoder, decoder: Decoder, output: OutputLayer | NamedAlready, copies: Tensor) -> None:
        super().__init__(encoder, decoder, output)
        self.register_buffer("copies", copies)

    def begin(self, batch: Batch, memory: Memory) -> State:
        """The state before the first symbol, with what can be copied in its memory, where a search moves it with the rest."""
        state = super().begin(batch, memory)
        return replace(state, memory={**state.memory, COPIES: self._copies(batch, memory.mask.shape[1])})

    def _copies(self, batch: Batch, places: int) -> Tensor:
        """What can be copied from the first `places` of each source, which are those that the memory has states of: (B,S)."""
        read = batch.source[:, :places]
        return self.copies.index_select(0, read.flatten()).view(read.shape)


class PointerGenerator(Copying):
    """One that copies by the attention of its decoder, and whose scores are the log-probabilities of the mixture.

    `gate`, a linear layer from features to 1, decides between writing and copying. ValueError for a decoder without attention.
    """

    def __init__(
        self, encoder: Encoder, decoder: Decoder, output: OutputLayer, gate: nn.Linear, copies: Tensor
    ) -> None:
        super().__init__(encoder, decoder, output, copies)
        self.gate = gate
        attentions = [name for name, _ in self.named_modules() if OVER_MEMORY.fullmatch(name)]
        if not attentions:
            raise ValueError("a decoder without attention has nothing to copy by")
        self.pointer = attentions[-1]

    def loss(
        self,
        batch: Batch,
        *,
        label_smoothing: float = 0.0,
        teacher_forcing: float = 1.0,
        forward: Callable[[Batch, float], Tensor] | None = None,
    ) -> Tensor:
        """As `Seq2Seq.loss`, of the mixture."""
        log_probs = self._log_probs(batch, batch.real_labels, teacher_forcing, forward)
        return cross_entropy(log_probs, _labels(batch), label_smoothing)

    def r_drop_loss(
        self,
        batch: Batch,
        alpha: float,
        *,
        label_smoothing: float = 0.0,
        teacher_forcing: float = 1.0,
        forward: Callable[[Batch, float], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As `Seq2Seq.r_drop_loss`, of the mixtures of the two passes."""
        places = torch.cat((batch.real_labels, batch.real_labels + batch.labels.numel()))
        one, other = self._log_probs(batch.twice(), places, teacher_forcing, forward).chunk(2)
        return r_drop(one, other, _labels(batch), label_smoothing, alpha)

    def _log_probs(
        self,
        batch: Batch,
        places: Tensor,
        teacher_forcing: float,
        forward: Callable[[Batch, float], Tensor] | None,
    ) -> Tensor:
        """The log-probabilities (N,V) of every symbol at some `places (N,)` among all B·T labels."""
        with collect_attention(self, self.pointer) as maps:
            features = (forward or self)(batch, teacher_forcing)
        looked = self._looked(maps, features)
        copies = self._copies(batch, looked.shape[-1]).index_select(0, places // features.shape[1])
        features, looked = (part.flatten(0, 1).index_select(0, places) for part in (features, looked))
        return mixture(self.output(features), self.gate(features), looked, copies)

    def _read(self, ids: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        with collect_attention(self, self.pointer) as maps:
            features, state = self.decoder(ids, state)
        return features, state, self._looked(maps, features)

    def _scores(self, features: Tensor, looked: Tensor | None, state: State) -> Tensor:
        assert looked is not None
        copies = to_hypotheses(state.memory[COPIES], features.shape[0])[:, None].expand_as(looked)
        return mixture(self.output(features), self.gate(features), looked, copies)

    def _looked(self, maps: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """The attention (R,T,S) behind features (R,T,D)."""
        # a sentence's hypotheses were asked about side by side, as if they were its steps
        return maps[self.pointer].mean(dim=1).reshape(*features.shape[:2], -1)


def _labels(batch: Batch) -> Tensor:
    """The labels that are not padding, (N,)."""
    return batch.labels.flatten().index_select(0, batch.real_labels)
