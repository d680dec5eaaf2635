"""How long a run still takes, with the bounds between which that can be known."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

LAPS = 16
"""Stretches of steps that are remembered. Where there are more, neighbours become one until each takes `LONGEST_LAP` seconds, and then
the oldest are forgotten: what counts is the speed of about the last eight minutes."""
SHORTEST_LAP, LONGEST_LAP = 0.5, 32.0
FEWEST_LAPS = 4
"""Laps before anything is said."""
PAUSES = 8
"""Validations, and checkpoints, whose durations are remembered."""


@dataclass(frozen=True)
class Remaining:
    """Seconds, from `low` to `high`; `complete` is false as long as nobody knows how long a validation takes."""

    low: float
    high: float
    complete: bool = True

    def __str__(self) -> str:
        """The two in the unit of the longer one, and one number where they are the same in it: "40–55 s", "3.1–3.4 h"."""
        unit, seconds = next(each for each in _UNITS if self.high < 100 * each[1] or each is _UNITS[-1])
        places = 1 if unit != "s" and self.high < 10 * seconds else 0
        low, high = (f"{bound / seconds:.{places}f}" for bound in (self.low, self.high))
        return f"{low} {unit}" if low == high else f"{low}–{high} {unit}"


_UNITS = (("s", 1.0), ("min", 60.0), ("h", 3600.0), ("days", 86400.0))


@dataclass
class Lap:
    """Some steps and the seconds that they took, validations and checkpoints not counted."""

    steps: int = 0
    seconds: float = 0.0

    @property
    def pace(self) -> float:
        """Seconds a step."""
        return self.seconds / self.steps


class Pace:
    """Measures a run of `total` steps from step `start` on. It is told of each step, validation and checkpoint when it is over.

    A validation comes every `validate_every` steps and at the end, a checkpoint likewise; None means there are none.
    """

    def __init__(
        self,
        total: int,
        start: int,
        *,
        validate_every: int | None = None,
        checkpoint_every: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.at = total, start
        self.every = {"validation": validate_every, "checkpoint": checkpoint_every}
        self.pauses: dict[str, deque[float]] = {kind: deque(maxlen=PAUSES) for kind in self.every}
        self.laps: list[Lap] = []
        self.open, self.span = Lap(), SHORTEST_LAP
        self.clock, self.mark = clock, clock()
        self.warm = False

    def step(self, step: int) -> None:
        """Step number `step` is over; telling it twice does no harm."""
        if step <= self.at:
            return
        seconds, steps = self._since_mark(), step - self.at
        self.at = step
        if not self.warm:  # the first step sets up threads, memory and kernels
            self.warm = True
            return
        self.open.steps += steps
        self.open.seconds += seconds
        if self.open.seconds >= self.span:
            self._close_lap()

    def pause(self, kind: str, step: int) -> None:
        """The validation or checkpoint after step number `step` is over; of a step not told of before the time counts too, and is taken off."""
        seconds = self._since_mark()
        if step > self.at:
            usual = mean(lap.pace for lap in self.laps) if self.laps else 0.0
            seconds, self.at = max(0.0, seconds - usual * (step - self.at)), step
        self.pauses[kind].append(seconds)

    def forget(self) -> None:
        """What has passed since the last step was no work: the process was stopped, say."""
        self.mark = self.clock()

    def remaining(self) -> Remaining | None:
        """Between which bounds the rest lies, if speed varies as it did; None as long as too little is known.

        The bounds are an 80 % prediction interval for one more lap, t · s · √(1 + 1/n) about the mean of the laps, so a speed that drifts
        from lap to lap widens them, and neither does a long rest make them narrower.
        """
        if len(self.laps) < FEWEST_LAPS:
            return None
        paces = [lap.pace for lap in self.laps]
        middle = sum(lap.seconds for lap in self.laps) / sum(lap.steps for lap in self.laps)
        around = _student(len(paces) - 1) * stdev(paces) * sqrt(1 + 1 / len(paces))
        left = max(0, self.total - self.at)
        low, high, complete = left * max(middle - around, min(paces) / 2), left * (middle + around), True
        for kind, durations in self.pauses.items():
            due = self._due(kind)
            if durations:
                low, high = low + due * min(durations), high + due * max(durations)
            elif due and kind == "validation":
                complete = False
        return Remaining(low, high, complete)

    def _due(self, kind: str) -> int:
        """How many of these are still to come."""
        every = self.every[kind]
        return 0 if every is None else max(0, -(-self.total // every) - self.at // every)

    def _since_mark(self) -> float:
        before, self.mark = self.mark, self.clock()
        return self.mark - before

    def _close_lap(self) -> None:
        self.laps.append(self.open)
        self.open = Lap()
        if len(self.laps) <= LAPS:
            return
        if self.span >= LONGEST_LAP:
            del self.laps[0]
            return
        self.span *= 2
        pairs = zip(self.laps[::2], self.laps[1::2], strict=False)
        odd = [self.laps[-1]] if len(self.laps) % 2 else []
        self.laps = [*(Lap(one.steps + two.steps, one.seconds + two.seconds) for one, two in pairs), *odd]


def _student(degrees: int) -> float:
    """The 90th percentile of Student's t, to 1 % from three degrees of freedom on."""
    return 1.28 + 1.1 / degrees


def clock_time(seconds: float) -> str:
    """Seconds as a clock shows them: 0:42, 12:07, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
