"""Text files as exact lines: only `\\n` ends a line, and a byte that is not UTF-8 is named by its offset.

Python's own text mode, and most readers of tables, also break lines at a lone carriage return, so that one stray `\\r`
shifts a parallel file against its partner for good; here it stays a character like any other.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from seqcli.errors import DataError


def find_files(patterns: Sequence[str]) -> list[Path]:
    """The files that `patterns` name, in order; `*`, `?` and `[…]` match several, sorted by name.

    Raises `DataError` for a pattern that matches no file.
    """
    files: list[Path] = []
    for pattern in patterns:
        names = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        matches = [Path(name) for name in names if Path(name).is_file()]
        if not matches and names:
            what = (
                "is a folder; name the files in it"
                if Path(names[0]).is_dir()
                else "is no file, but a pipe or device; save what it gives in one"
            )
            raise DataError(f"{names[0]}: {what}")
        if not matches:
            raise DataError(f"{pattern}: there is no such file (seen from {Path.cwd()})")
        files.extend(matches)
    return files


def raw_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file, from 1, each with the `\\n` it ends in; a `.gz` file is decompressed.

    A byte-order mark at the start is dropped. Raises `DataError` for a file that cannot be opened or decompressed, and for
    bytes that are not UTF-8, with their line and their offset in the (decompressed) file.
    """
    offset = 0
    for number, data in enumerate(byte_lines(path), start=1):
        yield number, _decode(path, number, offset, data)
        offset += len(data)


def byte_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file as bytes, each with the `\\n` it ends in; a `.gz` file is decompressed. Raises `DataError` where it cannot be."""
    try:
        with _open(path) as stream:
            yield from stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the compressed file is damaged ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file, without their `\\n` or `\\r\\n`; see `raw_lines` for the errors."""
    for number, line in raw_lines(path):
        yield number, without_end(line)


def without_end(line: str) -> str:
    """`line` without one final `\\n`, and without one `\\r` before the end."""
    return line.removesuffix("\n").removesuffix("\r")


def existing(paths: Iterable[object]) -> list[Path]:
    """The files among `paths`, each once; what is no text, or leads nowhere, is passed over."""
    texts = dict.fromkeys(path for path in paths if isinstance(path, str))
    # not Path.is_file, which fails for what is too long to be a name, as an image in base64 is
    return [Path(text) for text in texts if os.path.isfile(text)]


def digest_files(paths: Iterable[Path], *description: object) -> str:
    """A hexadecimal digest of `paths` and their bytes, in order, and of the `description` of how they are read.

    The names count, because the origins of the examples tell them, and because `datasets` finds its splits by them.
    """
    digest = hashlib.blake2b(repr(description).encode(), digest_size=16)
    for path in paths:
        digest.update(repr(str(path)).encode())
        try:
            with path.open("rb") as stream:
                digest.update(_file_digest(stream))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _decode(path: Path, number: int, offset: int, data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: the byte 0x{data[error.start]:02x} at offset {offset + error.start} is not UTF-8; "
            "convert the file, for instance with iconv -t UTF-8"
        ) from error
    return text.removeprefix("\ufeff") if number == 1 else text


def _file_digest(stream: BinaryIO) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.digest()
