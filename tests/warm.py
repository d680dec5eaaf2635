"""`python -m seqcli`, again and again, without waiting for torch each time: a process that has it already is forked for each command.

`warm_python(folder)` starts that process, and gives the path of a program that runs `-m seqcli …` as Python would, until the block ends. The command
gets its caller's arguments, folder, environment, streams, Ctrl-C and SIGTERM, and ends with its exit code; SIGKILL would reach the caller alone.
seqcli itself is imported anew for each, from the caller's PYTHONPATH. What Python and torch take from the environment as they start
(PYTHONHASHSEED, OMP_NUM_THREADS, TORCH_CPP_LOG_LEVEL) stays as it was then.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HEAVY = (
    "torch",
    "torch.optim",
    "torch.distributions",
    "matplotlib.figure",
    "pydantic",
    "pyarrow",
    "rich",
    "sacrebleu",
    "typer",
    "yaml",
)
"""What takes long to import, none of it ours."""

CALLER = """#!/bin/sh
exec "{python}" -IS - "$@" 3<&0 <<'END'
import json, os, signal, socket, sys
call = {{"arguments": sys.argv[3:], "folder": os.getcwd(), "environment": dict(os.environ), "python": {program!r}}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps(call).encode() + b"\\n"], [3, 1, 2])
    said = server.makefile()
    command = int(said.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(command, number))
    code = said.read()
sys.exit(int(code or 1))
END
"""


@contextmanager
def warm_python(folder: Path) -> Iterator[Path]:
    """A block in which the path that it gives runs `-m seqcli …`; the path of `folder` has less than 90 letters."""
    address, program = folder / "address", folder / "python"
    program.write_text(CALLER.format(python=sys.executable, address=str(address), program=str(program)))
    program.chmod(0o755)
    # its streams are no terminal and not those of the tests, like those of the commands
    server = subprocess.Popen(
        [sys.executable, __file__, str(address)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 100
        while not address.exists():
            assert server.poll() is None, "the server of commands has ended"
            assert time.monotonic() < deadline, "the server of commands does not come up"
            time.sleep(0.05)
        yield program
    finally:
        server.kill()
        server.wait()


def serve(address: str) -> None:
    """Fork for each call that comes in, for ever."""
    for name in HEAVY:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address + ".new")
        listener.listen()
        os.rename(address + ".new", address)
        while True:
            connection, _ = listener.accept()
            # one process waits for the command, so that this one is free for commands that call others
            if os.fork() == 0:
                listener.close()
                answer(connection)
                os._exit(0)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Run the one command that is asked for, in a process of its own; say which, and how it has ended."""
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 20)
    if not (command := os.fork()):
        connection.close()
        become(json.loads(message), streams)
    connection.sendall(f"{command}\n".encode())
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(command, 0)
    code = os.waitstatus_to_exitcode(status)
    connection.sendall(str(code if code >= 0 else 128 - code).encode())


def become(call: dict[str, Any], streams: list[int]) -> None:
    """Be `python -m seqcli` from here on."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # as Python does it when it starts: whether a stream can seek is asked when it is opened
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.path[:1] = ["", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv[1:] = call["arguments"]
    # for the commands that it starts in its turn
    sys.executable = call["python"]
    code: object = 0
    try:
        runpy.run_module("seqcli", run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        code = ending.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    raise SystemExit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
