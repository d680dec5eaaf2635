"""`seqcli bench`: what it tells, and that it leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEventAvg

from seqcli.benchmark import shares_of

TINY = (
    "data={kind: copy, alphabet: 4, longest: 5, examples: 400}",
    "model={encoder: {kind: gru, hidden_size: 16, embedding_size: 16}, decoder: {kind: gru, hidden_size: 16, embedding_size: 16}}",
    "training={steps: 3, batch_tokens: 256}",
    "threads=1",
)
PICTURES = (
    "data={kind: shapes_captions, size: 32, examples: 200}",
    "source.image={kind: pixels, width: 32, height: 32}",
    "model.encoder={kind: conv, hidden_size: 16, channels: [8, 16]}",
    "model.decoder={kind: gru, hidden_size: 16, embedding_size: 16}",
    "training={steps: 3, batch_tokens: 512}",
    "threads=1",
)


def test_figures_that_belong_together(call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("bench", "copy", *TINY, "--steps", "4", "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert report["flops_per_second"] == pytest.approx(report["flops_per_token"] * report["tokens_per_second"])
    assert report["mfu"] == pytest.approx(report["flops_per_second"] / report["machine_flops_per_second"])
    assert 0 < report["mfu"] < 1
    assert sum(report["shares"].values()) == pytest.approx(1)
    assert report["shares"]["matrix products"] > 0.01
    assert report["peak_bytes"] > 2**26
    assert list(tmp_path.iterdir()) == []


def test_convolutions_are_told_apart(call: Callable) -> None:
    """Most of the arithmetic of a model of images this small, and about that much of the time."""
    result = call(
        "bench", "copy", *PICTURES, "source.tokenizer=null", "target.tokenizer={kind: words}", "--steps", "2", "--json"
    )
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert report["shares"]["convolutions"] > 0.05
    assert report["shares"]["norms"] > 0.005
    assert 0 < report["mfu"] < 1
    # a stage's kernels, forward and backward; the average caption has more than 3 and fewer than 40 words
    kernels = 256 * (3 * 8 * 10 * 4 + 8 * 8 * 9 * 6) + 64 * (8 * 16 * 10 + 16 * 16 * 9) * 6
    assert kernels / 40 < report["flops_per_token"] < 3 * kernels / 3


def test_a_gpus_time_is_counted_once() -> None:
    """Its profiler tells of an operation, with the time of the kernels that it has started, and of these kernels."""

    def event(key: str, kind: DeviceType, gpu: float, cpu: float) -> FunctionEventAvg:
        return cast(
            "FunctionEventAvg",
            SimpleNamespace(key=key, device_type=kind, self_device_time_total=gpu, self_cpu_time_total=cpu),
        )

    events = [
        event("aten::mm", DeviceType.CPU, 3.0, 1.0),
        event("aten::_softmax", DeviceType.CPU, 1.0, 3.0),
        event("sm80_gemm", DeviceType.CUDA, 3.0, 0.0),
        event("softmax_kernel", DeviceType.CUDA, 1.0, 0.0),
    ]
    assert shares_of(events, torch.device("cuda")) == {"matrix products": 0.75, "softmax": 0.25}
    assert shares_of(events, torch.device("cpu")) == {"softmax": 0.75, "matrix products": 0.25}


def test_a_table_for_people(call: Callable) -> None:
    result = call("bench", "copy", *TINY, "--steps", "1")
    assert result.code == 0
    for word in ("target tokens/s", "MFU", "peak memory", "where the time goes", "matrix products"):
        assert word in result.out


def test_a_wrong_recipe_is_told_as_everywhere(call: Callable) -> None:
    result = call("bench", "copy", "training.step=3")
    assert result.code == 2
    assert "did you mean" in result.err
