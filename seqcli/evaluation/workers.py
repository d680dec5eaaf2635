"""Work that is done side by side by threads, each with a core of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], device: torch.device
) -> Iterator[tuple[Piece, Result]]:
    """Each piece with what `work` makes of it, in the order of the pieces.

    On a CPU, if there are pieces for all of torch's threads, each thread does pieces of its own: that is quicker than all of them at one piece, since
    small operations have nothing to share, and while one thread is in Python another computes. What `work` makes must not depend on
    the number of threads.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(pieces) < threads:
        for piece in pieces:
            yield piece, work(piece)
        return
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from zip(pieces, pool.map(work, pieces), strict=True)
    finally:
        # an interrupt waits for what is being done, not for what is waiting
        pool.shutdown(cancel_futures=True)
        # what a thread sets is also what threads to come begin with
        torch.set_num_threads(threads)
