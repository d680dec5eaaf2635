"""Beam search over (step, state); greedy search is a beam of 1, and sampling is as many beams of 1 as there are samples.

The search knows nothing of models: `step` maps the last symbols and a state to the raw scores of the next symbols and the next state.
The device ranks the symbols of each row; the host, which gets the best of them once a step, decides which hypotheses end and which live on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from seqcli.search.constraints import by_banks, go_on, missing, wanted
from seqcli.search.demands import Demands
from seqcli.search.diverse import unlike
from seqcli.search.hypotheses import (
    IMPOSSIBLE,
    Beam,
    Extension,
    Finished,
    Hypothesis,
    Sentence,
    best_first,
    gather,
    start,
)
from seqcli.search.penalties import Coverage, LengthNormalization, LengthPenalty
from seqcli.search.ranking import best_symbols, on_host
from seqcli.search.repetition import penalised
from seqcli.search.restrictions import Restrictions
from seqcli.search.sampling import Dice, Sampling, as_keys
from seqcli.search.trace import BeamTrace
from seqcli.symbols import BOS, EOS, PAD
from seqcli.types import Hypotheses, State

Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""The last symbols (N,) and a state → raw scores (N,V) of the next ones, whose softmax they are drawn from, and the state after them."""


def beam_search(
    step: Step,
    state: State,
    max_lengths: Sequence[int],
    *,
    beam_size: int = 1,
    length_penalty: float = 1.0,
    normalization: LengthNormalization = "average",
    coverage: Coverage | None = None,
    patience: float | None = 1.0,
    groups: int = 1,
    diversity: float = 0.0,
    repetition_penalty: float = 1.0,
    no_repeat_ngram: int = 0,
    sampling: Sampling | None = None,
    demands: Sequence[Demands] = (),
    banned: Sequence[int] = (PAD, BOS),
    trace: BeamTrace | None = None,
) -> Hypotheses:
    """The best hypotheses for each of the B rows of `state`, whose decoder has read nothing yet.

    Every step extends the K live hypotheses of a sentence by every symbol. Of the best extensions those that end (EOS) among the first K are
    finished; the K best that do not end live on. A sentence is done as `Beam.enough` says, with the usual patience of 1 when K hypotheses are
    finished; or at its `max_lengths` symbols (EOS counted), where live ones are taken as they are if fewer than K have finished. Done
    sentences leave the batch. A score is what `LengthPenalty` makes of the log-probability, and the penalty of `coverage`; ids in `banned` are
    never written. What `step` returns is overwritten. A `trace` is told all that was considered.

    The patience 1 is no proof: with scores that are divided by the length, a longer hypothesis that still lives may become better than those
    found. None is: the search goes on until no live hypothesis can beat the K-th of the finished ones, which for such scores is often only
    near the greatest length, at twice the time or more and, as a rule, no better translations (Stahlberg & Byrne 2019).

    With `groups` the beam is parted, and each part kept unlike those before it by `diversity` (see `unlike`); `repetition_penalty` and
    `no_repeat_ngram` keep hypotheses from repeating themselves (see `penalised`, `ends_of_repetitions`); with `sampling` K hypotheses are drawn
    instead, none of which knows of the others; and each sentence may have `demands` of its own.

    Log-probabilities, and scores but for a repetition penalty's, are exactly what the model gives the same ids: nothing is renormalised.
    """
    device = next(iter((*state.memory.values(), *state.cache.values()))).device
    beams, size = (beam_size, 1) if sampling is not None else (groups, beam_size // groups)
    sentences = start(max_lengths, demands, beams, size)
    choices = Choices(
        LengthPenalty(normalization, length_penalty),
        patience,
        diversity,
        None if trace is None else 2 * beam_size,
        trace,
    )
    dice = [
        Dice(sampling.seed if one.demands.seed is None else one.demands.seed, one.demands.source, beam_size)
        for one in sentences
        if sampling is not None
    ]
    # of a row's symbols one is EOS, and those that the other groups have chosen may fall behind
    count = max(size + 1 + (0 if groups == 1 else beam_size), choices.traced or 0)
    restricted = no_repeat_ngram > 0 or any(one.demands.restrict for one in sentences)
    constrained = any(one.demands.constraints for one in sentences)
    live = [sentence for sentence in sentences if sentence.max_length > 0]
    width = beam_size if sampling is not None else 1
    kept, rows = [sentence.index for sentence in live], [sentence.index for sentence in live for _ in range(width)]
    last = torch.full((len(rows),), BOS, device=device)
    if rows != list(range(len(sentences))):
        state = _select(state, coverage, rows, kept, device)
    length = 0

    while live:
        length += 1
        hypotheses = [one for sentence in live for one in sentence.rows(width)]
        if coverage is None:
            scores, state = step(last, state)
            unseen = None
        else:
            scores, state, attention = coverage.step(last, state)
            unseen = coverage.add(attention)
        normalizers = _log_sum(scores)
        ranked, rank_normalizers = scores, normalizers
        if repetition_penalty != 1.0:
            ranked = penalised(scores, [() if one is None else one.ids for one in hypotheses], repetition_penalty)
            rank_normalizers = _log_sum(ranked)
        ranked[:, list(banned)] = IMPOSSIBLE
        if restricted:
            restrictions = Restrictions()
            for row, one in enumerate(hypotheses):
                sentence = live[row // width]
                if one is not None:
                    restrictions.add(row, one, sentence.demands, sentence.max_length, no_repeat_ngram)
            restrictions.apply(ranked)
        if sampling is None:
            best, symbols = best_symbols(ranked, count)
        else:
            keys = chain.from_iterable(dice[sentence.index].keys(length) for sentence in live)
            symbols = sampling.draw(ranked, as_keys(list(keys), device))
            best = ranked.gather(1, symbols)
        if constrained:
            best, symbols = _with_wanted(ranked, best, symbols, hypotheses, live, width)
        numbers = [best - rank_normalizers]
        if repetition_penalty != 1.0:
            numbers.append(scores.gather(1, symbols) - normalizers)
        if unseen is not None:
            numbers.append(unseen)
        numbers, symbols = on_host(numbers, symbols)
        penalties = numbers.pop().squeeze(1).tolist() if unseen is not None else [0.0] * len(hypotheses)

        every = _extensions(
            hypotheses, numbers, symbols, width, None if constrained or groups > 1 or sampling else 2 * beam_size
        )
        for row, (sentence, extensions) in enumerate(zip(live, every, strict=True)):
            choices.make(sentence, extensions, penalties[row * width : (row + 1) * width], width)

        # the next rows: the live hypotheses of the sentences that go on; where there are too few, rows that nobody looks at
        kept = [row for row, sentence in enumerate(live) if sentence.live]
        rows, following = [], []
        for row in kept:
            for beam in live[row].beams:
                free = beam.size - len(beam.live)
                rows += [row * width + parent for parent in (*beam.parents, *[0] * free)]
                following += [*(one.ids[-1] for one in beam.live), *[EOS] * free]
        moved = rows != list(range(len(hypotheses)))
        if moved and len(kept) == len(live) and width == beam_size:
            # the memory moves only when a sentence has left or hypotheses have multiplied
            places = torch.tensor(rows, device=device)
            state = state.reorder(places)
            if coverage is not None:
                coverage.select(places)
        elif moved:
            state = _select(state, coverage, rows, kept, device)
        last = torch.tensor(following, dtype=torch.long, device=device)
        live, width = [live[row] for row in kept], beam_size
    found = gather(sentences, beam_size)
    if trace is not None:
        for sentence, row, lengths in zip(sentences, found.ids.tolist(), found.lengths.tolist(), strict=True):
            trace.end(sentence.index, [ids[:length] for ids, length in zip(row, lengths, strict=True) if length > 0])
    return found


@dataclass(frozen=True)
class Choices:
    """Decides, sentence by sentence, which extensions end and which live on; `traced` is how many of them a `trace` is told, at least."""

    scoring: LengthPenalty
    patience: float | None
    diversity: float
    traced: int | None
    trace: BeamTrace | None

    def make(self, sentence: Sentence, extensions: Sequence[Extension], penalties: Sequence[float], width: int) -> None:
        """Go on with a sentence whose `extensions` these are, best first; `penalties` are those of its rows."""
        before = list(sentence.rows(width))
        used: Counter[int] = Counter()
        ended: list[int] = []
        rows: dict[int, int] = {}  # of what lives on: its row in the next step, its place among the extensions
        for number, beam in enumerate(sentence.beams):
            if not beam.live:
                continue
            ending, kept = self._choose(sentence, number, extensions, before, used)
            used.update(extensions[place].symbol for place in (*ending, *kept))
            ended += ending
            for place in ending:
                one = extensions[place]
                self._finish(beam, _extended(before, one, sentence.demands), penalties[one.parent])
            beam.live = [_extended(before, extensions[place], sentence.demands) for place in kept]
            beam.parents = [extensions[place].parent for place in kept]
            rows |= dict(enumerate(kept, start=number * beam.size))
        if self.trace is not None:
            self.trace.add_step(sentence.index, extensions, ended, rows, self.scoring, self.traced or 0)
        for beam in sentence.beams:
            if beam.live and len(beam.live[0].ids) == sentence.max_length:
                self._take_unfinished(beam, sentence.demands, penalties)
            elif beam.enough(self.patience, self.scoring, sentence.max_length):
                beam.live = []

    def _choose(
        self,
        sentence: Sentence,
        number: int,
        extensions: Sequence[Extension],
        before: Sequence[Hypothesis | None],
        used: Counter[int],
    ) -> tuple[list[int], list[int]]:
        """The places among the `extensions` of what ends, and of what lives on, in the sentence's beam of that number."""
        size = sentence.beams[number].size
        if sentence.demands.constraints:
            progress = [() if one is None else one.progress for one in before]
            return by_banks(extensions, sentence.demands.constraints, progress, size)
        if len(sentence.beams) == 1:
            return best_first(extensions, range(len(extensions)), size)
        own = range(number * size, (number + 1) * size) if len(before) > 1 else range(1)
        places = [place for place, one in enumerate(extensions) if one.parent in own]
        return best_first(extensions, unlike(extensions, places, used, self.diversity) if used else places, size)

    def _finish(self, beam: Beam, one: Hypothesis, penalty: float) -> None:
        """Set a hypothesis aside."""
        beam.finished.append(Finished(one.ids, self.scoring.score(one.total, len(one.ids)) + penalty, one.log_prob))

    def _take_unfinished(self, beam: Beam, demands: Demands, penalties: Sequence[float]) -> None:
        """At the greatest length the best live hypotheses fill the places that are still free, without EOS."""
        free = beam.size - len(beam.finished)
        for one, parent in list(zip(beam.live, beam.parents, strict=True))[: max(0, free)]:
            if not missing(demands.constraints, one.progress):
                self._finish(beam, one, penalties[parent])
        beam.live = []


def _extended(before: Sequence[Hypothesis | None], extension: Extension, demands: Demands) -> Hypothesis:
    parent = before[extension.parent]
    assert parent is not None, "what nobody looks at is impossible"
    progress = go_on(demands.constraints, parent.progress, extension.symbol) if demands.constraints else ()
    return Hypothesis((*parent.ids, extension.symbol), extension.total, extension.log_prob, progress)


def _log_sum(scores: Tensor) -> Tensor:
    """log Σ exp of each row, (N,1); of a row without anything possible the least number there is, so that it stays impossible."""
    return scores.logsumexp(dim=1, keepdim=True).float().clamp(min=torch.finfo(torch.float32).min)


def _select(
    state: State, coverage: Coverage | None, rows: Sequence[int], sentences: Sequence[int], device: torch.device
) -> State:
    """The state with these rows, of these sentences, and the coverage with them."""
    places = torch.tensor(rows, dtype=torch.long, device=device)
    if coverage is not None:
        coverage.select(places)
    return state.select(places, torch.tensor(sentences, dtype=torch.long, device=device))


def _with_wanted(
    ranked: Tensor,
    best: Tensor,
    symbols: Tensor,
    hypotheses: Sequence[Hypothesis | None],
    live: Sequence[Sentence],
    width: int,
) -> tuple[Tensor, Tensor]:
    """The best symbols of each row, (N,C) each, and behind them those that go on with its constraints; -inf where they are there already."""
    every = [
        [] if one is None else sorted(wanted(live[row // width].demands.constraints, one.progress))
        for row, one in enumerate(hypotheses)
    ]
    most = max(map(len, every))
    if most == 0:
        return best, symbols
    more = torch.tensor([[*row, *[PAD] * (most - len(row))] for row in every], device=symbols.device)
    there = (more[:, :, None] == symbols[:, None, :]).any(dim=2) | (more == PAD)
    return (
        torch.cat((best, ranked.gather(1, more).masked_fill(there, IMPOSSIBLE)), dim=1),
        torch.cat((symbols, more), dim=1),
    )


def _extensions(
    hypotheses: Sequence[Hypothesis | None], numbers: Sequence[Tensor], symbols: Tensor, width: int, most: int | None
) -> list[list[Extension]]:
    """The extensions of each sentence, best first, at most so many: `numbers` are the increments (N,C) of what is ordered by, and, if that
    is another, of the log-probability."""
    sentences = len(hypotheses) // width
    totals = [IMPOSSIBLE if one is None else one.total for one in hypotheses]
    # in double precision, because the sum over a long hypothesis would lose digits
    grown = torch.tensor(totals, dtype=torch.float64)[:, None] + numbers[0]
    ordered, places = grown.view(sentences, -1).sort(dim=1, descending=True, stable=True)
    ordered, places = ordered[:, :most], places[:, :most]
    log_probs = ordered
    if len(numbers) > 1:
        sums = [IMPOSSIBLE if one is None else one.log_prob for one in hypotheses]
        grown = torch.tensor(sums, dtype=torch.float64)[:, None] + numbers[1]
        log_probs = grown.view(sentences, -1).gather(1, places)
    columns = (ordered, places // symbols.shape[1], symbols.view(sentences, -1).gather(1, places), log_probs)
    return [list(map(Extension, *rows)) for rows in zip(*(column.tolist() for column in columns), strict=True)]
