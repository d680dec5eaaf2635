"""How much memory a training step takes, how large a batch may be, and how freed memory stays at hand.

For sources and targets of given lengths the memory of a step grows in proportion to the rows of its batch. So two small batches of the
shape of a large one tell what the large one will take.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from seqcli.errors import is_out_of_memory
from seqcli.models.seq2seq import Seq2Seq
from seqcli.symbols import UNK
from seqcli.training.optim import Optimizer
from seqcli.training.precision import computing_in
from seqcli.training.step import Objective, losses
from seqcli.training.team import Team
from seqcli.types import Batch

SIZES = tuple(2**power for power in range(15, 8, -1))
"""The batches that are considered, in symbols of the longer side; Vaswani et al. 2017, §5.1, had about 25,000."""
BATCHES_AN_EPOCH = 100
"""A batch so large that an epoch has fewer of them would leave too few steps to learn from."""
SHARE = 0.8
"""How much of the free memory a batch may take."""
PROBED = (1 / 8, 1 / 4)
"""The shares of a batch's rows that are tried out. With much fewer the gradients of the weights would be the peak, not the batch."""
FEWEST_ROWS = 8
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""glibc's names for what `mallopt` sets (malloc.h)."""


def keep_freed_memory() -> None:
    """Have this process keep the memory of freed tensors for those of the next step.

    glibc gives large blocks back to the system, and each page that it then gets anew costs a fault, together up to a tenth of a
    step. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**26)


@dataclass(frozen=True)
class Shape:
    """The rectangle of a batch: B rows, S source symbols, T labels, and images of a shape where there are any."""

    rows: int
    source: int
    target: int
    image: tuple[int, ...] | None = None

    def cells(self) -> int:
        """Symbols, padding counted."""
        return self.rows * (self.source + self.target)

    def pairs(self) -> int:
        """Pairs of positions that attention compares."""
        return self.rows * (self.source + self.target) ** 2

    def filled(self) -> Batch:
        """A batch of this shape without padding."""
        source = torch.full((self.rows, self.source), UNK)
        target = torch.full((self.rows, self.target + 1), UNK)
        image = None if self.image is None else torch.zeros(self.rows, *self.image)
        return Batch(source, torch.ones_like(source, dtype=torch.bool), target, torch.arange(self.rows), image)


@dataclass(frozen=True)
class BatchChoice:
    """A size of batch, in symbols of the longer side; the peak of memory that it is predicted to need, and what there is, in bytes."""

    batch_tokens: int
    predicted_bytes: int
    free_bytes: int


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that torch makes inside the block and that are alive, and keeps their highest number."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._meet(leaf.untyped_storage())
        return result

    def _meet(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._leave, size)

    def _leave(self, size: int) -> None:
        self.now -= size


def choose_batch(
    model: Seq2Seq, optimizer: Optimizer, shapes: Callable[[int], Sequence[Shape]], objective: Objective
) -> BatchChoice:
    """The largest size of batch that leaves `BATCHES_AN_EPOCH` and whose predicted peak fits into `SHARE` of the free memory.

    `shapes(size)` are those of an epoch's batches of that size; one that cannot even be tried out is too large. Weights and random state
    stay as they are.
    """
    device = next(model.parameters()).device
    free, in_use = free_bytes(device), bytes_in_use(device)
    # a CPU's zeros take no memory before they are written to; a GPU's are in use already
    coming = sum(tensor.nbytes for tensor in optimizer.state().values()) if device.type == "cpu" else 0
    for size in SIZES:
        planned = shapes(size)
        if len(planned) < BATCHES_AN_EPOCH and size > SIZES[-1]:
            continue
        needed = math.inf
        try:
            needed = coming + predicted_peak(model, planned, objective)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or size == SIZES[-1]:
                raise
        if needed <= SHARE * free:
            break
        # outside the handler, which would keep the tensors of what did not fit alive
        model.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return BatchChoice(size, int(in_use + needed), free)


def predicted_peak(model: Seq2Seq, shapes: Sequence[Shape], objective: Objective) -> int:
    """The bytes that the largest of some batches will take beside the weights.

    What grows with the cells of a batch, what grows with pairs of its positions, and what grows with its images, which are all of one size,
    may be largest in three different ones.
    """
    largest = {max(shapes, key=Shape.cells), max(shapes, key=Shape.pairs)}
    if any(shape.image for shape in shapes):
        largest.add(max(shapes, key=lambda shape: shape.rows))
    return max(_extrapolated(model, shape, objective) for shape in largest)


def _extrapolated(model: Seq2Seq, shape: Shape, objective: Objective) -> int:
    """Along the line through the peaks of two batches with fewer rows."""
    if shape.rows <= FEWEST_ROWS:
        return _peak_of_step(model, shape, objective)
    few, more = (replace(shape, rows=math.ceil(share * shape.rows)) for share in PROBED)
    low, high = (_peak_of_step(model, probe, objective) for probe in (few, more))
    return int(low + (high - low) / (more.rows - few.rows) * (shape.rows - few.rows))


def _peak_of_step(model: Seq2Seq, shape: Shape, objective: Objective) -> int:
    """The bytes that forward and backward pass and their gradients take beside the weights, at their highest."""
    device = next(model.parameters()).device
    batch = shape.filled().to(device)
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            _forward_backward(model, batch, objective)
            peak = torch.cuda.max_memory_allocated(device) - before
        else:
            with LiveBytes() as live:
                _forward_backward(model, batch, objective)
            peak = live.peak
    model.zero_grad(set_to_none=True)
    return peak


def _forward_backward(model: Seq2Seq, batch: Batch, objective: Objective) -> None:
    with computing_in(objective.precision, batch.source.device):
        loss, _ = losses(Team().replica(model), batch, objective)
    torch.autograd.backward(loss)


def peak_bytes(device: torch.device) -> int:
    """The highest use of memory so far: the process's, or on a GPU what its tensors took."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def bytes_in_use(device: torch.device) -> int:
    """What the process, or on a GPU what its tensors, take now."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # not on Linux
        return 0
    return resident * os.sysconf("SC_PAGE_SIZE")


def free_bytes(device: torch.device) -> int:
    """What the machine, its container, or the GPU, has left."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [amount for amount in (_available_in_machine(), _available_in_container()) if amount is not None]
    # where the system does not say what is free: half of what there is
    return min(found) if found else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _available_in_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return kilobytes[0] * 1024 if kilobytes else None


def _available_in_container() -> int | None:
    """By version 2 of Linux's control groups."""
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return None
