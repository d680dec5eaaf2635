"""What has become of the steps: added up for the next record, or too many in a row that were no number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seqcli.errors import SeqcliError
from seqcli.training.checkpoint import Position
from seqcli.training.precision import LossScale
from seqcli.training.spikes import Spikes
from seqcli.training.step import Step, queued, read
from seqcli.types import Batch, Progress

SKIPS_IN_A_ROW = 5
"""After so many steps in a row whose loss or gradient is not a number, training ends."""
MOST_UNREAD = 100
"""So many steps, whose batches are kept that long, wait to be read at most."""


class Tally:
    """The steps that nobody has read yet, and the position that has the sums of the others.

    On a GPU steps are read late, but each as if it had been read at once: whatever steps after the fifth skipped one in a row have
    done, the run ends with that one's examples, and no checkpoint has them. Only a rewind comes late, and undoes those steps too.
    """

    def __init__(
        self,
        position: Position,
        scale: LossScale | None,
        describe: Callable[[Sequence[Batch]], str],
        spikes: Spikes | None,
        rewind: Callable[[], int | None],
    ) -> None:
        self.position = position
        self.scale = scale
        self.describe = describe
        self.spikes = spikes
        self.rewind = rewind
        self.unread: list[Step] = []

    def add(self, step: Step) -> list[Progress]:
        """Take in a step; read it, unless that means to wait."""
        self.unread.append(step)
        return [] if queued(step.figures.device) and len(self.unread) < MOST_UNREAD else self.settle()

    def settle(self) -> list[Progress]:
        """Read all steps, and bring the position up to date; the records of spikes among them.

        Raises `SeqcliError` where there were too many skips in a row.
        """
        if not self.unread:
            return []
        steps, self.unread = self.unread, []
        news: list[Progress] = []
        undone = False
        for step, sums in zip(steps, read(steps), strict=True):
            self._count_skipped(step, sums)
            # what was done with weights that are given up says nothing of those that are gone back to
            if self.spikes is not None and not undone:
                told = list(self.spikes.watch(step.number, sums, self.position, self.rewind))
                news += told
                undone = any(one.event == "rewind" for one in told)
            for name, value in sums.items():
                self.position.sums[name] = self.position.sums.get(name, 0.0) + value
        if self.scale is not None:
            self.position.loss_scale, self.position.steps_at_scale = self.scale.read()
        return news

    def _count_skipped(self, step: Step, sums: dict[str, float]) -> None:
        position = self.position
        if sums.pop("overflowed", 0):
            return  # what a smaller scale mends says nothing of the run
        position.skipped_in_a_row = position.skipped_in_a_row + 1 if sums["skipped"] else 0
        if position.skipped_in_a_row >= SKIPS_IN_A_ROW:
            raise SeqcliError(
                f"the loss or its gradient was not a number in {SKIPS_IN_A_ROW} steps in a row, the last at step {step.number} "
                f"with {self.describe(step.group)}; lower training.optimizer.learning_rate, set training.clip_norm, or look at these "
                "examples"
            )
