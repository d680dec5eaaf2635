"""Work done ahead of time: while a batch is learnt from, the next one is made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
Item = TypeVar("Item")


def one_ahead(make: Callable[[Item], T], items: Iterable[Item]) -> Generator[T, None, None]:
    """`make(item)` of each item, in order, made in one thread while what was made before is in use, and no further ahead.

    What `make` raises is raised where its item is due. Close the generator to end the thread, which finishes what it is at.
    It computes with one of torch's threads: with several, there would be more threads than cores, and OpenMP would put all of them
    to sleep after each piece of work, which takes longer than many a piece.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(1, "prefetch", initializer=torch.set_num_threads, initargs=(1,)) as thread:
        try:
            due: Future[T] | None = None
            for item in items:
                coming = thread.submit(make, item)
                if due is not None:
                    yield due.result()
                due = coming
            if due is not None:
                yield due.result()
        finally:
            # what a thread sets is also what threads to come begin with
            torch.set_num_threads(threads)
