"""Runs that are cut off at any moment, between any two operations on the disk, end up as the run that nothing happened to."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.training import checkpoint

RECIPE = (
    "data={kind: copy, alphabet: 4, longest: 5, examples: 100}",
    "model={encoder: {kind: rnn, hidden_size: 4, embedding_size: 4}, decoder: {kind: rnn, hidden_size: 4, embedding_size: 4}}",
    "model.dropout=0.2",
    "evaluation.metrics=[loss]",
    "threads=1",
)
SHORT = ("training={steps: 6, batch_tokens: 128, checkpoint_every: 2, validate_every: 3, log_every: 1, average: 2}",)

OPERATIONS: tuple[tuple[Any, str], ...] = (
    (checkpoint, "save_file"),
    (os, "fsync"),
    (os, "replace"),
    (shutil, "rmtree"),
)


class Killed(BaseException):
    """What no handler of ours catches, as `kill -9` is not."""


class Killer:
    """Counts the operations on the disk, and ends it all before or after one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, fatal: int, *, after: bool) -> None:
        self.fatal, self.after, self.count = fatal, after, 0
        for module, name in OPERATIONS:
            patch.setattr(module, name, self.deadly(getattr(module, name)))

    def deadly(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.fatal and not self.after:
                raise Killed
            result = operation(*arguments, **options)
            if self.count == self.fatal:
                raise Killed
            return result

        return run


def train(folder: Path) -> None:
    for _ in prepare(load_recipe("copy", [*RECIPE, *SHORT]), folder).train():
        pass


def left_behind(folder: Path) -> dict[str, bytes]:
    """All files of the checkpoints."""
    files = [file for file in (folder / "checkpoints").rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def check_every(stride: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Cut off before and after every operation whose number fits the stride, go on, compare; how often that was."""
    train(tmp_path / "straight")
    expected = left_behind(tmp_path / "straight")
    with monkeypatch.context() as patch:
        counter = Killer(patch, fatal=0, after=False)
        train(tmp_path / "counted")
    assert counter.count > 60
    cuts = 0
    for fatal in range(1 + random.randrange(stride), counter.count + 1, stride):
        for after in (False, True):
            folder = tmp_path / f"{fatal}-{after}"
            with monkeypatch.context() as patch:
                Killer(patch, fatal, after=after)
                with pytest.raises(Killed):
                    train(folder)
            train(folder)
            assert left_behind(folder) == expected, f"operation {fatal}, {'after' if after else 'before'} it"
            cuts += 1
    return cuts


def test_cut_off_at_some_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_every(9, tmp_path, monkeypatch) >= 12


@pytest.mark.real
@pytest.mark.timeout(1200)
def test_cut_off_at_every_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_every(1, tmp_path, monkeypatch) > 120


KILLS = 50
LONG = (
    "training={steps: 9000, batch_tokens: 128, checkpoint_every: 7, validate_every: 1500, log_every: 5, average: 3, accumulation: 2}",
)


@pytest.mark.real
@pytest.mark.timeout(3000)
def test_killed_fifty_times_at_random_moments(tmp_path: Path) -> None:
    """Real processes, a real SIGKILL, anywhere: while data is read, while it trains, while it saves."""
    command = [sys.executable, "-m", "seqcli", "train", "copy", *RECIPE, *LONG, "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    straight = time.monotonic()
    subprocess.run([*command, f"run={tmp_path / 'straight'}"], check=True, env=environment)
    straight = time.monotonic() - straight
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    killed = 0
    while killed < KILLS:
        process = subprocess.Popen([*command, f"run={tmp_path / 'killed'}"], env=environment)
        try:
            assert process.wait(timeout=draw.uniform(0.5, 4.0)) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        else:
            break
    assert killed == KILLS, f"the run was done after {killed} kills; make it longer"
    subprocess.run([*command, f"run={tmp_path / 'killed'}"], check=True, env=environment)
    expected = left_behind(tmp_path / "straight")
    assert left_behind(tmp_path / "killed") == expected
    assert len(expected) > 10
