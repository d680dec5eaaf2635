"""What one sees on a terminal while a command works: a line with a bar, and nothing once it is done. In a pipe there is nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

from rich.cells import cell_len

from seqcli.cli import console
from seqcli.cli.pace import Pace, clock_time
from seqcli.cli.screen import Line, Screen, can_move, cropped


class WorkView:
    """Shows `title`, how long it has taken, and, once `told` was called, how much is done and what is left.

    It is `hidden` where the command itself writes to the terminal meanwhile, or reads what is typed there.
    """

    def __init__(self, title: str, *, hidden: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.title, self.clock, self.began, self.closed = title, clock, clock(), False
        self.pace: Pace | None = None
        self.done = self.total = 0
        self.lock = threading.Lock()
        self.screen = (
            Screen(console.notes, self.picture, self._forget) if can_move(console.notes) and not hidden else None
        )
        self.open = ExitStack()

    def __enter__(self) -> WorkView:
        if self.screen:
            self.open.enter_context(self.screen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True
        self.open.close()

    def told(self, done: int, total: int) -> None:
        """So much of the work is done, in units that each take about as long."""
        with self.lock:
            if self.pace is None or total != self.total:
                self.pace = Pace(total, done, clock=self.clock)
            self.done, self.total = done, total
            self.pace.step(done)
        if self.screen:
            self.screen.changed()

    def picture(self, width: int, height: int) -> list[Line]:
        """The line, in at most `width` columns."""
        if self.closed:
            return []
        with self.lock:
            parts = [clock_time(self.clock() - self.began)]
            if self.pace is not None and self.total:
                remaining = self.pace.remaining()
                parts = [f"{100 * self.done // self.total} %", f"{parts[0]} gone"]
                parts += [f"{remaining} left"] if remaining and self.done < self.total else []
            while len(parts) > 1 and cell_len("  ".join([self.title, *parts])) > width:
                parts.pop()
            length = width - cell_len("  ".join([self.title, *parts])) - 2
            bar: list[tuple[str, str]] = []
            if self.total and length >= 8:
                length = min(length, 40)
                filled = length * self.done // self.total
                bar = [("  " + "━" * filled, "cyan"), ("─" * (length - filled), "dim")]
        return [cropped([(self.title, ""), *bar, ("  " + "  ".join(parts), "")], width)]

    def _forget(self) -> None:
        if self.pace is not None:
            self.pace.forget()
