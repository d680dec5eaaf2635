"""The images of an encoded corpus: decoded once, by processes side by side, and kept as arrays in a file that is mapped into memory."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from seqcli.data.images import ImageReader
from seqcli.errors import DataError
from seqcli.symbols import Example, Image

ARRAYS, ABOUT = "images.bin", "images.json"
FEWEST_FOR_PROCESSES = 64
"""With fewer images it takes longer to start processes than to decode."""
CHUNK = 16
"""Images that a process is given at once."""

Read = Union[NDArray[Any], str]
Stamp = Union[list[int], None]
"""A file's bytes and the time of its last change in nanoseconds; None where there is no such file."""


class ImageFile:
    """The arrays that `ImageWriter` has left in a folder, by number; each is a view on the file's memory. KeyError or OSError if there are
    none."""

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        self._files: dict[str, Stamp] = about["files"]
        # what is read from files of its own is not known by the corpus that names them
        self.digest: str = about["digest"] if self._files else ""
        shape = tuple(about["shape"])
        self._arrays = np.memmap(folder / ARRAYS, dtype=np.dtype(about["dtype"]), mode="r", shape=shape)

    def __getitem__(self, number: int) -> NDArray[Any]:
        array: NDArray[Any] = self._arrays[number]
        return array

    def unchanged(self) -> bool:
        """Whether the files that the images came from are what they were."""
        return all(_stamp(path) == stamp for path, stamp in self._files.items())


class ImageWriter:
    """Decodes images into one file, each different one once. A context manager; what it wrote is whole when it ends."""

    def __init__(self, folder: Path, reader: ImageReader) -> None:
        self._folder, self._reader = folder, reader
        self._numbers: dict[bytes, int | str] = {}
        self._count = 0
        self._stamps: dict[str, Stamp] = {}
        self._digest = hashlib.blake2b(digest_size=16)
        self._files = ExitStack()
        self._processes: Executor | None = None

    def __enter__(self) -> ImageWriter:
        self._stream = self._files.enter_context((self._folder / ARRAYS).open("wb"))
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        about = {
            "shape": [self._count, *self._reader.shape],
            "dtype": np.dtype(self._reader.dtype).name,
            "digest": self._digest.hexdigest(),
            "files": self._stamps,
        }
        (self._folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")

    def add(self, examples: Sequence[Example]) -> list[int | str]:
        """The number of each example's image in the file; or, where it cannot be read, the sentence that says why."""
        keys = [_digest(example) for example in examples]
        new: dict[bytes, Example] = {}
        for key, example in zip(keys, examples, strict=True):
            if key not in self._numbers:
                new.setdefault(key, example)
        # before they are read: a change meanwhile is seen the next time
        self._stamps |= {one.image: _stamp(one.image) for one in new.values() if isinstance(one.image, str)}
        for key, read in zip(new, self._read_all(list(new.values())), strict=True):
            self._numbers[key] = read if isinstance(read, str) else self._write(read)
        return [self._numbers[key] for key in keys]

    def _write(self, array: NDArray[Any]) -> int:
        content = np.ascontiguousarray(array).tobytes()
        self._stream.write(content)
        self._digest.update(content)
        self._count += 1
        return self._count - 1

    def _read_all(self, examples: Sequence[Example]) -> Iterator[Read]:
        """One after the other, so that few are in memory at a time."""
        work = [(example.image, example.origin) for example in examples]
        read = partial(read_image, self._reader)
        if not self._worth_processes(examples):
            yield from map(read, work)
            return
        try:
            yield from self._workers().map(read, work, chunksize=CHUNK)
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that decodes images was ended, at one of {work[0][1]} to {work[-1][1]}: memory may be short, or an image "
                'may break its decoder; or a script that trains has no `if __name__ == "__main__":`'
            ) from error

    def _worth_processes(self, examples: Sequence[Example]) -> bool:
        if all(isinstance(example.image, np.ndarray) for example in examples):
            return False  # decoded already
        return self._processes is not None or (len(examples) >= FEWEST_FOR_PROCESSES and (os.cpu_count() or 1) > 1)

    def _workers(self) -> Executor:
        """Processes that stay until the writer ends; started anew, since a copy of this one would have its threads' locks."""
        if self._processes is None:
            context = multiprocessing.get_context("spawn")
            self._processes = ProcessPoolExecutor(mp_context=context, initializer=_leave_interrupts)
            # what an error or Ctrl-C has made needless is not decoded first
            self._files.callback(self._processes.shutdown, cancel_futures=True)
        return self._processes


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the one that has started the others ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def read_image(reader: ImageReader, work: tuple[Image | None, str]) -> Read:
    """The image as an array, or the sentence that says why it cannot be read."""
    image, origin = work
    if image is None:
        return f"{origin}: has no image"
    try:
        return reader.read(image, origin)
    except DataError as error:
        return str(error)


def _stamp(path: str) -> Stamp:
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return None
    return [about.st_size, about.st_mtime_ns]


def _digest(example: Example) -> bytes:
    """What tells the example's image from others; nothing is like nothing else."""
    image = example.image
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(image, bytes):
        digest.update(image)
    elif isinstance(image, np.ndarray):
        digest.update(f"array {image.dtype} {image.shape} ".encode())
        digest.update(np.ascontiguousarray(image).data)
    else:
        digest.update(f"none {example.origin}".encode() if image is None else f"path {image}".encode())
    return digest.digest()
