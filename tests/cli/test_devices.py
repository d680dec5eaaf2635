"""Several processes that train one model: the same run as one process makes, whatever happens to one of them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from seqcli.cli.launch import _wait

TINY = (
    "data={kind: copy, alphabet: 4, longest: 5, examples: 400}",
    "model.dropout=0.0",
    "training={steps: 50, batch_tokens: 256, log_every: 1, checkpoint_every: 25, accumulation: 2, moving_average: 0.9}",
    "training.schedule={kind: constant, warmup: 10}",
    "threads=1",
)


def losses(run: Path) -> dict[tuple[str, int], float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        (one["event"], one["step"]): one["loss"] if one["event"] == "train" else one["scores"]["loss"] for one in lines
    }


def check_same(run: Path, other: Path) -> None:
    """Losses of 50 steps and of all validations, within 1e-5 of each other; weights about the same."""
    ours, theirs = losses(run), losses(other)
    assert ours.keys() == theirs.keys()
    assert sum(event == "train" for event, _ in ours) == 50
    assert {key: value for key, value in ours.items() if value != pytest.approx(theirs[key], rel=1e-5)} == {}
    weights = [load_file(folder / "checkpoints/step-00000050/model.safetensors") for folder in (run, other)]
    assert max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0]) < 1e-4


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    folder = tmp_path_factory.mktemp("alone")
    for _ in prepare(load_recipe("copy", TINY), folder).train():
        pass
    return folder


def test_two_processes_make_the_run_of_one(pipe: Callable[..., Any], alone: Path, tmp_path: Path) -> None:
    ended = pipe("train", "copy", *TINY, f"run={tmp_path}", "--devices", "2")
    assert ended.code == 0, ended.err
    assert ended.err.count("done: 50 steps") == 1, "one of them speaks"
    assert "Warning" not in ended.err
    check_same(tmp_path, alone)


@pytest.mark.real
@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_going_on_with_another_number(
    first: int, then: int, pipe: Callable[..., Any], alone: Path, tmp_path: Path
) -> None:
    command = ("train", "copy", *TINY, f"run={tmp_path}", "--quiet")
    assert pipe(*command, "training.steps=25", "--devices", first).code == 0
    ended = pipe(*command, "--devices", then)
    assert (ended.code, ended.err) == (0, "")
    check_same(tmp_path, alone)


@pytest.mark.real
def test_under_torchrun(alone: Path, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "seqcli", "train", "copy", *TINY, f"run={tmp_path}", "--quiet"]
    subprocess.run([*launcher, *command], check=True, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"})
    check_same(tmp_path, alone)


LONG = ("training.steps=1000000", "training.checkpoint_every=100000", "--devices", "2")


def wait_for_a_step(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"step "):
            return
    pytest.fail("the run ended before its first step")


def test_an_interruption_ends_all_and_says_how_to_go_on(start: Callable[..., Any], tmp_path: Path) -> None:
    command = ("train", "copy", *TINY, f"run={tmp_path / 'run'}", *LONG)
    process = start(*command)
    wait_for_a_step(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"to go on: {shlex.join(['seqcli', *command])}" in err.decode()
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*"))) == 1


@pytest.mark.real
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_all_with_a_message(victim: int, start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("train", "copy", *TINY, f"run={tmp_path / 'run'}", *LONG)
    wait_for_a_step(process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.is_file():
        pytest.skip("this system does not list a process's children")
    ranks = {}
    for pid in map(int, children.read_text().split()):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        ranks[next(int(one[5:]) for one in environment if one.startswith(b"RANK="))] = pid
    os.kill(ranks[victim], signal.SIGKILL)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode == 1
    assert f"process {victim} of 2 was killed by SIGKILL" in err.decode()
    assert "Traceback" not in err.decode()


@pytest.mark.parametrize("ends", [["ABRT", "KILL"], ["KILL", "ABRT"]])
def test_an_abort_is_not_named_where_another_was_killed(ends: list[str]) -> None:
    # Gloo aborts a process whose neighbour has gone: both are dead when the launcher looks
    team = [subprocess.Popen(["sh", "-c", f"kill -{end} $$"]) for end in ends]
    for process in team:
        process.wait()
    with tempfile.TemporaryFile() as ear:
        code, problem = _wait(team, [ear, ear])
    assert (code, problem) == (1, f"process {ends.index('KILL')} of 2 was killed by SIGKILL")


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        (["exit 74", "exit 0"], 74, "process 0 of 2 ended with exit code 74"),
        (["exit 0", "exit 4"], 4, "process 1 of 2 ended with exit code 4"),
        (["kill -INT $$", "kill -INT $$"], 130, "process 0 of 2 was killed by SIGINT"),
        (["exit 0", "kill -TERM $$"], 143, "process 1 of 2 was killed by SIGTERM"),
    ],
)
def test_the_exit_code_is_that_of_the_first_to_end(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, ends: list[str], code: int, said: str
) -> None:
    team = [subprocess.Popen(["sh", "-c", end], preexec_fn=_heeds_interrupts) for end in ends]
    for process in team:
        process.wait()
    with tempfile.TemporaryFile() as ear:
        monkeypatch.setattr("seqcli.cli.launch.launch", lambda command, devices: _wait(team, [ear, ear]))
        ended = call("train", "copy", "--devices", "2")
    assert ended.code == code
    assert ended.err == f"{said}; the others were ended. The same command goes on from the last checkpoint\n"


def _heeds_interrupts() -> None:
    # what a shell has put into the background ignores Ctrl-C, and so would its children
    signal.signal(signal.SIGINT, signal.SIG_DFL)
