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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

Serve = Callable[..., "Served"]


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


@pytest.fixture(scope="module")
def served(copy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The copy run, by a server that has little patience."""
    log = tmp_path_factory.mktemp("served") / "log"
    with serving(copy_run, log, "--read-timeout", "1") as one:
        yield one


CAPTIONS = """\
seed: 1
data: {kind: shapes_captions, size: 32, examples: 60}
source: {image: {kind: pixels, width: 24, height: 16}}
target: {tokenizer: {kind: words}}
model:
  encoder: {kind: conv, hidden_size: 16, channels: [4, 8], blocks: 1}
  decoder: {kind: gru, hidden_size: 16, embedding_size: 8, attention: {kind: additive}}
training: {steps: 30, batch_sentences: 8, optimizer: {kind: adamw, learning_rate: 2e-2}}
search: {beam_size: 1, max_length: 6}
evaluation: {metrics: [loss]}
threads: 1
"""
QUESTIONS = (
    "data={kind: shapes_questions, size: 32, scenes: 3}",
    "source.tokenizer={kind: words}",
    "model.encoder={kind: image_text, image: {kind: conv, hidden_size: 16, channels: [4, 8]}, "
    "text: {kind: gru, hidden_size: 16, embedding_size: 8}}",
)


def _image_run(folder: Path, *overrides: str) -> Path:
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    (folder / "recipe.yaml").write_text(CAPTIONS)
    list(prepare(load_recipe(str(folder / "recipe.yaml"), overrides), folder / "run").train())
    return folder / "run"


@pytest.fixture(scope="session")
def captions_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run that reads images."""
    return _image_run(tmp_path_factory.mktemp("captions"))


@pytest.fixture(scope="session")
def questions_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run that reads images and questions on them."""
    return _image_run(tmp_path_factory.mktemp("questions"), *QUESTIONS)
