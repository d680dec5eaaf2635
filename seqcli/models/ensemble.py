"""Several models that write one target together: at every step their probabilities are averaged.

    p(y_t | y_<t, x) = 1/M Σ_m p_m(y_t | y_<t, x)

The arithmetic mean of what the members say, as Sutskever et al. 2014, section 3.6, translate with several; that several networks are right more
often than one is Hansen & Salamon 1990, "Neural network ensembles", who let them vote. Their architectures may differ, and what they read of a
source too; only what they write is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import torch
from torch import Tensor

from seqcli.types import Batch, State


class Predictor(Protocol):
    """What says which symbol comes next: a model, or several of them joined. Scores are log-probabilities up to a constant a row."""

    def start(self, batch: Batch) -> State:
        """Read the sources of a batch: the state before the first symbol."""
        ...

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """The last symbols (B,) → the scores (B,V) of the next ones, and the state after them."""
        ...

    def logits(self, batch: Batch) -> Tensor:
        """The scores (B,T,V) of every symbol at every label of a batch, under teacher forcing."""
        ...


@dataclass(frozen=True)
class JointBatch(Batch):
    """The same examples as each member reads them: the first member's batch, and beside it those of the `others`."""

    others: tuple[Batch, ...] = ()


def joint_batch(batches: Sequence[Batch]) -> JointBatch:
    """The batches of all members as one."""
    first, *others = batches
    return JointBatch(**{each.name: getattr(first, each.name) for each in fields(first)}, others=tuple(others))


class Ensemble:
    """Models joined, to be searched as if they were one. What it scores with are the logarithms of the averaged probabilities.

    The members' states lie side by side in one, the names of their tensors led by the member's number.
    """

    def __init__(self, models: Sequence[Predictor]) -> None:
        self.models = tuple(models)

    def start(self, batch: Batch) -> State:
        """Each member reads its own batch."""
        return _joined([model.start(part) for model, part in zip(self.models, self._parts(batch), strict=True)])

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """The last symbols (B,) → the logarithms of the averaged probabilities (B,V), and the state after them."""
        stepped = [model.step(ids, part) for model, part in zip(self.models, self._apart(state), strict=True)]
        return _averaged([scores for scores, _ in stepped]), _joined([part for _, part in stepped])

    def logits(self, batch: Batch) -> Tensor:
        """The logarithms of the averaged probabilities (B,T,V) at every label, under teacher forcing."""
        return _averaged([model.logits(part) for model, part in zip(self.models, self._parts(batch), strict=True)])

    def _parts(self, batch: Batch) -> tuple[Batch, ...]:
        assert isinstance(batch, JointBatch), "an ensemble reads one batch a member"
        return (batch, *batch.others)

    def _apart(self, state: State) -> Iterator[State]:
        for number in range(len(self.models)):
            memory, cache, history = (_of(number, parts) for parts in (state.memory, state.cache, state.history))
            yield replace(state, memory=memory, cache=cache, history=history)


def _joined(states: Sequence[State]) -> State:
    """One state of all; where a hypothesis comes from is the same for all members."""
    memory, cache, history = (
        {f"{number}.{name}": part for number, parts in enumerate(several) for name, part in parts.items()}
        for several in zip(*((state.memory, state.cache, state.history) for state in states), strict=True)
    )
    return replace(states[0], memory=memory, cache=cache, history=history)


def _of(number: int, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{number}."
    return {name.removeprefix(start): part for name, part in parts.items() if name.startswith(start)}


def _averaged(scores: Sequence[Tensor]) -> Tensor:
    """log of the mean of the probabilities that each member's scores (…,V) stand for; no probability is so small that it is lost."""
    log_probs = torch.stack([each.log_softmax(dim=-1) for each in scores])
    return log_probs.logsumexp(dim=0) - math.log(len(scores))
