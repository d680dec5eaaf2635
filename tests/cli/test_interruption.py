"""Runs that are interrupted, terminated and killed end up byte for byte where an undisturbed one does."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.run_files import everything, records

STEPS = 160
LONGER = (
    f"training.steps={STEPS}",
    "training.log_every=7",
    "training.validate_every=60",
    "training.checkpoint_every=25",
    "training.accumulation=2",
    "training.average=3",
    "model.dropout=0.1",
)
"""Odd numbers, so that records, checkpoints, validations and epochs fall apart; dropout, so that random state counts."""


def wait_for_step(process: subprocess.Popen[bytes], step: int) -> None:
    """Read what the process says until it has told of this step."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"step {step}/".encode()):
            return
    pytest.fail(f"the run ended before step {step}")


@pytest.mark.timeout(900)  # five processes, each of which imports torch
def test_interrupted_terminated_killed(
    start: Callable[..., Any], pipe: Callable[..., Any], tiny: tuple[str, ...], tmp_path: Path
) -> None:
    """Four processes, each with hashes of its own, against one that runs through."""
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    undisturbed = pipe("train", "copy", *tiny, *LONGER, f"run={straight}", PYTHONHASHSEED="0")
    assert undisturbed.code == 0, undisturbed.err

    command = ("train", "copy", *tiny, *LONGER, f"run={broken}")
    for seed, (number, step, code) in enumerate([(signal.SIGINT, 21, 130), (signal.SIGTERM, 63, 143)], start=1):
        process = start(*command, PYTHONHASHSEED=str(seed))
        wait_for_step(process, step)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == code
        stopped = int(err.decode().split("stopped at step ")[1].split(";")[0])
        assert step <= stopped < STEPS, "it must be stopped on its way, else this test shows nothing"
        assert (broken / "checkpoints" / f"step-{stopped:08d}").is_dir()
        assert "Traceback" not in err.decode()

    process = start(*command, PYTHONHASHSEED="3")
    wait_for_step(process, 112)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    last = pipe(*command, PYTHONHASHSEED="4")
    assert last.code == 0, last.err
    assert "going on with" in last.err
    assert records(broken) == records(straight)
    assert len(records(straight)) == 23 + 3
    assert everything(broken) == everything(straight)
    assert "checkpoints/average/model.safetensors" in everything(straight)


def test_a_checkpoint_on_demand_and_the_command_to_go_on(
    start: Callable[..., Any], tiny: tuple[str, ...], tmp_path: Path
) -> None:
    """SIGUSR1, as Slurm sends it before the time is up, keeps a checkpoint and the run goes on; SIGINT says how to go on."""
    command = ("train", "copy", *tiny, "training.steps=100000", "training.log_every=1", f"run={tmp_path / 'my run'}")
    process = start(*command)
    wait_for_step(process, 3)
    process.send_signal(signal.SIGUSR1)
    for _ in range(100):
        time.sleep(0.1)
        if kept := list((tmp_path / "my run" / "checkpoints").glob("step-*/manifest.json")):
            break
    assert kept, "no checkpoint was kept"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"to go on: {shlex.join(['seqcli', *command])}" in err.decode()


def test_a_second_signal_stops_at_once(start: Callable[..., Any], tiny: tuple[str, ...], tmp_path: Path) -> None:
    """A validation that takes long is not waited for."""
    slow = ("evaluation.metrics=[loss,bleu]", "search.beam_size=200", "search.max_ratio=null", "training.log_every=1")
    process = start("train", "copy", *tiny, *slow, "training.validate_every=1", f"run={tmp_path / 'run'}")
    wait_for_step(process, 1)
    process.send_signal(signal.SIGINT)
    for _ in range(100):
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        if process.poll() is not None:
            break
    assert process.wait(timeout=1) == -signal.SIGTERM
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_an_interruption_before_the_first_step(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seqcli.experiment.prepare_data", interrupted)
    ended = call("train", "copy", f"run={tmp_path / 'run'}")
    assert (ended.code, ended.err) == (130, "")
    assert not (tmp_path / "run").exists()
