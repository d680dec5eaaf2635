"""Streams that are closed, break off, or have letters of their own, and `-`, which is one of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqcli.cli.streams import begun, windows
from seqcli.errors import DataError

Call = Callable[..., Any]


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of seqcli, with what a shell does to its streams behind it."""
    return subprocess.run(
        ["bash", "-c", f'exec "{sys.executable}" -m seqcli {command}'],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=100,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


class Broken(io.BytesIO):
    """Two lines, and then a disk that fails."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line:
            raise OSError(5, "Input/output error")
        return line


def test_what_was_read_before_a_failure_comes_first() -> None:
    found = windows(Broken(b"a\nb\n"), path=Path("disk"))
    assert next(found) == [b"a\n", b"b\n"]
    with pytest.raises(DataError, match=r"^disk: cannot be read any further \(Input/output error\)$"):
        next(found)


def test_what_is_begun_is_all_there() -> None:
    assert list(begun(iter([]))) == []
    assert list(begun(iter([None, 2, 3]))) == [None, 2, 3]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="this system has no /proc/self/mem")
def test_an_input_that_cannot_be_read_is_told(call: Call, copy_run: Path) -> None:
    for command in ("translate", "score"):
        ended = call(command, copy_run, "-i", "/proc/self/mem")
        assert (ended.code, ended.out) == (3, "")
        assert ended.err == "/proc/self/mem: cannot be read any further (Input/output error)\n"


def test_a_dash_is_stdin_and_stdout(copy_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("ab\tab\n")
    ended = shell(f"score '{copy_run}' -i - -o - < '{tmp_path / 'in'}'")
    assert ended.returncode == 0
    assert float(ended.stdout) < 0
    assert not Path("-").exists()


def test_a_dash_in_the_process(call: Call, copy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").write_text("ab\n")
    assert call("translate", copy_run, "-i", "in", "-o", "-").out == "ab\n"
    ended = call("translate", copy_run, "-i", "in", "--trace", "-", "-o", "out")
    assert ended.out.startswith('{"line": 1')
    assert Path("out").read_text() == "ab\n"
    ended = call("translate", copy_run, "-i", "in", "--trace", "-")
    assert (ended.code, ended.err) == (2, "- is written twice; give --trace another name than --output\n")
    assert sorted(os.listdir()) == ["in", "out"]


@pytest.mark.parametrize("command", ["translate", "score"])
def test_a_closed_stdout_is_told_before_the_model_is_loaded(command: str) -> None:
    ended = shell(f"{command} nowhere >&-")
    assert (ended.returncode, ended.stderr) == (74, "stdout is closed; give --output a file\n")


def test_a_closed_stdin_is_told(copy_run: Path) -> None:
    ended = shell(f"visualize attention '{copy_run}' -i - -o map.html <&-")
    assert (ended.returncode, ended.stderr) == (3, "stdin is closed; give --input\n")


def test_a_message_goes_to_stderr_or_nowhere() -> None:
    ended = shell("translate nowhere 2>&-")
    assert (ended.returncode, ended.stdout) == (2, "")


def test_letters_that_the_locale_lacks_are_written_as_escapes(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("日本\t日本\n日本\t日本\n", encoding="utf-8")
    ended = shell(f"doctor '{tmp_path / 'data.tsv'}'", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (3, "")
    assert "\\u65e5\\u672c" in ended.stdout
