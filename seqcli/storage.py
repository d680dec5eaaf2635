"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from seqcli.errors import StorageError


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all; raises `StorageError`.

    A symlink stays, and what it leads to is written; so does a device or a named pipe, which gets the content as it is.
    """
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        # asked of `path`: what /dev/stdout leads to may have no name
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, place)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
