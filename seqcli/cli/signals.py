"""What a command does with signals while it works."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

ENDS = (signal.SIGINT, signal.SIGTERM)
ALL = (*ENDS, *((signal.SIGUSR1,) if hasattr(signal, "SIGUSR1") else ()))  # which Windows has not
"""What ends a command, and what has it keep a checkpoint and go on."""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """A block in which these signals have these handlers; afterwards they have again those from before."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def passed_on(send: Callable[[int], None]) -> Iterator[None]:
    """A block in which `send` gets the number of each signal that this process gets."""
    with handled(dict.fromkeys(ALL, lambda number, frame: send(number))):
        yield


@dataclass
class Received:
    """The signals that have come: those that ask for the end, and whether one has asked for a checkpoint."""

    stop: list[int] = field(default_factory=list)
    save: bool = False

    def take_save(self) -> bool:
        """Whether a checkpoint is asked for; asking again says no until the next signal."""
        asked, self.save = self.save, False
        return asked


@contextmanager
def collected() -> Iterator[Received]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one, of either, kills as usual. SIGUSR1 asks for a checkpoint."""
    received = Received()

    def end(number: int, frame: FrameType | None) -> None:
        received.stop.append(number)
        for each in ENDS:
            signal.signal(each, signal.SIG_DFL)

    def save(number: int, frame: FrameType | None) -> None:
        received.save = True

    with handled({number: end if number in ENDS else save for number in ALL}):
        yield received
