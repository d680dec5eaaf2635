"""Work done ahead of time: while a batch is learnt from, the next one is made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


def one_ahead(make: Callable[[Item], T], items: Iterable[Item]) -> Generator[T, None, None]:
    """`make(item)` of each item, in order, made in one thread while what was made before is in use, and no further ahead.

    What `make` raises is raised where its item is due. Close the generator to end the thread, which finishes what it is at.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as thread:
        due: Future[T] | None = None
        for item in items:
            coming = thread.submit(make, item)
            if due is not None:
                yield due.result()
            due = coming
        if due is not None:
            yield due.result()
