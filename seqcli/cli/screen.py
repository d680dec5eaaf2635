"""A picture at the foot of a terminal that is painted over and over.

It sets no mode of the terminal (cursor, echo, second screen), so there is nothing to put back, however the process ends. Lines are
overwritten in place and never blanked first, so nothing flickers. What is printed meanwhile appears above.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segment
from rich.style import Style

from seqcli.cli.sparkline import BLOCKS

Piece = tuple[str, str]
"""Text and its style in rich's words."""
Line = Sequence[Piece]
Picture = Callable[[int, int], Sequence[Line]]
"""Gives the lines for so many columns and rows."""

INTERVAL = 0.25
"""Seconds between two pictures; one is only painted if there is news, or a second is over."""
ASCII_FOR = str.maketrans("…–━─→" + BLOCKS, ".-=.>" + "_.,-=+*#")


def can_move(console: Console) -> bool:
    """Whether the cursor can go up there: a terminal, no dumb one, and nobody has asked for silence."""
    return console.is_interactive and console.file.isatty() and not (console.legacy_windows or console.quiet)


def fit(text: str, width: int) -> str:
    """A text in at most `width` columns; what is cut off becomes an ellipsis."""
    if cell_len(text) <= width:
        return text
    return crop(text, width - 1) + "…" if width > 0 else ""


def crop(text: str, width: int) -> str:
    """The first `width` columns of a text; half a wide character is none."""
    if cell_len(text) <= width:
        return text
    while cell_len(text) > max(width, 0):
        text = text[: min(len(text) - 1, max(width, 0))]
    return text


class Screen(RenderHook):
    """Paints `picture` in a thread of its own, as soon as `changed` was called or a second is over.

    `resumed` is called, in a signal handler, when the process goes on after it was stopped (Ctrl-Z, fg).
    """

    def __init__(self, console: Console, picture: Picture, resumed: Callable[[], None] = lambda: None) -> None:
        self.console, self.picture, self.resumed = console, picture, resumed
        self.painted: list[int] = []  # the widths of the lines that stand on the terminal
        self.news, self.ended = True, threading.Event()
        self.size: tuple[int, int] = (0, 0)
        self.undo = contextlib.ExitStack()
        self.thread = threading.Thread(target=self._repaint, daemon=True)

    def changed(self) -> None:
        """There is something new to see."""
        self.news = True

    def __enter__(self) -> Screen:
        self.console.push_render_hook(self)
        self.undo.callback(self.console.pop_render_hook)
        self.undo.enter_context(_printed_above(self.console))
        self.undo.enter_context(self._told_of_resumption())
        self.paint()
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.thread.join()
        self.paint()
        self.undo.close()

    def paint(self) -> None:
        """Paint now."""
        self.news = False
        try:
            self.console.print(Control())
        except OSError:  # the terminal has gone; the work goes on without
            self.ended.set()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """rich's hook: what is about to be printed, with the old picture painted over by it and by the new one."""
        width, height = self.console.size
        # the last column stays free, since a terminal need not agree with others on what follows a full line
        lines = [cropped(line, width - 1) for line in self.picture(width - 1, height - 1)][: height - 1]
        if not self.console.encoding.startswith("utf"):
            lines = [[(_in_ascii(text), style) for text, style in line] for line in lines]
            lines = [cropped(line, width - 1) for line in lines]
        back = _Controls("\r" + (f"\x1b[{rows}A" if (rows := min(self._rows(width), height - 1)) else ""))
        self.painted = [sum(cell_len(text) for text, _ in line) for line in lines]
        # where something is printed above, the old picture makes room for it
        room = [_Controls("\x1b[J")] if any(not isinstance(each, Control) for each in renderables) else []
        return [back, *room, *renderables, _Painting(lines)]

    def _rows(self, width: int) -> int:
        """Rows that the old picture takes up; a terminal that has become narrower has folded its lines."""
        return sum(max(1, -(-old // width)) for old in self.painted)

    def _repaint(self) -> None:
        waited = 0
        while not self.ended.wait(INTERVAL):
            waited += 1
            if self.news or waited * INTERVAL >= 1.0 or self.size != tuple(self.console.size):
                self.size, waited = tuple(self.console.size), 0  # type: ignore[assignment]
                self.paint()

    @contextlib.contextmanager
    def _told_of_resumption(self) -> Iterator[None]:
        """A block in which the picture is painted anew below what a shell has written while the process was stopped."""
        if not hasattr(signal, "SIGCONT") or threading.current_thread() is not threading.main_thread():
            yield
            return

        def go_on(number: int, frame: FrameType | None) -> None:
            self.painted, self.news = [], True
            self.resumed()

        before = signal.signal(signal.SIGCONT, go_on)
        try:
            yield
        finally:
            signal.signal(signal.SIGCONT, before)


class _Controls:
    """Bytes that steer the terminal and take up no room."""

    def __init__(self, codes: str) -> None:
        self.codes = codes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self.codes, None, [(ControlType.CARRIAGE_RETURN,)])


class _Painting:
    """Lines, each cleared behind its text, and all that is below them cleared too."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines:
            for text, style in line:
                yield Segment(text, Style.parse(style) if style else None)
            yield Segment("\x1b[K", None, [(ControlType.ERASE_IN_LINE, 0)])
            yield Segment.line()
        yield Segment("\x1b[J", None, [(ControlType.CARRIAGE_RETURN,)])


def cropped(line: Line, width: int) -> Line:
    """The first `width` columns of a line."""
    made, left = [], width
    for text, style in line:
        shown = crop(text, left)
        made.append((shown, style))
        left -= cell_len(shown)
    return made


def _in_ascii(text: str) -> str:
    return text.translate(ASCII_FOR).encode("ascii", "backslashreplace").decode("ascii")


@contextlib.contextmanager
def _printed_above(console: Console) -> Iterator[None]:
    """A block in which what others write to stderr, and to stdout if that is a terminal too, appears above the picture."""
    out, err = sys.stdout, sys.stderr
    if out is not None and out.isatty():
        sys.stdout = cast(TextIO, FileProxy(console, out))
    sys.stderr = cast(TextIO, FileProxy(console, err))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
