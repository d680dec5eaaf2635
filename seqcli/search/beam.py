"""Beam search over (step, state); greedy search is a beam of 1.

The search knows nothing of models: `step` maps the last symbols and a state to log-probabilities and the next state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqcli.search.trace import BeamTrace
from seqcli.symbols import BOS, EOS, PAD
from seqcli.types import Hypotheses, State

Step = Callable[[Tensor, State], tuple[Tensor, State]]


@dataclass(frozen=True)
class Finished:
    """A hypothesis that is whole: its ids with EOS (without, where the length ran out), and its two scores."""

    ids: list[int]
    score: float
    log_prob: float


@dataclass
class Sentence:
    """One sentence on its way: where it stands in the batch, how long it may become, and what it has finished."""

    index: int
    max_length: int
    finished: list[Finished] = field(default_factory=list)

    def finish(self, ids: list[int], log_prob: float, length_penalty: float) -> None:
        """Set a hypothesis aside; its score is log_prob / length^length_penalty."""
        self.finished.append(Finished(ids, log_prob / len(ids) ** length_penalty, log_prob))

    def take_unfinished(self, ids: Tensor, totals: Tensor, beam_size: int, length_penalty: float) -> None:
        """At the longest length the best live hypotheses, ids (K,t), fill the places that are still free, without EOS."""
        free = beam_size - len(self.finished)
        for row, log_prob in list(zip(ids.tolist(), totals.tolist(), strict=True))[:free]:
            if log_prob > float("-inf"):
                self.finish(row, log_prob, length_penalty)


def beam_search(
    step: Step,
    state: State,
    max_lengths: Sequence[int],
    *,
    beam_size: int = 1,
    length_penalty: float = 1.0,
    banned: Sequence[int] = (PAD, BOS),
    trace: BeamTrace | None = None,
) -> Hypotheses:
    """The best hypotheses for each of the B rows of `state`, whose decoder has read nothing yet.

    Every step extends the K live hypotheses of a sentence by every symbol. Of the 2K best extensions those that end (EOS) among
    the first K are finished; the K best that do not end live on. A sentence is done when K hypotheses are finished, or at its
    `max_lengths` symbols (EOS counted), where live ones are taken as they are if fewer than K have finished. Done sentences
    leave the batch. A score is log-probability / length^`length_penalty`; ids in `banned` are never written. What `step`
    returns is overwritten. A `trace` is told all that was considered.

    The scores are exactly what the model gives the same ids: nothing is renormalised.
    """
    device = state.device
    sentences = [Sentence(index, limit) for index, limit in enumerate(max_lengths)]
    live = [sentence for sentence in sentences if sentence.max_length > 0]
    if len(live) < len(sentences):
        kept = torch.tensor([sentence.index for sentence in live], dtype=torch.long, device=device)
        state = state.select(kept, kept)
    last = torch.full((len(live),), BOS, device=device)
    totals = torch.zeros(len(live), 1, device=device)  # log-probability of each live hypothesis, (A,K)
    written = torch.empty(len(live), 0, dtype=torch.long, device=device)  # its ids, (A·K,t)

    while live:
        log_probs, state = step(last, state)
        log_probs[:, list(banned)] = float("-inf")
        width = totals.shape[1]
        best, parents, symbols = _best_extensions(totals, log_probs, 2 * beam_size)
        rows = torch.arange(len(live), device=device)[:, None] * width + parents
        ending = (symbols == EOS) & (best > float("-inf"))
        for row, rank in ending[:, :beam_size].nonzero().tolist():
            ids = [*written[rows[row, rank]].tolist(), EOS]
            live[row].finish(ids, float(best[row, rank]), length_penalty)

        # the best K that do not end live on; an impossible one fills its place and stays impossible
        going_on = best.masked_fill(symbols == EOS, float("-inf"))
        totals, order = going_on.topk(min(beam_size, going_on.shape[1]), dim=1)
        if trace is not None:
            considered = (best, parents, symbols)
            trace.add_step([sentence.index for sentence in live], considered, order, beam_size, length_penalty)
        rows, symbols = rows.gather(1, order), symbols.gather(1, order)
        stay = []
        for row, (sentence, best_live) in enumerate(zip(live, totals[:, 0].tolist(), strict=True)):
            if len(sentence.finished) >= beam_size or best_live == float("-inf"):
                continue
            if written.shape[1] + 1 < sentence.max_length:
                stay.append(row)
                continue
            ids_so_far = torch.cat((written[rows[row]], symbols[row, :, None]), dim=1)
            sentence.take_unfinished(ids_so_far, totals[row], beam_size, length_penalty)

        same_rows = len(stay) == len(live) and totals.shape[1] == width
        kept = torch.tensor(stay, dtype=torch.long, device=device)
        if len(stay) < len(live):
            totals, rows, symbols = totals[kept], rows[kept], symbols[kept]
            live = [live[row] for row in stay]
        rows, last = rows.flatten(), symbols.flatten()
        written = torch.cat((written[rows], last[:, None]), dim=1)
        # the memory moves only when a sentence has left or hypotheses have multiplied
        if not same_rows:
            state = state.select(rows, kept)
        elif beam_size > 1:
            state = state.reorder(rows)
    found = _gather(sentences, beam_size, device)
    if trace is not None:
        for sentence, row, lengths in zip(sentences, found.ids.tolist(), found.lengths.tolist(), strict=True):
            trace.end(sentence.index, [ids[:length] for ids, length in zip(row, lengths, strict=True) if length > 0])
    return found


def _best_extensions(totals: Tensor, log_probs: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Live totals (A,K), next log-probabilities (A·K,V) → the best extensions of each sentence, (A,count) each: their totals, the
    live hypothesis that they extend, the symbol they add."""
    vocabulary = log_probs.shape[1]
    extended = (totals[:, :, None] + log_probs.view(*totals.shape, vocabulary)).flatten(1)
    best, cells = extended.topk(min(count, extended.shape[1]), dim=1)
    return best, cells // vocabulary, cells % vocabulary


def _gather(sentences: list[Sentence], beam_size: int, device: torch.device) -> Hypotheses:
    """All finished hypotheses as one rectangle, best first."""
    longest = max((len(one.ids) for sentence in sentences for one in sentence.finished), default=0)
    shape = (len(sentences), beam_size)
    ids = torch.full((*shape, longest), PAD, dtype=torch.long)
    lengths = torch.zeros(shape, dtype=torch.long)
    scores, log_probs = torch.full(shape, float("-inf")), torch.full(shape, float("-inf"))
    for row, sentence in enumerate(sentences):
        ranked = sorted(sentence.finished, key=lambda one: one.score, reverse=True)[:beam_size]
        for column, one in enumerate(ranked):
            ids[row, column, : len(one.ids)] = torch.tensor(one.ids)
            lengths[row, column], scores[row, column], log_probs[row, column] = len(one.ids), one.score, one.log_prob
    return Hypotheses(ids.to(device), lengths.to(device), scores.to(device), log_probs.to(device))
