"""The queue before the model: what goes together, in which order, and what becomes of jobs that fail, or are given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.serving.batching import Batcher, QueueClosed, QueueFull

Make = Callable[..., Batcher]


class Gate:
    """Work that waits until it is let go, and keeps what it was given."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.seen: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.seen.append(list(items))
        assert self.open.wait(10)
        return [-item for item in items]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Batcher] = []

    def batcher(**given: float) -> Batcher:
        usual: dict[str, float] = {"most_waiting": 100, "most_together": 4, "most_size": 1000}
        made.append(Batcher(**{**usual, **given}))  # type: ignore[arg-type]
        return made[-1]

    yield batcher
    for each in made:
        each.close(10)


def begun(batcher: Batcher, gate: Gate) -> Future[list[int]]:
    """A first job that keeps the thread busy, so that what follows waits."""
    first = batcher.submit("first", [0], [1], gate)
    while not gate.seen:
        time.sleep(0.001)
    return first


def test_jobs_of_one_key_go_together_and_others_wait_their_turn(make: Make) -> None:
    gate, batcher = Gate(), make()
    begun(batcher, gate)
    jobs = [batcher.submit(key, [number], [1], gate) for number, key in enumerate("aabab", start=1)]
    gate.open.set()
    assert [job.result(10) for job in jobs] == [[-1], [-2], [-3], [-4], [-5]]
    assert gate.seen == [[0], [1, 2, 4], [3, 5]]


def test_a_large_job_takes_turns_with_the_others(make: Make) -> None:
    gate, batcher = Gate(), make()
    begun(batcher, gate)
    large = batcher.submit("a", list(range(1, 11)), [1] * 10, gate)
    small = batcher.submit("a", [100], [1], gate)
    gate.open.set()
    assert large.result(10) == [-item for item in range(1, 11)]
    assert small.result(10) == [-100]
    assert gate.seen == [[0], [1, 2, 3, 4], [100, 5, 6, 7], [8, 9, 10]]


def test_large_items_do_not_go_together(make: Make) -> None:
    gate, batcher = Gate(), make(most_size=10)
    begun(batcher, gate)
    job = batcher.submit("a", [1, 2, 3, 4], [6, 4, 5, 50], gate)
    gate.open.set()
    job.result(10)
    assert gate.seen == [[0], [1, 2], [3], [4]]


def test_the_queue_is_bounded_and_says_when_to_come_again(make: Make) -> None:
    gate, batcher = Gate(), make(most_waiting=3)
    begun(batcher, gate)
    batcher.submit("a", [1, 2], [1, 1], gate)
    with pytest.raises(QueueFull) as full:
        batcher.submit("a", [3, 4], [1, 1], gate)
    assert full.value.seconds >= 1
    last = batcher.submit("a", [3], [1], gate)
    assert batcher.waiting == 3
    gate.open.set()
    assert last.result(10) == [-3]
    assert batcher.waiting == 0
    # what is larger than the queue is taken when nothing waits
    assert batcher.submit("a", list(range(10)), [1] * 10, gate).result(10) == [-item for item in range(10)]


def test_who_gives_up_leaves_the_queue(make: Make) -> None:
    gate, batcher = Gate(), make(most_waiting=2)
    begun(batcher, gate)
    gone = batcher.submit("a", [1, 2], [1, 1], gate)
    assert gone.cancel()
    kept = batcher.submit("a", [3, 4], [1, 1], gate)
    gate.open.set()
    assert kept.result(10) == [-3, -4]
    assert gate.seen == [[0], [3, 4]]


def test_one_that_fails_does_not_fail_the_others(make: Make) -> None:
    def work(items: Sequence[int]) -> list[int]:
        if 2 in items:
            raise ValueError("two")
        return [-item for item in items]

    gate, batcher = Gate(), make()
    begun(batcher, gate)
    jobs = [batcher.submit("a", [number], [1], work) for number in (1, 2, 3)]
    gate.open.set()
    assert jobs[0].result(10) == [-1]
    assert jobs[2].result(10) == [-3]
    with pytest.raises(ValueError, match="two"):
        jobs[1].result(10)
    assert batcher.alive


def test_what_needs_too_much_memory_is_done_in_halves(make: Make) -> None:
    seen = []

    def work(items: Sequence[int]) -> list[int]:
        seen.append(len(items))
        if len(items) > 2:
            raise MemoryError
        return [-item for item in items]

    assert make().submit("a", [1, 2, 3, 4], [1] * 4, work).result(10) == [-1, -2, -3, -4]
    assert seen == [4, 2, 2]
    with pytest.raises(MemoryError):
        make().submit("a", [1], [1], lambda items: work([0, 0, 0])).result(10)


def test_a_lone_job_waits_for_others_no_longer_than_the_window(make: Make) -> None:
    batcher, gate = make(window=0.5), Gate()
    gate.open.set()
    started = time.monotonic()
    first = batcher.submit("a", [1], [1], gate)
    second = batcher.submit("a", [2], [1], gate)
    wait([first, second], 10)
    assert 0.4 < time.monotonic() - started < 5
    assert gate.seen == [[1, 2]]
    started = time.monotonic()
    batcher.submit("a", [1, 2, 3, 4], [1] * 4, gate).result(10)
    assert time.monotonic() - started < 0.4  # a full batch need not wait


def test_the_end_waits_for_what_was_asked_and_takes_no_more(make: Make) -> None:
    gate, batcher = Gate(), make()
    begun(batcher, gate)
    job = batcher.submit("a", [1], [1], gate)
    threading.Timer(0.1, gate.open.set).start()
    batcher.close(10)
    assert job.result(0) == [-1]
    assert not batcher.alive
    with pytest.raises(QueueClosed):
        batcher.submit("a", [1], [1], gate)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.integers(1, 9), min_size=1, max_size=9)), max_size=12),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_every_job_gets_its_own_results(jobs: list[tuple[str, list[int]]], together: int, size: int) -> None:
    seen: list[list[tuple[str, int, int]]] = []

    def work(items: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
        seen.append(list(items))
        return list(items)

    batcher = Batcher(most_waiting=1000, most_together=together, most_size=size)
    wanted = [[(key, number, place) for place in range(len(sizes))] for number, (key, sizes) in enumerate(jobs)]
    futures = [batcher.submit(key, items, sizes, work) for items, (key, sizes) in zip(wanted, jobs, strict=True)]
    batcher.close(10)
    assert [future.result(0) for future in futures] == wanted
    assert sorted(item for batch in seen for item in batch) == sorted(item for items in wanted for item in items)
    for batch in seen:
        assert len({key for key, _, _ in batch}) == 1
        assert len(batch) <= together
        assert len(batch) == 1 or sum(jobs[number][1][place] for _, number, place in batch) <= size
