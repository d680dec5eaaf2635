"""Two processes, each with a stripe of the model: the run of one process, whatever it goes on from."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqcli.averaging import average_checkpoints
from seqcli.cli.launch import _free_port
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.training import scheduled_sampling
from seqcli.training.scheduled_sampling import Decay

TRANSFORMER = (
    "model.encoder={kind: transformer, hidden_size: 12, heads: 2, layers: 1, feedforward_size: 16}",
    "model.decoder={kind: transformer, hidden_size: 12, heads: 2, layers: 1, feedforward_size: 16}",
    "model.tie=all",
    "target.tokenizer={kind: shared}",
)
LSTM = (
    "model.encoder={kind: lstm, hidden_size: 5, embedding_size: 3, layers: 2, bidirectional: true}",
    "model.decoder={kind: lstm, hidden_size: 11, embedding_size: 3, order: bahdanau, attention: {kind: additive}}",
    "training.optimizer={kind: sgd, momentum: 0.9, learning_rate: 0.1}",
)
PICTURES = (
    "data={kind: shapes_captions, size: 32, examples: 200}",
    "source.tokenizer=null",
    "source.image={kind: pixels, width: 32, height: 32}",
    "target.tokenizer={kind: words}",
    "model.encoder={kind: conv, hidden_size: 12, channels: [8, 16], positions: learned}",
    "model.decoder={kind: transformer, hidden_size: 12, heads: 2, layers: 1, feedforward_size: 16}",
    "training.batch_tokens=512",
)
# the gradient of the bias of attention's keys is rounding alone, which Adam without its epsilon would blow up
TINY = (
    "data={kind: copy, alphabet: 4, longest: 5, examples: 400}",
    "model.dropout=0.0",
    "training={steps: 20, batch_tokens: 256, log_every: 1, checkpoint_every: 10, accumulation: 2}",
    "training.moving_average=0.9",
    "training.optimizer={kind: adamw, epsilon: 1e-4}",
    "training.schedule={kind: constant, warmup: 10}",
    "training.gradient_norms=true",
    "threads=1",
)


def train(folder: Path, *overrides: str) -> Path:
    """In this process."""
    experiment = prepare(load_recipe("copy", [*TINY, *overrides]), folder)
    for _ in experiment.train():
        pass
    experiment.team.leave()
    return folder


def take_part(rank: int, port: int, folder: Path, overrides: Sequence[str]) -> None:
    """What one of two processes does."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    train(folder, *overrides)


def nothing_given(half_after: float) -> Decay:
    """A decay that has come to its end at once."""
    return lambda step: 0.0


def take_part_with_nothing_given(rank: int, port: int, folder: Path, overrides: Sequence[str]) -> None:
    """As `take_part`, with the model's own symbols alone."""
    scheduled_sampling.linear = nothing_given
    take_part(rank, port, folder, overrides)


def train_forked(
    folder: Path, *overrides: str, part: Callable[[int, int, Path, Sequence[str]], None] = take_part
) -> Path:
    """In two processes that share the seconds which imports take."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seqcli.experiment", "torch.distributed.fsdp"])
    port = _free_port()
    team = [context.Process(target=part, args=(rank, port, folder, overrides)) for rank in range(2)]
    for process in team:
        process.start()
    for process in team:
        process.join(timeout=100)
        process.kill()
    assert [process.exitcode for process in team] == [0, 0]
    return folder


def start_two(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    command = ["train", "copy", *TINY, f"run={folder}", *overrides, "--devices", "2", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "seqcli", *command], stderr=subprocess.PIPE, text=True, env=environment
    )


def train_two(folder: Path, *overrides: str) -> Path:
    """In two processes, which have nothing to say."""
    process = start_two(folder, *overrides)
    _, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, "")
    return folder


def numbers(run: Path) -> dict[tuple[str, int, str], float]:
    """Losses, scores and norms of all records."""
    found = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        kept = {"loss": record.get("loss"), "norm": record.get("grad_norm")}
        for name, value in {**kept, **record.get("gradient_norms", {}), **record.get("scores", {})}.items():
            if value is not None:
                found[record["event"], record["step"], name] = value
    return found


def check_same(run: Path, other: Path) -> None:
    """Losses and norms within 1e-5; files with the same names, shapes and types, and about the same content."""
    ours, theirs = numbers(run), numbers(other)
    assert ours.keys() == theirs.keys()
    assert sum(name == "loss" for _, _, name in ours) >= 20
    assert {key: value for key, value in ours.items() if value != pytest.approx(theirs[key], rel=1e-5, abs=1e-7)} == {}
    files = sorted(path.relative_to(run) for path in run.glob("checkpoints/*/*.safetensors"))
    assert files == sorted(path.relative_to(other) for path in other.glob("checkpoints/*/*.safetensors"))
    assert len(files) == 5, "two checkpoints and the best"
    for file in files:
        one, two = load_file(run / file), load_file(other / file)
        assert {name: (tensor.shape, tensor.dtype) for name, tensor in one.items()} == {
            name: (tensor.shape, tensor.dtype) for name, tensor in two.items()
        }
        assert {
            name: float((tensor - two[name]).abs().max())
            for name, tensor in one.items()
            if not name.startswith("random/") and float((tensor - two[name]).abs().max()) > 1e-5
        } == {}


def test_two_with_stripes_make_the_run_of_one(tmp_path: Path) -> None:
    check_same(
        train_forked(tmp_path / "two", *TRANSFORMER, "training.sharding=full"), train(tmp_path / "one", *TRANSFORMER)
    )


@pytest.mark.real
def test_muon_sees_whole_matrices(tmp_path: Path) -> None:
    # without the kinks of ReLU, at which what rounding moves over them has another gradient
    smooth = ("model.encoder.activation=gelu", "model.decoder.activation=gelu")
    overrides = (*TRANSFORMER, *smooth, "training.optimizer={kind: muon, epsilon: 1e-4, weight_decay: 0.1}")
    check_same(
        train_forked(tmp_path / "two", *overrides, "training.sharding=full"), train(tmp_path / "one", *overrides)
    )


@pytest.mark.real
@pytest.mark.parametrize("sharding", ["none", "full"])
def test_two_look_at_pictures_as_one_does(sharding: str, tmp_path: Path) -> None:
    """Kernels lie in stripes too, and what they average to is the mean of two whole checkpoints."""
    one = train(tmp_path / "one", *PICTURES)
    two = train_forked(tmp_path / "two", *PICTURES, f"training.sharding={sharding}")
    check_same(two, one)
    assert average_checkpoints(two, last=2) == [10, 20]
    folders = [two / "checkpoints" / name for name in ("step-00000010", "step-00000020", "average")]
    first, second, mean = (load_file(folder / "model.safetensors") for folder in folders)
    kernels = [name for name in mean if name.startswith("encoder.stages") and mean[name].dim() == 4]
    assert len(kernels) == 2 * 3
    for name in kernels:
        assert not torch.equal(first[name], second[name])
        torch.testing.assert_close(mean[name], (first[name] + second[name]) / 2)


def test_one_process_holds_all(tmp_path: Path) -> None:
    experiment = prepare(load_recipe("copy", [*TINY, "training.sharding=full"]), tmp_path)
    assert experiment.team.plain(experiment.model) is experiment.model
    assert {type(parameter.data).__name__ for parameter in experiment.model.parameters()} == {"Tensor"}


@pytest.mark.real
@pytest.mark.parametrize("overrides", [(), LSTM], ids=["gru", "lstm"])
def test_recurrent_models(overrides: tuple[str, ...], tmp_path: Path) -> None:
    check_same(train_two(tmp_path / "two", *overrides, "training.sharding=full"), train(tmp_path / "one", *overrides))


@pytest.mark.real
@pytest.mark.parametrize("sharding", ["none", "full"])
@pytest.mark.parametrize("overrides", [TRANSFORMER, LSTM], ids=["transformer", "lstm"])
def test_doubly_stochastic_attention(overrides: tuple[str, ...], sharding: str, tmp_path: Path) -> None:
    """Each process collects the weights of its own rows."""
    overrides = (*overrides, "training.doubly_stochastic=1")
    check_same(
        train_two(tmp_path / "two", *overrides, f"training.sharding={sharding}"), train(tmp_path / "one", *overrides)
    )


@pytest.mark.real
@pytest.mark.parametrize("sharding", ["none", "full"])
@pytest.mark.parametrize("overrides", [TRANSFORMER, LSTM], ids=["transformer", "lstm"])
def test_scheduled_sampling(
    overrides: tuple[str, ...], sharding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process answers its own rows first. Where none of the given symbols are read there is nothing to draw."""
    overrides = (*overrides, "training.scheduled_sampling={decay: linear, pick: best}")
    monkeypatch.setattr(scheduled_sampling, "linear", nothing_given)
    one = train(tmp_path / "one", *overrides)
    two = train_forked(tmp_path / "two", *overrides, f"training.sharding={sharding}", part=take_part_with_nothing_given)
    check_same(two, one)
    assert {json.loads(line).get("given") for line in (one / "metrics.jsonl").read_text().splitlines()} == {0.0, None}


@pytest.mark.real
@pytest.mark.parametrize("sharding", ["none", "full"])
@pytest.mark.parametrize("overrides", [TRANSFORMER, LSTM], ids=["transformer", "lstm"])
def test_copying(overrides: tuple[str, ...], sharding: str, tmp_path: Path) -> None:
    """What can be copied is whole everywhere."""
    overrides = (*overrides, "model.copying=true")
    check_same(
        train_two(tmp_path / "two", *overrides, f"training.sharding={sharding}"), train(tmp_path / "one", *overrides)
    )


@pytest.mark.real
@pytest.mark.parametrize("overrides", [TRANSFORMER, LSTM], ids=["transformer", "lstm"])
def test_going_on_with_another_number_and_without_stripes(overrides: tuple[str, ...], tmp_path: Path) -> None:
    broken = train_two(tmp_path / "broken", *overrides, "training.steps=5", "training.sharding=full")
    train(broken, *overrides, "training.steps=10")
    train_two(broken, *overrides, "training.steps=15", "training.sharding=full")
    train_two(broken, *overrides)
    check_same(broken, train(tmp_path / "one", *overrides))


@pytest.mark.real
def test_spikes_send_all_back(tmp_path: Path) -> None:
    """A hundred steps tell what is usual; after them every loss a little above it is a spike."""
    overrides = (
        *TRANSFORMER,
        "training.steps=120",
        "training.checkpoint_every=50",
        "training.spikes={threshold: 1e-3, rewind: 1}",
        "training.optimizer.learning_rate=1e-6",
    )
    experiment = prepare(load_recipe("copy", [*TINY, *overrides]), tmp_path / "one")
    assert sum(record.event == "rewind" for record in experiment.train()) > 3
    process = start_two(tmp_path / "two", *overrides, "training.sharding=full")
    process.communicate(timeout=200)
    assert process.returncode == 0
    ours, theirs = numbers(tmp_path / "two"), numbers(tmp_path / "one")
    assert ours.keys() == theirs.keys()
    assert {key: value for key, value in ours.items() if value != pytest.approx(theirs[key], rel=1e-5, abs=1e-7)} == {}


@pytest.mark.real
def test_steps_that_are_no_number_are_skipped_by_all(tmp_path: Path) -> None:
    process = start_two(tmp_path, *TRANSFORMER, "training.sharding=full", "training.optimizer.learning_rate=1e30")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 1
    assert "was not a number in 5 steps in a row" in err, err


@pytest.mark.real
def test_a_checkpoint_on_demand_and_an_interruption(tmp_path: Path) -> None:
    """SIGUSR1 keeps a checkpoint to which both give their stripes, and the run goes on; SIGINT ends both."""
    endless = ("training.steps=1000000", "training.checkpoint_every=1000000", "training.validate_every=1000000")
    process = start_two(tmp_path, *TRANSFORMER, *endless, "training.sharding=full")
    try:
        wait_for(lambda: (tmp_path / "metrics.jsonl").is_file() and (tmp_path / "metrics.jsonl").stat().st_size > 0)
        process.send_signal(signal.SIGUSR1)
        wait_for(lambda: bool(list(tmp_path.glob("checkpoints/step-*/manifest.json"))))
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=100)
    assert process.returncode == 130


def wait_for(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.1)
