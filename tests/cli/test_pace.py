"""What is left of a run, on a clock that the test turns."""

from __future__ import annotations

import random

import pytest

from seqcli.cli.pace import LAPS, Pace, Remaining, clock_time


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def paced(total: int, seconds: float, steps: int, **every: int | None) -> tuple[Pace, Clock]:
    """A run whose steps all take so many seconds, the first of them ten more."""
    clock = Clock()
    pace = Pace(total, 0, clock=clock, **every)
    for step in range(1, steps + 1):
        clock.now += seconds + 10 * (step == 1)
        pace.step(step)
    return pace, clock


def test_steps_that_all_take_as_long_leave_no_doubt() -> None:
    pace, _ = paced(100, 0.5, 40)
    remaining = pace.remaining()
    assert remaining is not None
    # 60 steps of half a second; the first step, which sets things up, does not count
    assert (remaining.low, remaining.high) == (pytest.approx(30.0), pytest.approx(30.0))
    assert str(remaining) == "30 s"


def test_nothing_is_said_before_something_is_known() -> None:
    assert paced(100, 0.5, 4)[0].remaining() is None  # three laps of half a second
    assert paced(100, 0.5, 5)[0].remaining() is not None


def test_validations_and_checkpoints_count() -> None:
    pace, clock = paced(100, 1.0, 20, validate_every=30, checkpoint_every=50)
    left = pace.remaining()
    assert left is not None
    assert not left.complete, "nobody knows yet how long a validation takes"
    for step in range(21, 61):
        clock.now += 1.0
        if step % 30 == 0:
            # told without its step, whose one second is taken off
            clock.now += 4.0
            pace.pause("validation", step)
        pace.step(step)
        if step % 50 == 0:
            clock.now += 2.0
            pace.pause("checkpoint", step)
    left = pace.remaining()
    assert left is not None
    # 40 steps of 1 s; validations at 90 and at the end, 4 s each; a checkpoint at the end, 2 s
    assert left.complete
    assert left.low == left.high == pytest.approx(40 + 2 * 4 + 2)


def test_time_in_which_the_process_was_stopped_does_not_count() -> None:
    pace, clock = paced(100, 0.5, 40)
    clock.now += 3600
    pace.forget()
    clock.now += 0.5
    pace.step(41)
    assert str(pace.remaining()) == "30 s"


def test_a_machine_that_slows_down_is_believed_and_memory_is_bounded() -> None:
    pace, clock = paced(10**6, 0.5, 4000)
    for step in range(4001, 5001):
        clock.now += 2.0
        pace.step(step)
    assert len(pace.laps) <= LAPS
    left = pace.remaining()
    assert left is not None
    # 1000 slow steps are 33 minutes, more than is remembered
    assert left.low == left.high == pytest.approx(2.0 * (10**6 - 5000))


@pytest.mark.parametrize("drift", [0.0, 0.05])
def test_the_bounds_hold(drift: float) -> None:
    """Noisy steps, on a machine whose speed wanders: the truth lies between the bounds in most cases."""
    rng, held, asked = random.Random(3), 0, 0
    for _ in range(60):
        clock, speed, told = Clock(), 1.0, []
        pace = Pace(1000, 0, clock=clock)
        for step in range(1, 1001):
            if step % 50 == 0:
                speed *= rng.lognormvariate(0.0, drift)
            clock.now += 0.2 * speed * rng.lognormvariate(0.0, 0.5)
            pace.step(step)
            if step in (150, 400, 700):
                told.append((clock.now, pace.remaining()))
        for moment, remaining in told:
            assert remaining is not None
            asked += 1
            held += remaining.low <= clock.now - moment <= remaining.high
    assert 0.7 <= held / asked <= 1.0, f"{held} of {asked}"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (40, 55.4, "40–55 s"),
        (700, 905, "12–15 min"),
        (3600, 3601, "60 min"),
        (11000, 12300, "3.1–3.4 h"),
        (150, 185, "2.5–3.1 min"),
        (10**6, 2 * 10**6, "12–23 days"),
    ],
)
def test_in_words(low: float, high: float, text: str) -> None:
    assert str(Remaining(low, high)) == text


def test_clock_time() -> None:
    assert [clock_time(seconds) for seconds in (0, 42.9, 727, 3723)] == ["0:00", "0:42", "12:07", "1:02:03"]
