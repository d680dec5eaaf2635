"""How fast a recipe trains on this machine, how much of the machine that is, and where the time goes."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.autograd import profiler_util
from torch.profiler import ProfilerActivity, profile

from seqcli.build.batches import load_batch
from seqcli.build.training import build_objective
from seqcli.experiment import Experiment
from seqcli.training.flops import matrix_rate, training_flops, wait_for
from seqcli.training.memory import keep_freed_memory, peak_bytes
from seqcli.training.precision import DTYPES
from seqcli.training.step import LATE, train_step
from seqcli.types import Batch

WARM_UP = 3
"""Steps before the clock starts: the first ones set up threads, memory and kernels."""
COUNTED_EXAMPLES = 48
"""Examples, drawn at random, whose floating-point operations stand for all."""
PROFILED_STEPS = 3

KINDS_OF_WORK = {
    "matrix products": (
        "mm",
        "addmm",
        "addmm_",
        "bmm",
        "baddbmm",
        "mkldnn_rnn_layer",
        "mkldnn_rnn_layer_backward",
        "_cudnn_rnn",
        "_cudnn_rnn_backward",
    ),
    "convolutions": (
        "mkldnn_convolution",
        "_slow_conv2d_forward",
        "_slow_conv2d_backward",
        "cudnn_convolution",
        "convolution_backward",
    ),
    "attention kernels": (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention_for_cpu_backward",
        "_flash_attention_forward",
        "_flash_attention_backward",
        "_efficient_attention_forward",
        "_efficient_attention_backward",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_cudnn_attention_backward",
    ),
    "random numbers": ("bernoulli_", "random_", "randint", "native_dropout", "_Dropout"),
    "softmax": ("_softmax", "_log_softmax", "_softmax_backward_data", "_log_softmax_backward_data", "exp_", "amax"),
    "norms": (
        "native_layer_norm",
        "native_layer_norm_backward",
        "native_batch_norm",
        "native_batch_norm_backward",
        "cudnn_batch_norm",
        "cudnn_batch_norm_backward",
    ),
    "copies": ("copy_", "cat", "index_select", "index", "fill_", "zero_", "stack", "clone", "embedding_dense_backward"),
    "optimizer": ("_fused_adam_", "_fused_adamw_", "_fused_sgd_", "linalg_vector_norm"),
}
"""torch's operations by the kind of work they are; all others are element-wise, or Python's own time."""


@dataclass(frozen=True)
class Speed:
    """Some training steps, measured. Bytes are those of the process (on a GPU: of its memory) at their highest."""

    steps: int
    seconds: float
    target_tokens: int
    peak_bytes: int

    @property
    def tokens_per_second(self) -> float:
        """Target symbols, padding not counted."""
        return self.target_tokens / self.seconds


@dataclass(frozen=True)
class Report:
    """What `seqcli bench` tells of a recipe. FLOPs are those of the model's matrix products, a multiplication and an addition being two."""

    tokens_per_second: float
    seconds_a_step: float
    flops_per_token: float
    flops_per_second: float
    machine_flops_per_second: float
    mfu: float
    peak_bytes: int
    shares: dict[str, float]


def bench(experiment: Experiment, steps: int) -> Report:
    """Train `steps` steps after a few to warm up, and profile some more; the weights are changed and nothing is written."""
    device = next(experiment.model.parameters()).device
    objective = build_objective(experiment.recipe.training)
    step = training_step(experiment)
    batches = planned_batches(experiment, WARM_UP + steps)
    speed = time_steps(step, batches, device)
    flops = flops_per_token(experiment)
    machine = matrix_rate(device, DTYPES[objective.precision])
    return Report(
        tokens_per_second=speed.tokens_per_second,
        seconds_a_step=speed.seconds / speed.steps,
        flops_per_token=flops,
        flops_per_second=flops * speed.tokens_per_second,
        machine_flops_per_second=machine,
        mfu=flops * speed.tokens_per_second / machine,
        peak_bytes=speed.peak_bytes,
        shares=profile_steps(step, batches[:PROFILED_STEPS], device),
    )


def training_step(experiment: Experiment) -> Callable[[Batch], object]:
    """A training step of the experiment, at the highest learning rate of its recipe."""
    keep_freed_memory()
    training = experiment.recipe.training
    objective, rate = build_objective(training), training.optimizer.learning_rate
    return lambda batch: train_step(
        experiment.model, experiment.optimizer, rate, [batch], objective, experiment.team, number=LATE
    )


def planned_batches(experiment: Experiment, count: int) -> list[Batch]:
    """The first `count` batches of a run, epoch after epoch."""
    rows = (rows for epoch in itertools.count() for rows in experiment.plan(epoch))
    return [load_batch(experiment.recipe, experiment.data, one, 0) for one in itertools.islice(rows, count)]


def time_steps(step: Callable[[Batch], object], batches: Sequence[Batch], device: torch.device) -> Speed:
    """Take a step with each batch; the first `WARM_UP` do not count."""
    for batch in batches[:WARM_UP]:
        step(batch)
    measured = batches[WARM_UP:]
    wait_for(device)
    began = time.perf_counter()
    for batch in measured:
        step(batch)
    wait_for(device)
    seconds = time.perf_counter() - began
    return Speed(len(measured), seconds, sum(batch.target_tokens for batch in measured), peak_bytes(device))


def flops_per_token(experiment: Experiment) -> float:
    """FLOPs for each target symbol, worked out on examples one by one, so that no padding is counted."""
    corpus = experiment.data.train
    random = np.random.default_rng(0)
    rows = random.choice(len(corpus), min(COUNTED_EXAMPLES, len(corpus)), replace=False)
    device = next(experiment.model.parameters()).device
    examples = [corpus.batch(rows[place : place + 1]).to(device) for place in range(len(rows))]
    objective = build_objective(experiment.recipe.training)
    return training_flops(experiment.model, examples, objective) / sum(example.target_tokens for example in examples)


def profile_steps(step: Callable[[Batch], object], batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
    """The share of each kind of work in the device's time of some steps, largest first."""
    # the profiler would announce itself on stderr
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        for batch in batches:
            step(batch)
    return shares_of(profiler.key_averages(), device)


def shares_of(events: Iterable[profiler_util.FunctionEventAvg], device: torch.device) -> dict[str, float]:
    """The share of each kind of work in the time that some operations, as a profiler tells of them, have taken on the device."""
    seconds: dict[str, float] = {}
    for event in events:
        # a GPU's kernels are told of once more by themselves, beside the operations that have started them
        if event.device_type.name == "CPU":
            kind = _kind_of_work(event.key or "")
            time_taken = event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
            seconds[kind] = seconds.get(kind, 0.0) + float(time_taken)
    total = sum(seconds.values())
    return {kind: share / total for kind, share in sorted(seconds.items(), key=lambda item: -item[1])}


def _kind_of_work(operation: str) -> str:
    name = operation.removeprefix("aten::")
    found = (kind for kind, names in KINDS_OF_WORK.items() if name in names)
    return next(found, "element-wise and the rest")
