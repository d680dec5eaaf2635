"""Files that are there whole or not at all, and what is no file and stays what it is."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from seqcli.errors import StorageError
from seqcli.storage import write_file


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    for content in (b"long before", b"now"):
        write_file(path, content)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["file"]
    with pytest.raises(StorageError, match="cannot be written"):
        write_file(path.parent, b"")
    assert os.listdir(path.parent) == ["file"]


def test_what_a_symlink_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, real = tmp_path / "link", tmp_path / "elsewhere" / "real"
    link.symlink_to(real)
    for content in (b"not there before", b"there before"):
        write_file(link, content)
        assert link.is_symlink()
        assert real.read_bytes() == content
    assert os.listdir(real.parent) == ["real"]


def test_a_named_pipe_and_a_device_stay(tmp_path: Path) -> None:
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    thread = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    thread.start()
    write_file(fifo, b"through it")
    thread.join(10)
    assert read == [b"through it"]
    assert fifo.is_fifo()
    (tmp_path / "null").symlink_to("/dev/null")
    write_file(tmp_path / "null", b"nowhere")
    assert Path("/dev/null").is_char_device()
