"""A terminal made of a list: it understands what the views may send and refuses all else, so no view can set a mode of it."""

from __future__ import annotations

import io
import re
import sys

from rich.cells import cell_len
from rich.console import Console

PARTS = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b|[\x00-\x1f\x7f]|[^\x00-\x1f\x7f]")


class Terminal(io.TextIOBase):
    """`width` × `height` cells. A narrower terminal folds the lines that stand on it, as most do; what scrolls out is in `above`."""

    def __init__(self, width: int, height: int, encoding: str = "utf-8") -> None:
        self.width, self.height, self._encoding = width, height, encoding
        self.rows: list[list[str]] = [[]]
        self.above: list[str] = []
        self.row = self.column = 0
        self.rest = ""
        self.flickers = self.writes = self.tallest = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """One write is what one may see at a time; a cell that it empties and fills again flickers."""
        text.encode(self._encoding)
        length, text = len(text), self.rest + text
        unfinished = re.search(r"\x1b(\[[0-9;?]*)?$", text)  # a pipe may cut anywhere
        self.rest = text[unfinished.start() :] if unfinished else ""
        text = text[: unfinished.start()] if unfinished else text
        self.writes += 1
        self.emptied: set[tuple[int, int]] = set()
        for found in PARTS.finditer(text):
            if found[2]:
                self._control(found[1], found[2])
            elif found[0] == "\r":
                self.column = 0
            elif found[0] == "\n":
                self._line_feed()
            else:
                assert found[0] >= " ", f"{found[0]!r} is sent to the terminal"
                self._put(found[0])
        return length

    def resize(self, width: int, height: int) -> None:
        """As tmux and most others do: fold what is too wide, scroll what is too high, the cursor stays with its text."""
        folded: list[list[str]] = []
        for number, row in enumerate(self.rows):
            pieces = [row[start : start + width] for start in range(0, len(row), width)] or [[]]
            folded += pieces
            if number == self.row:
                self.row, self.column = len(folded) - 1, min(self.column, width)
        self.rows, self.width, self.height = folded, width, height
        while len(self.rows) > height:
            self._scroll()

    @property
    def screen(self) -> list[str]:
        """The lines, without the blanks behind them and without the empty ones at the end."""
        lines = ["".join(row).rstrip() for row in self.rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _control(self, numbers: str, letter: str) -> None:
        if letter == "A":
            assert int(numbers) <= self.row, "the cursor would leave the screen"
            self.row -= int(numbers)
        elif letter in "JK":
            assert numbers in ("", "0"), f"CSI {numbers} {letter} empties what is to be seen"
            self._empty(self.row, self.column)
            for row in range(self.row + 1, len(self.rows)) if letter == "J" else ():
                self._empty(row, 0)
        else:
            assert letter == "m", f"CSI {numbers} {letter} is no colour: it may have to be undone"

    def _empty(self, row: int, column: int) -> None:
        self.emptied |= {(row, each) for each, old in enumerate(self.rows[row]) if each >= column and old.strip()}
        del self.rows[row][column:]

    def _put(self, character: str) -> None:
        size = cell_len(character)
        if size == 0:
            return
        if self.column + size > self.width:
            self.column = 0
            self._line_feed()
        row = self.rows[self.row]
        row += " " * (self.column - len(row))
        row[self.column : self.column + size] = [character, *[""] * (size - 1)]
        self.flickers += character != " " and (self.row, self.column) in self.emptied
        self.column += size

    def _line_feed(self) -> None:
        self.column = 0  # the kernel makes \r\n of it
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])
        if len(self.rows) > self.height:
            self._scroll()
        self.tallest = max(self.tallest, len(self.screen))

    def _scroll(self) -> None:
        self.above.append("".join(self.rows.pop(0)).rstrip())
        self.row -= 1


class Screened(Console):
    """rich's console on such a terminal, of whatever size that is now."""

    def __init__(self, terminal: Terminal, colour: str | None = None) -> None:
        super().__init__(
            file=terminal,  # type: ignore[arg-type]
            force_terminal=True,
            color_system=colour,  # type: ignore[arg-type]
            highlight=False,
            legacy_windows=False,
            _environ={"TERM": "xterm"},
        )
        self.terminal = terminal
        assert sys.stderr is not terminal

    @property
    def size(self):  # type: ignore[no-untyped-def,override]
        from rich.console import ConsoleDimensions

        return ConsoleDimensions(self.terminal.width, self.terminal.height)
