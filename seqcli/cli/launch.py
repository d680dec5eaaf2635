"""One command, several processes: what `seqcli train --devices N` starts, and how they end together.

The processes find each other by torch's variables, the same that torchrun sets; under torchrun, Slurm or Kubernetes this file is
not used.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from seqcli.cli.signals import ENDS, passed_on

PATIENCE = 10.0
"""Seconds that the others have to end by themselves when one has ended badly."""


def inside_team() -> bool:
    """Whether a launcher, ours or another, has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def launch(arguments: Sequence[str], devices: int) -> tuple[int, str]:
    """Run `seqcli` with these arguments as a team of processes and wait for them.

    Returns the exit code, and what there is to say about it if one has ended badly. Signals go to all of them. Only the leader is
    heard; the others' messages are kept for that case.
    """
    with ExitStack() as stack:
        ears = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(devices)]
        port = _free_port()
        team = [_start(arguments, rank, devices, port, ears[rank]) for rank in range(devices)]
        stack.callback(_end, team)
        with passed_on(lambda number: _send(team, number)):
            return _wait(team, ears)


def _end(team: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in team:
        process.kill()
        process.wait()


def _send(team: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for process in team:
        if process.poll() is None:
            process.send_signal(number)


def _start(arguments: Sequence[str], rank: int, devices: int, port: int, ear: IO[bytes]) -> subprocess.Popen[bytes]:
    threads = max(1, (os.cpu_count() or 1) // devices)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": devices, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return subprocess.Popen(
        [sys.executable, "-m", "seqcli", *arguments],
        # torch warns of a flag that some kinds of model need and others do not
        env={
            "OMP_NUM_THREADS": str(threads),
            "TORCH_CPP_LOG_LEVEL": "ERROR",
            **os.environ,
            **{name: str(value) for name, value in place.items()},
        },
        stderr=None if rank == 0 else ear,
        # a Ctrl-C at the terminal would reach them by itself, and again from us
        start_new_session=True,
    )


def _free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(team: Sequence[subprocess.Popen[bytes]], ears: Sequence[IO[bytes]]) -> tuple[int, str]:
    while all(process.poll() is None for process in team):
        time.sleep(0.05)
    # they end together if they end well, and a while is enough to hear that one has died
    end = time.monotonic() + PATIENCE
    while any(process.poll() is None for process in team):
        failed = any(process.poll() not in (None, 0) for process in team)
        if failed and time.monotonic() > end:
            break
        time.sleep(0.05)
    codes = [process.poll() for process in team]
    if len(set(codes)) == 1 and codes[0] is not None and codes[0] >= 0:
        return codes[0], ""
    died = min(range(len(team)), key=lambda rank: _consequence(codes[rank]))
    ears[died].seek(0)
    words = ears[died].read().decode(errors="replace").strip().splitlines()
    code = codes[died] or 1
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    # one that was asked to end has ended as a shell says it
    shown = 128 - code if -code in ENDS else max(code, 1)
    return shown, f"process {died} of {len(team)} {how}" + (f": {words[-1]}" if words else "")


def _consequence(code: int | None) -> int:
    """Where an end stands when one asks which process was the first: one killed from outside, one that aborted, one with an error.

    torch's Gloo aborts a process whose neighbour has gone, often so soon that both are found dead at once.
    """
    if code is None or code == 0:
        return 3
    return 2 if code > 0 else 1 if code == -signal.SIGABRT else 0
