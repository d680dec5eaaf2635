"""Servers in processes of their own, as users start them, each stopped after its tests and its log read for tracebacks."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Served:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, path: str, fields: Any, **headers: str) -> tuple[int, Any]:
        """JSON there and back."""
        status, _, body = self.ask(
            "POST", path, json.dumps(fields).encode(), **{"Content_Type": "application/json", **headers}
        )
        return status, json.loads(body)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and wait until it has."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(run: Path, log: Path, *options: str) -> Iterator[Served]:
    """A server of a run at some free port."""
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "seqcli", "serve", str(run), "--port", "0", *options],
            stderr=stream,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        end = time.monotonic() + 120
        while (said := re.search(r"at http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield Served(process, int(said[1]), log)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()
