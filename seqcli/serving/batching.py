"""Requests that arrive together go through the model side by side: a bounded queue, and one thread that works it off.

While the model is busy requests wait, and what waits with one key is the next batch; so batches grow with the load, and a lone
request waits for `window` seconds at most. A request of many items takes turns with the others, a batch at a time.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from seqcli.errors import is_out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Sequence[Result]]
SMOOTHED = 0.2
"""The weight of the last batch in the rate that a wait is told from."""


class QueueFull(Exception):
    """More would wait than may; `seconds` is when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class QueueClosed(Exception):
    """No more work is taken."""


@dataclass(eq=False)
class Job(Generic[Item, Result]):
    """Items of one request, their `sizes`, and what has become of the first `taken` of them."""

    key: Hashable
    items: Sequence[Item]
    sizes: Sequence[int]
    work: Work[Item, Result]
    arrived: float
    future: Future[list[Result]] = field(default_factory=Future)
    taken: int = 0
    results: list[Result] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Items that are still to be taken."""
        return len(self.items) - self.taken


Share = tuple[Job[Any, Any], int, int]
"""The items of a job from one place to another."""


class Batcher:
    """One thread that does the work of all jobs. `told` hears of each batch how many items it had, and how long it took."""

    def __init__(
        self,
        *,
        most_waiting: int,
        most_together: int,
        most_size: int,
        window: float = 0.0,
        told: Callable[[int, float], None] = lambda count, seconds: None,
    ) -> None:
        self._most_waiting, self._most_together, self._most_size = most_waiting, most_together, most_size
        self._window = window
        self._told = told
        self._jobs: deque[Job[Any, Any]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._rate = 0.0  # items a second
        self._thread = threading.Thread(target=self._work_off, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet."""
        with self._changed:
            return self._count()

    @property
    def alive(self) -> bool:
        """Whether there is a thread that works."""
        return self._thread.is_alive()

    def submit(
        self, key: Hashable, items: Sequence[Item], sizes: Sequence[int], work: Work[Item, Result]
    ) -> Future[list[Result]]:
        """Queue some items, which `work` turns into as many results, together with those of other jobs with the same `key`.

        A future that is cancelled takes its items from the queue. Raises `QueueFull` where too many wait already, `QueueClosed` after `close`.
        """
        job = Job(key, items, sizes, work, time.monotonic())
        with self._changed:
            if self._closed:
                raise QueueClosed
            waiting = self._count()
            if waiting and waiting + len(items) > self._most_waiting:
                raise QueueFull(self._seconds_for(waiting))
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def close(self, seconds: float) -> None:
        """Take no more, and wait so long for what is there."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)

    def _count(self) -> int:
        self._forget_cancelled()
        return sum(job.left for job in self._jobs)

    def _forget_cancelled(self) -> None:
        if any(job.future.cancelled() for job in self._jobs):
            self._jobs = deque(job for job in self._jobs if not job.future.cancelled())

    def _seconds_for(self, items: int) -> int:
        return max(1, min(60, math.ceil(items / self._rate))) if self._rate else 1

    def _work_off(self) -> None:
        while batch := self._next():
            started = time.monotonic()
            self._do(batch)
            count, seconds = sum(end - start for _, start, end in batch), time.monotonic() - started
            rate = count / max(seconds, 1e-6)
            self._rate = rate if not self._rate else SMOOTHED * rate + (1 - SMOOTHED) * self._rate
            self._told(count, seconds)

    def _next(self) -> list[Share]:
        """The next batch; empty when all is done and no more will come."""
        with self._changed:
            while True:
                self._forget_cancelled()
                if self._jobs:
                    missing = self._jobs[0].arrived + self._window - time.monotonic()
                    if missing <= 0 or self._closed or self._count() >= self._most_together:
                        return self._take()
                    self._changed.wait(missing)
                elif self._closed:
                    return []
                else:
                    self._changed.wait()

    def _take(self) -> list[Share]:
        """Items of the oldest job, and of those that may go with it; what is left of a job goes to the end of the queue."""
        key, room, size = self._jobs[0].key, self._most_together, 0
        batch: list[Share] = []
        kept: deque[Job[Any, Any]] = deque()
        cut: list[Job[Any, Any]] = []
        for job in self._jobs:
            start = job.taken
            while job.key == key and job.left and room and (not size or size + job.sizes[job.taken] <= self._most_size):
                size += max(1, job.sizes[job.taken])
                job.taken += 1
                room -= 1
            if job.taken > start:
                batch.append((job, start, job.taken))
            if job.left:
                (cut if job.taken > start else kept).append(job)
        self._jobs = kept
        self._jobs.extend(cut)
        return batch

    def _do(self, batch: Sequence[Share]) -> None:
        """Do a batch; where it fails, each job's share alone, so that none fails for another's sake."""
        items = [item for job, start, end in batch for item in job.items[start:end]]
        try:
            results = batch[0][0].work(items)
            if len(results) != len(items):
                raise RuntimeError(f"{len(items)} items, but {len(results)} results")
        except Exception as error:
            if len(batch) > 1:
                for share in batch:
                    self._do([share])
            elif is_out_of_memory(error) and len(items) > 1:
                job, start, end = batch[0]
                self._do([(job, start, (start + end) // 2)])
                self._do([(job, (start + end) // 2, end)])
            else:
                self._fail(batch[0][0], error)
            return
        place = 0
        for job, start, end in batch:
            job.results += results[place : place + end - start]
            place += end - start
            if (
                len(job.results) == len(job.items)
                and not job.future.done()
                and job.future.set_running_or_notify_cancel()
            ):
                job.future.set_result(job.results)

    def _fail(self, job: Job[Any, Any], error: Exception) -> None:
        with self._changed:
            self._jobs = deque(other for other in self._jobs if other is not job)
        if not job.future.done() and job.future.set_running_or_notify_cancel():
            job.future.set_exception(error)
