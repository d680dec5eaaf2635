"""Losses far above those before them: the first sign that a run is falling apart, or that a batch is not like the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from seqcli.training.checkpoint import Position
from seqcli.types import Progress

WINDOW = 100
"""As many losses are looked back on; before there are so many nothing is far above them."""
LEAST_DEVIATION = 0.1
"""Nats a token. A model that knows its data by heart has losses so close to one another that any mistake would be a spike."""


@dataclass(frozen=True)
class Spikes:
    """A loss (in nats a token) is a spike if it is more than `threshold` median absolute deviations above the median of those before.

    After `rewind` spikes in a row weights and optimizer go back to the last checkpoint; None means never.
    """

    threshold: float
    rewind: int | None

    def watch(
        self, step: int, sums: dict[str, float], position: Position, rewind: Callable[[], int | None]
    ) -> Iterator[Progress]:
        """Judge the `step` that `sums` come from, count it there, and remember its loss; a record of what there is to say.

        `rewind()` goes back and returns the step it has gone back to, None if there is no checkpoint yet.
        """
        if "loss" not in sums:  # skipped
            return
        loss = sums["loss"] / sums["tokens"]
        usual, limit = self.usual_and_limit(position.losses)
        sums["spikes"] = int(loss > limit)
        position.spikes_in_a_row = position.spikes_in_a_row + 1 if loss > limit else 0
        position.losses = [*position.losses[1 - WINDOW :], loss]
        if position.spikes_in_a_row == 1:
            yield Progress("spike", step, position.epoch, loss=loss, usual_loss=usual)
        if self.rewind is not None and position.spikes_in_a_row >= self.rewind:
            position.spikes_in_a_row = 0
            back_to = rewind()
            if back_to is not None:
                yield Progress("rewind", step, position.epoch, back_to=back_to)

    def usual_and_limit(self, losses: Sequence[float]) -> tuple[float, float]:
        """The median of the losses, and the highest loss after them that is no spike."""
        if len(losses) < WINDOW:
            return math.nan, math.inf
        usual = median(losses)
        deviation = median(abs(loss - usual) for loss in losses)
        return usual, usual + self.threshold * max(deviation, LEAST_DEVIATION)
