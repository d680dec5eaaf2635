"""The commands as their users call them: in this process, which is quick, or in one of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from seqcli.__main__ import main

Call = Callable[..., "Result"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Pipe = Callable[..., "Piped"]


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Piped:
    """The same of a process, whose stdout is bytes."""

    code: int
    out: bytes
    err: str


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in this process; what a user would see as a traceback is raised."""

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["seqcli", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command in a process of its own, its three streams piped; what still runs after the test is killed."""
    started: list[subprocess.Popen[bytes]] = []
    # tests that a shell has put into the background ignore Ctrl-C, and so would what they start
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(*arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "seqcli", *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def pipe(start: Start) -> Pipe:
    """Runs a command in a process of its own to its end, bytes in and bytes out."""

    def run(*arguments: str | Path, given: bytes = b"", **environment: str) -> Piped:
        process = start(*arguments, **environment)
        out, err = process.communicate(given, timeout=200)
        return Piped(process.returncode, out, err.decode())

    return run
