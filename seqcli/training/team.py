"""The processes that train one model together, on torch's distributed data parallelism (Li et al. 2020), or fully sharded.

The team shares each batch, a stripe of its rows for every process, so how many there are changes how fast a run is, not what it
is: the update, the steps an epoch and the checkpoints are those of one process. One process leads; it alone validates and writes.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from seqcli.nn.coverage import coverage_loss
from seqcli.nn.doubly_stochastic import doubly_stochastic_penalty
from seqcli.symbols import PAD
from seqcli.types import Batch

if TYPE_CHECKING:
    import numpy as np

    from seqcli.models.seq2seq import Seq2Seq
    from seqcli.nn.scheduled_sampling import Pick
    from seqcli.training.checkpoint import Position


T = TypeVar("T")


class Team:
    """This process's place among `size` of them; a team of one needs no communication and does none."""

    def __init__(self, rank: int = 0, size: int = 1, seed: int = 0) -> None:
        self.rank = rank
        self.size = size
        self.seed = seed
        self._replica: nn.Module | None = None
        self._hollow: Seq2Seq | None = None

    @property
    def leads(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def shard(self, model: Seq2Seq) -> None:
        """Share out the weights of `model`, in place, and with them its gradients and what is made like them: see `sharding`. In a
        team of one nothing changes."""
        if self.size > 1:
            from seqcli.training import sharding

            self._hollow = sharding.hollow_copy(model)
            self._replica = _Loss(model, compiled=False)
            sharding.shard(self._replica, self.size)

    def plain(self, model: Seq2Seq) -> Seq2Seq:
        """What the leader validates: the model, or, where that is sharded, a copy that has its weights inside `gathered`."""
        return model if self._hollow is None else self._hollow

    def gathered(self, model: Seq2Seq) -> AbstractContextManager[None]:
        """A block in which the leader has the model whole, as `plain`; every process must come to it."""
        if self._hollow is None:
            return nullcontext()
        from seqcli.training.sharding import filled

        return filled(self._hollow, model, self.leads)

    def replica(self, model: Seq2Seq, *, compiled: bool = False) -> nn.Module:
        """What computes the loss of `model`, by a compiled forward pass or its own, and, in a team, averages everybody's gradients behind
        it; made once."""
        if self._replica is None:
            self._replica = _Loss(model, compiled)
            if self.size > 1:
                from torch.nn.parallel import DistributedDataParallel

                # some kinds leave a parameter without use, and which do may change from step to step
                self._replica = DistributedDataParallel(self._replica, find_unused_parameters=True)
        return self._replica

    def alone(self, replica: nn.Module, more: bool) -> AbstractContextManager[None]:
        """A block in which gradients stay in this process, while `more` batches of the same step are to come."""
        if self._hollow is not None:
            replica.set_requires_gradient_sync(not more)  # type: ignore[operator]
            return nullcontext()
        if self.size == 1 or not more:
            return nullcontext()
        block: AbstractContextManager[None] = replica.no_sync()  # type: ignore[operator]
        return block

    def batch(self, load: Callable[[np.ndarray], Batch], rows: np.ndarray) -> Batch:
        """This process's share of a batch: every `size`-th row, so that all shares are about as long.

        Where there are not enough rows, the first without its labels, so that the process takes part; it adds nothing but to the
        statistics of norms.
        """
        if self.size == 1:
            return load(rows)
        share = rows[self.rank :: self.size]
        if len(share):
            return load(share)
        stand_in = load(rows[:1])
        assert stand_in.target is not None
        return replace(
            stand_in, target=torch.cat((stand_in.target[:, :1], torch.full_like(stand_in.labels, PAD)), dim=1)
        )

    def total(self, *amounts: float) -> list[float]:
        """Each amount, added up over the team."""
        if self.size == 1:
            return list(amounts)
        sums = torch.tensor(amounts, dtype=torch.float64)
        dist.all_reduce(sums)
        return [float(amount) for amount in sums.tolist()]

    def add_up(self, amount: Tensor) -> Tensor:
        """An amount on the device, added up over the team; nobody waits for it."""
        if self.size > 1:
            dist.all_reduce(amount)
        return amount

    def lengths(self, stripes: dict[str, Tensor]) -> dict[str, Tensor]:
        """The length of each gradient, from that of what this process has of it: where the model is sharded, a stripe."""
        if self._hollow is None:
            return stripes
        squares = self.add_up(torch.stack(list(stripes.values())).square())
        return dict(zip(stripes, squares.sqrt(), strict=True))

    def agree(self, *flags: bool) -> list[bool]:
        """Of each flag, whether any process has raised it."""
        return [raised > 0 for raised in self.total(*map(float, flags))]

    def share(self, make: Callable[[], T]) -> T:
        """What the leader makes, for everybody."""
        if self.size == 1:
            return make()
        made = [make() if self.leads else None]
        dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        return cast(T, made[0])

    def follow(self, position: Position) -> None:
        """Take up what the leader has made of the position: best score, patience, learning rate."""
        leaders = self.share(lambda: position)
        for field in fields(position):
            setattr(position, field.name, getattr(leaders, field.name))

    def draw_apart(self, step: int) -> None:
        """Random numbers of this process's own for a step. The leader's go on from step to step and are kept in checkpoints; the
        others' follow from seed, rank and step, so that they need not be."""
        if not self.leads:
            torch.manual_seed((self.seed * 1_000_003 + step) * 1_009 + self.rank)

    def leave(self) -> None:
        """Take leave of the others, when all have come to this point."""
        if self.size > 1 and dist.is_initialized():
            dist.barrier()
            # what holds on to the connections when Python ends makes their threads abort the process
            self._replica = self._hollow = None
            gc.collect()
            dist.destroy_process_group()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """A block that the leader goes through before the others, which then find what it has left on the disk."""
        if self.size > 1 and not self.leads:
            dist.barrier()
        yield
        if self.size > 1 and self.leads:
            dist.barrier()


def join_team(seed: int) -> Team:
    """The team that a launcher has set up by torch's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), or a team
    of one. Chooses this process's GPU, where there are some."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team()
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        # what processes tell each other is on their hosts: nobody waits for a GPU to hear it
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return Team(dist.get_rank(), size, seed)


class _Loss(nn.Module):
    """A model's loss as the forward pass of a module, which is what torch's data parallelism wraps."""

    def __init__(self, model: Seq2Seq, compiled: bool) -> None:
        super().__init__()
        self.model = model
        # a function, not a module that would rename the parameters; the loss stays outside, fused as it is already
        self.forward_pass = torch.compile(model.forward, dynamic=True) if compiled else None

    def forward(
        self,
        batch: Batch,
        label_smoothing: float,
        teacher_forcing: float,
        r_drop: float | None,
        doubly_stochastic: float | None = None,
        coverage: float | None = None,
        given: float = 1.0,
        pick: Pick = "sample",
    ) -> tuple[Tensor, Tensor]:
        """What is to be minimised, summed over the labels of a batch, and the summed cross-entropy, to be reported."""
        if given < 1.0:
            batch = self.model.scheduled_sampling(batch, given, pick)
        how: dict[str, Any] = {
            "label_smoothing": label_smoothing,
            "teacher_forcing": teacher_forcing,
            "forward": self.forward_pass,
        }
        if doubly_stochastic is None and coverage is None:
            return self._losses(batch, r_drop, how)
        penalties: list[Tensor] = []

        def forward(batch: Batch, teacher_forcing: float) -> Tensor:
            features, looks = self.model.forward_with_looks(batch, teacher_forcing)
            if doubly_stochastic is not None:
                penalty = doubly_stochastic_penalty(looks.weights, looks.steps, looks.positions, looks.grid)
                penalties.append(doubly_stochastic * penalty)
            if coverage is not None:
                penalties.append(coverage * coverage_loss(looks.weights, looks.steps))
            return features

        objective, cross_entropy = self._losses(batch, r_drop, {**how, "forward": forward})
        return objective + torch.stack(penalties).sum(), cross_entropy

    def _losses(self, batch: Batch, r_drop: float | None, how: dict[str, Any]) -> tuple[Tensor, Tensor]:
        if r_drop is not None:
            return self.model.r_drop_loss(batch, r_drop, **how)
        loss = self.model.loss(batch, **how)
        return loss, loss.detach()
