"""Schedules against numbers made by hand."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from seqcli.build.training import build_schedule
from seqcli.recipe import training as sections
from seqcli.training.schedule import Schedule, constant, cosine, exponential, inverse_sqrt, linear, with_warmup


def rates(schedule: Schedule, *steps: int) -> list[float]:
    return [schedule(step) for step in steps]


def test_warmup_rises_linearly_to_the_full_rate() -> None:
    assert rates(with_warmup(4, constant()), 1, 2, 3, 4, 5, 1000) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rates(with_warmup(0, constant()), 1, 2) == [1.0, 1.0]


def test_inverse_sqrt() -> None:
    # warm-up 100: √(100/400) = 1/2, √(100/10000) = 1/10
    expected = [0.01, 0.99, 1.0, 0.5, 0.1]
    assert rates(with_warmup(100, inverse_sqrt(100)), 1, 99, 100, 400, 10000) == pytest.approx(expected)


def test_cosine() -> None:
    # a quarter of the way: (1 + cos 45°)/2; half-way 1/2; then final for ever
    quarter = (1 + math.sqrt(0.5)) / 2
    assert rates(cosine(8, 0.0), 0, 2, 4, 8, 9) == pytest.approx([1.0, quarter, 0.5, 0.0, 0.0])
    assert rates(cosine(8, 0.2), 0, 4, 8, 100) == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_linear() -> None:
    assert rates(linear(10, 0.0), 0, 1, 5, 10, 11) == pytest.approx([1.0, 0.9, 0.5, 0.0, 0.0])
    assert rates(linear(10, 0.5), 0, 5, 10, 11) == pytest.approx([1.0, 0.75, 0.5, 0.5])


def test_exponential() -> None:
    # three steps whole, three halved, three quartered
    assert rates(exponential(0.5, 3), 1, 2, 3, 4, 6, 7) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    # with a warm-up of 2 the third step is the first after it
    assert rates(with_warmup(2, exponential(0.5, 3)), 1, 2, 3, 5, 6, 9) == [0.5, 1.0, 1.0, 1.0, 0.5, 0.25]
    # held for 4 steps, then as if begun there
    assert rates(exponential(0.5, 3, 4), 1, 4, 5, 7, 8, 11) == [1.0, 1.0, 1.0, 1.0, 0.5, 0.25]


def test_a_learning_rate_is_held_and_then_halved_as_tensorflow_nmt_does() -> None:
    # luong234 of its model.py over 12,000 steps, which it counts from 0: from 8,000 on 0.5^((step - 8000) // 1000)
    section = sections.ExponentialSchedule(kind="exponential", factor=0.5, every=1000, hold=8000)
    schedule = build_schedule(section, steps=12000)
    theirs = [1.0 if step < 8000 else 0.5 ** ((step - 8000) // 1000) for step in range(12000)]
    assert rates(schedule, *range(1, 12001)) == theirs


SECTIONS = [
    (member, kind)
    for member in get_args(get_args(sections.Schedule)[0])
    for kind in get_args(member.model_fields["kind"].annotation)
]


def test_every_schedule_of_the_schema_is_seen() -> None:
    assert len(SECTIONS) == 6


@pytest.mark.parametrize(("member", "kind"), SECTIONS, ids=[kind for _, kind in SECTIONS])
@pytest.mark.parametrize("warmup", [1, 50])
def test_every_schedule_joins_its_warmup_without_a_jump_and_never_rises_again(
    member: type[sections.ScheduleSection], kind: str, warmup: int
) -> None:
    schedule = build_schedule(member.model_validate({"kind": kind, "warmup": warmup}), steps=1000)  # type: ignore[arg-type]
    walked = rates(schedule, *range(1, 1001))
    assert walked[:warmup] == pytest.approx([step / warmup for step in range(1, warmup + 1)])
    after = walked[warmup - 1 :]
    assert all(0.0 <= later <= earlier for earlier, later in zip(after, after[1:], strict=False))
    if warmup > 1:
        assert after[0] - after[1] <= 1 / warmup


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_a_decay_ends_with_its_share_at_the_last_step(kind: str) -> None:
    section = sections.DecaySchedule.model_validate({"kind": kind, "warmup": 10, "final": 0.25})
    schedule = build_schedule(section, steps=100)
    assert schedule(100) == pytest.approx(0.25)
    assert schedule(99) > 0.25
