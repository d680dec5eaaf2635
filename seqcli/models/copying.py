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
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.models.seq2seq import OVER_MEMORY, Decoder, Encoder, Seq2Seq
from seqcli.nn.layers import to_hypotheses
from seqcli.nn.trace import collect_attention
from seqcli.types import Batch, Memory, State

COPIES = "copies"
"""What the memory calls the symbols that can be copied from each place of a source, (A,S)."""
NOT_THERE = -1
"""What is copied from where nothing can be."""


class PointerGenerator(Seq2Seq):
    """An encoder and a decoder joined by a pointer, whose scores are the log-probabilities of the mixture.

    `gate`, a linear layer from features to 1, decides between writing and copying; `copies (source V,)` has for each symbol of the source the
    same one of the target, or -1. It belongs to the weights, so that a checkpoint alone says how to copy. ValueError for a decoder
    without attention.
    """

    copies: Tensor

    def __init__(self, encoder: Encoder, decoder: Decoder, output: nn.Linear, gate: nn.Linear, copies: Tensor) -> None:
        super().__init__(encoder, decoder, output)
        self.gate = gate
        self.register_buffer("copies", copies)
        attentions = [name for name, _ in self.named_modules() if OVER_MEMORY.fullmatch(name)]
        if not attentions:
            raise ValueError("a decoder without attention has nothing to copy by")
        self.pointer = attentions[-1]

    def begin(self, batch: Batch, memory: Memory) -> State:
        """The state before the first symbol, with what can be copied in its memory, where a search moves it with the rest."""
        state = super().begin(batch, memory)
        return replace(state, memory={**state.memory, COPIES: self._copies(batch, memory.mask.shape[1])})

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
        return _cross_entropy(log_probs, _real(batch), label_smoothing)

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
        entropy = sum((_cross_entropy(each, _real(batch), label_smoothing) for each in (one, other)), one.new_zeros(()))
        # KL(P‖Q) + KL(Q‖P) = Σ (P - Q)·(log P - log Q)
        divergence = ((one.exp() - other.exp()) * (one - other)).sum()
        return entropy + alpha / 2 * divergence, entropy.detach() / 2

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

    def _copies(self, batch: Batch, places: int) -> Tensor:
        """What can be copied from the first `places` of each source, which are those that the memory has states of: (B,S)."""
        read = batch.source[:, :places]
        return self.copies.index_select(0, read.flatten()).view(read.shape)


def mixture(logits: Tensor, gate: Tensor, looked: Tensor, copies: Tensor) -> Tensor:
    """The log-probabilities (…,V) of what is written or copied: `logits (…,V)` and `gate (…,1)` before softmax and σ, attention `looked (…,S)`,
    and the symbols `copies (…,S)` that stand there, -1 where there is none. In float32 at least.

    No symbol's is -inf, and no gradient is: those that cannot be copied have what the softmax gives them.
    """
    precise = torch.promote_types(logits.dtype, torch.float32)
    logits, gate, looked = (part.to(precise) for part in (logits, gate, looked))
    there = copies >= 0
    lost = looked.masked_fill(there, 0.0).sum(dim=-1, keepdim=True)
    write, copy = F.logsigmoid(gate), F.logsigmoid(-gate)
    written = _plus(write, copy, lost) + logits.log_softmax(dim=-1)
    pointed = torch.zeros_like(logits).scatter_add(-1, copies.clamp_min(0), looked.masked_fill(~there, 0.0))
    return _plus(written, copy, pointed)


def _plus(one: Tensor, other: Tensor, times: Tensor) -> Tensor:
    """log(eᵃ + times·eᵇ); where it is 0 times, which has no logarithm to go backward through, a."""
    some = times > 0
    return torch.where(some, torch.logaddexp(one, other + times.masked_fill(~some, 1.0).log()), one)


def _real(batch: Batch) -> Tensor:
    """The labels that are not padding, (N,)."""
    return batch.labels.flatten().index_select(0, batch.real_labels)


def _cross_entropy(log_probs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """The summed loss of `labels (N,)` given `log_probs (N,V)`, smoothed as in `projected_cross_entropy`."""
    loss = -(1 - smoothing) * log_probs.gather(1, labels[:, None]).sum()
    return loss - smoothing / log_probs.shape[1] * log_probs.sum() if smoothing else loss
