"""Beam search over (step, state); greedy search is a beam of 1, and sampling is as many beams of 1 as there are samples.

The search knows nothing of models: `step` maps the last symbols and a state to the raw scores of the next symbols and the next state.
The device ranks the symbols of each row; the host, which gets the best of them once a step, decides which hypotheses end and which live on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seqcli.search.choices import Choices, extensions
from seqcli.search.demands import Demands
from seqcli.search.hypotheses import gather, next_rows, start
from seqcli.search.penalties import Coverage, LengthNormalization, LengthPenalty
from seqcli.search.ranking import Ranking, on_host
from seqcli.search.sampling import Sampling
from seqcli.search.trace import BeamTrace
from seqcli.symbols import BOS, PAD
from seqcli.types import Hypotheses, State

FEW = 16
"""Sentences that are done stay in the batch while they are no more than one in so many."""

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
    device = state.device
    beams, size = (beam_size, 1) if sampling is not None else (groups, beam_size // groups)
    sentences = start(max_lengths, demands, beams, size)
    # of a row's symbols one is EOS, and those that the other groups have chosen may fall behind
    count = size + 1 + (0 if groups == 1 else beam_size)
    ranking = Ranking(
        sentences,
        count if trace is None else max(count, 2 * beam_size),
        banned,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram=no_repeat_ngram,
        sampling=sampling,
        device=device,
    )
    choices = Choices(LengthPenalty(normalization, length_penalty), patience, diversity, 2 * beam_size, trace)
    # where one beam takes the best, K of them go on, and those that end before them are fewer than K
    plain = beams == 1 and not any(one.constraints for one in demands)
    most = 2 * beam_size if plain else None
    live = [sentence for sentence in sentences if sentence.max_length > 0]
    width = 1 if sampling is None else beam_size
    kept, rows = [sentence.index for sentence in live], [sentence.index for sentence in live for _ in range(width)]
    if rows != list(range(len(sentences))):
        state = _select(state, coverage, rows, kept, device)
    last = torch.full((len(rows),), BOS, device=device)
    length = 0

    while live:
        length += 1
        hypotheses = [one for sentence in live for one in sentence.rows(width)]
        ranking.prepare(hypotheses, live, width, length)
        if coverage is None:
            scores, state = step(last, state)
            numbers, symbols = ranking(scores)
        else:
            scores, state, attention = coverage.step(last, state)
            numbers, symbols = ranking(scores)
            numbers.append(coverage.add(attention))
        numbers, symbols = on_host(numbers, symbols)
        penalties = None if coverage is None else numbers.pop().squeeze(1).tolist()
        for row, (sentence, several) in enumerate(
            zip(live, extensions(hypotheses, numbers, symbols, width, most), strict=True)
        ):
            own = slice(row * width, (row + 1) * width)
            if sentence.live:
                choices.make(sentence, hypotheses[own], several, penalties and penalties[own])

        kept = [row for row, sentence in enumerate(live) if sentence.live]
        if kept and (len(live) - len(kept)) * FEW <= len(live):
            # to move what the others need would cost more than to go on computing for those few
            kept = list(range(len(live)))
        rows, following = next_rows(live, kept, width)
        last = torch.tensor(following, dtype=torch.long, device=device)
        if len(kept) < len(live) or width < beam_size:
            # the memory moves only when a sentence has left or hypotheses have multiplied
            state = _select(state, coverage, rows, kept, device)
        elif rows != list(range(len(rows))):
            places = torch.tensor(rows, dtype=torch.long, device=device)
            state = state.reorder(places)
            if coverage is not None:
                coverage.select(places)
        live, width = [live[row] for row in kept], beam_size
    found = gather(sentences, beam_size)
    if trace is not None:
        for sentence, row, lengths in zip(sentences, found.ids.tolist(), found.lengths.tolist(), strict=True):
            trace.end(sentence.index, [ids[:length] for ids, length in zip(row, lengths, strict=True) if length > 0])
    return found


def _select(
    state: State, coverage: Coverage | None, rows: Sequence[int], sentences: Sequence[int], device: torch.device
) -> State:
    """The state with these rows, of these sentences, and the coverage with them."""
    places = torch.tensor(rows, dtype=torch.long, device=device)
    if coverage is not None:
        coverage.select(places)
    return state.select(places, torch.tensor(sentences, dtype=torch.long, device=device))
