"""The host's part of a search: which hypotheses end, and which live on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqcli.search.constraints import by_banks, go_on, missing
from seqcli.search.demands import Demands, Phrase
from seqcli.search.diverse import unlike
from seqcli.search.hypotheses import IMPOSSIBLE, Beam, Extensions, Finished, Hypothesis, Sentence, best_first
from seqcli.search.penalties import LengthPenalty
from seqcli.search.trace import BeamTrace


@dataclass(frozen=True)
class Choices:
    """Decides, sentence by sentence, which extensions end and which live on; `traced` is how many of them a `trace` is told, at least."""

    scoring: LengthPenalty
    patience: float | None
    diversity: float
    traced: int
    trace: BeamTrace | None

    def make(
        self,
        sentence: Sentence,
        before: Sequence[Hypothesis | None],
        extensions: Extensions,
        penalties: Sequence[float] | None,
    ) -> None:
        """Go on with a sentence, `before` being the hypotheses of its rows and `penalties` the rows' coverage penalties, if there are any."""
        used: Counter[int] = Counter()
        ended: list[int] = []
        rows: dict[int, int] = {}  # of what lives on: its row in the next step, its place among the extensions
        for number, beam in enumerate(sentence.beams):
            if not beam.live:
                continue
            ending, kept = self._choose(sentence, number, before, extensions, used)
            for place in ending:
                one = _extended(before, extensions, place, sentence.demands.constraints)
                self._finish(beam, one, penalties[extensions.parents[place]] if penalties else 0.0)
            beam.live = [_extended(before, extensions, place, sentence.demands.constraints) for place in kept]
            beam.parents = [extensions.parents[place] for place in kept]
            if len(sentence.beams) > 1:
                used.update(extensions.symbols[place] for place in (*ending, *kept))
            if self.trace is not None:
                ended += ending
                rows |= dict(enumerate(kept, start=number * beam.size))
        if self.trace is not None:
            self.trace.add_step(sentence.index, extensions, ended, rows, self.scoring, self.traced)
        for beam in sentence.beams:
            if beam.live and len(beam.live[0].ids) == sentence.max_length:
                self._take_unfinished(beam, sentence.demands, penalties)
            elif beam.enough(self.patience, self.scoring, sentence.max_length):
                beam.live = []

    def _choose(
        self,
        sentence: Sentence,
        number: int,
        before: Sequence[Hypothesis | None],
        extensions: Extensions,
        used: Counter[int],
    ) -> tuple[list[int], list[int]]:
        """The places among the `extensions` of what ends, and of what lives on, in the sentence's beam of that number."""
        size = sentence.beams[number].size
        if sentence.demands.constraints:
            progress = [() if one is None else one.progress for one in before]
            return by_banks(extensions, sentence.demands.constraints, progress, size)
        if len(sentence.beams) == 1:
            return best_first(extensions, range(len(extensions.totals)), size)
        own = range(number * size, (number + 1) * size) if len(before) > 1 else range(1)
        places = [place for place, parent in enumerate(extensions.parents) if parent in own]
        return best_first(extensions, unlike(extensions, places, used, self.diversity) if used else places, size)

    def _finish(self, beam: Beam, one: Hypothesis, penalty: float) -> None:
        """Set a hypothesis aside."""
        beam.finished.append(Finished(one.ids, self.scoring.score(one.total, len(one.ids)) + penalty, one.log_prob))

    def _take_unfinished(self, beam: Beam, demands: Demands, penalties: Sequence[float] | None) -> None:
        """At the greatest length the best live hypotheses fill the places that are still free, without EOS."""
        free = beam.size - len(beam.finished)
        for one, parent in list(zip(beam.live, beam.parents, strict=True))[: max(0, free)]:
            if not missing(demands.constraints, one.progress):
                self._finish(beam, one, penalties[parent] if penalties else 0.0)
        beam.live = []


def _extended(
    before: Sequence[Hypothesis | None], extensions: Extensions, place: int, constraints: Sequence[Phrase]
) -> Hypothesis:
    parent, symbol = before[extensions.parents[place]], extensions.symbols[place]
    assert parent is not None, "what nobody looks at is impossible"
    progress = go_on(constraints, parent.progress, symbol) if constraints else ()
    return Hypothesis((*parent.ids, symbol), extensions.totals[place], extensions.log_probs[place], progress)


def extensions(
    hypotheses: Sequence[Hypothesis | None], numbers: Sequence[Tensor], symbols: Tensor, width: int, most: int | None
) -> list[Extensions]:
    """The extensions of each sentence, best first, at most so many: `numbers` are the increments (N,C) of what is ordered by, and, if that
    is another, of the log-probability."""
    sentences = len(hypotheses) // width
    totals = [IMPOSSIBLE if one is None else one.total for one in hypotheses]
    # in double precision, because the sum over a long hypothesis would lose digits
    grown = torch.tensor(totals, dtype=torch.float64)[:, None] + numbers[0]
    ordered, places = grown.view(sentences, -1).sort(dim=1, descending=True, stable=True)
    ordered, places = ordered[:, :most], places[:, :most]
    columns = [ordered, places // symbols.shape[1], symbols.view(sentences, -1).gather(1, places)]
    if len(numbers) > 1:
        sums = [IMPOSSIBLE if one is None else one.log_prob for one in hypotheses]
        grown = torch.tensor(sums, dtype=torch.float64)[:, None] + numbers[1]
        columns.append(grown.view(sentences, -1).gather(1, places))
    lists = [column.tolist() for column in columns]
    return list(map(Extensions, *lists[:3], lists[-1] if len(numbers) > 1 else lists[0]))
