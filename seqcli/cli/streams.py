"""What a filter of lines reads and writes: bunches of lines that come without a pause, and a stream that a terminal or a pipe may end."""

from __future__ import annotations

import io
import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import BinaryIO, TextIO, TypeVar

Item = TypeVar("Item")

WINDOW_LINES, WINDOW_IMAGES = 2000, 256
"""Lines that are sorted by length together, and images that are in memory together."""
WINDOW_IDLE, WINDOW_WAIT = 0.05, 0.5
"""Seconds without a new line after which those that have come are translated, and seconds after the first of them."""


def windows(stream: BinaryIO, most: int = WINDOW_LINES, path: Path | None = None) -> Iterator[list[bytes]]:
    """Lines in bunches: all that come without a pause, at most `most`, so that an answer need not wait for the end.

    Raises `DataError`, which names the file `path`, behind the lines before the one that cannot be read.
    """
    from seqcli.errors import DataError

    waiting: Queue[bytes | OSError | None] = Queue(maxsize=4 * most)
    Thread(target=_fill, args=(stream, waiting), daemon=True).start()
    line = waiting.get()
    while isinstance(line, bytes):
        window, end = [line], time.monotonic() + WINDOW_WAIT
        try:
            while len(window) < most and time.monotonic() < end:
                line = waiting.get(timeout=WINDOW_IDLE)
                if not isinstance(line, bytes):
                    break
                window.append(line)
        except Empty:
            pass
        yield window
        line = waiting.get() if isinstance(line, bytes) else line
    if line is not None:
        raise DataError(f"{name_of(path)}: cannot be read any further ({line.strerror or line})") from line


def _fill(stream: BinaryIO, waiting: Queue[bytes | OSError | None]) -> None:
    """Reads, and closes what it has read: another thread would have to wait for the line that is being read."""
    end: OSError | None = None
    try:
        with stream:
            # readline, because iterating over a pipe would wait for a full buffer
            for line in iter(stream.readline, b""):
                waiting.put(line)
    except OSError as error:
        end = error
    finally:
        waiting.put(end)


def begun(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, of which the first is there already, so that what cannot be read is known before a file to write to is emptied."""
    first = list(itertools.islice(items, 1))
    return itertools.chain(first, items)


def one_line(text: str) -> str:
    """A model that learnt line breaks from JSON may write them; a line of output stays one line."""
    return text.replace("\r", " ").replace("\n", " ")


def is_stream(path: Path | None) -> bool:
    """Whether stdin or stdout is meant: no name, or `-`."""
    return path is None or str(path) == "-"


def name_of(path: Path | None) -> str:
    """What an input is called in a message."""
    return "stdin" if is_stream(path) else str(path)


def size_of(path: Path | None) -> int | None:
    """How many bytes there are to read, where that is known."""
    return path.stat().st_size if path is not None and not is_stream(path) and path.is_file() else None


def is_utf8(line: bytes) -> bool:
    """Whether the bytes are text."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def open_input(path: Path | None) -> BinaryIO:
    """The file, or stdin where there is none, or `-`. DataError where it cannot be read."""
    from seqcli.errors import DataError

    # where it is closed, its number may be another file's by now
    if is_stream(path) and sys.stdin is None:
        raise DataError("stdin is closed; give --input")
    try:
        # not sys.stdin: Python would wait at its end for the thread that reads it, or be aborted
        return open(0, "rb", closefd=False) if path is None or is_stream(path) else path.open("rb")
    except OSError as error:
        raise DataError(f"{name_of(path)}: cannot be read ({error.strerror or error})") from error


def refuse_closed(path: Path | None, option: str = "--output") -> None:
    """StorageError where `path`, the value of an option, is stdout, and that is closed: before a model is loaded, not after."""
    from seqcli.errors import StorageError

    if is_stream(path) and sys.stdout is None:
        raise StorageError(f"stdout is closed; give {option} a file")


def stdout() -> TextIO:
    """stdout for UTF-8 with \\n, whatever the locale says; half a surrogate pair in a passed-through field stays an escape."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    return sys.stdout


def open_output(path: Path | None, *read: Path | None) -> AbstractContextManager[TextIO]:
    """A file to write to, none of those that are `read`; or stdout, where there is no name, or `-`. RecipeError where it is one of them,
    StorageError where it cannot be written."""
    from seqcli.errors import StorageError

    if path is None or is_stream(path):
        return nullcontext(stdout())
    refuse_reading(path, *read)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error


def refuse_reading(path: Path, *read: Path | None) -> None:
    """RecipeError where `path`, which is to be written, is one of the files that are `read`."""
    from seqcli.errors import RecipeError

    if any(each is not None and not is_stream(each) and is_same(path, each) for each in read):
        raise RecipeError(f"{path} is read and written; give another name to --output")


def is_same(one: Path, other: Path) -> bool:
    """Whether two names are one file that is there, which is emptied by who writes it."""
    return one.is_file() and other.is_file() and one.samefile(other)
