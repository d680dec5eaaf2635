"""What a filter of lines reads and writes: bunches of lines that come without a pause, and a stream that a terminal or a pipe may end."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import BinaryIO, TextIO

WINDOW_LINES, WINDOW_IMAGES = 2000, 256
"""Lines that are sorted by length together, and images that are in memory together."""
WINDOW_IDLE, WINDOW_WAIT = 0.05, 0.5
"""Seconds without a new line after which those that have come are translated, and seconds after the first of them."""


def windows(stream: BinaryIO, most: int = WINDOW_LINES) -> Iterator[list[bytes]]:
    """Lines in bunches: all that come without a pause, at most `most`, so that an answer need not wait for the end."""
    waiting: Queue[bytes | None] = Queue(maxsize=4 * most)
    Thread(target=_fill, args=(stream, waiting), daemon=True).start()
    line = waiting.get()
    while line is not None:
        window, end = [line], time.monotonic() + WINDOW_WAIT
        try:
            while len(window) < most and time.monotonic() < end:
                line = waiting.get(timeout=WINDOW_IDLE)
                if line is None:
                    break
                window.append(line)
        except Empty:
            pass
        yield window
        line = None if line is None else waiting.get()


def _fill(stream: BinaryIO, waiting: Queue[bytes | None]) -> None:
    """Reads, and closes what it has read: another thread would have to wait for the line that is being read."""
    try:
        with stream:
            # readline, because iterating over a pipe would wait for a full buffer
            for line in iter(stream.readline, b""):
                waiting.put(line)
    finally:
        waiting.put(None)


def one_line(text: str) -> str:
    """A model that learnt line breaks from JSON may write them; a line of output stays one line."""
    return text.replace("\r", " ").replace("\n", " ")


def size_of(path: Path | None) -> int | None:
    """How many bytes there are to read, where that is known."""
    return path.stat().st_size if path is not None and path.is_file() else None


def is_utf8(line: bytes) -> bool:
    """Whether the bytes are text."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def open_input(path: Path | None) -> BinaryIO:
    """The file, or stdin where there is none. DataError where it cannot be read."""
    from seqcli.errors import DataError

    try:
        # not sys.stdin: Python would wait at its end for the thread that reads it, or be aborted
        return open(0, "rb", closefd=False) if path is None else path.open("rb")
    except OSError as error:
        raise DataError(f"{path or 'stdin'}: cannot be read ({error.strerror or error})") from error


def stdout() -> TextIO:
    """stdout for UTF-8 with \\n, whatever the locale says; half a surrogate pair in a passed-through field stays an escape."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    return sys.stdout


def open_output(path: Path, *read: Path | None, beside: Path | None = None) -> TextIO:
    """A file to write to, none of those that are `read`, nor the one that is written `beside` it. RecipeError where it is, StorageError where
    it cannot be written."""
    from seqcli.errors import RecipeError, StorageError

    if path.exists() and any(each is not None and path.samefile(each) for each in read):
        raise RecipeError(f"{path} is read and written; give another name to --output")
    if beside is not None and path.exists() and path.samefile(beside):
        raise RecipeError(f"{path} is written twice; give --trace another name than --output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
