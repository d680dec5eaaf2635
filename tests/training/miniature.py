"""A run in miniature: a plan of random batches, and hooks that keep checkpoints in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cli.run_files import MEASURED_ANEW
from models.zoo import batch, built

from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.model import Model
from seqcli.training.checkpoint import Position, load_checkpoint, save_checkpoint, step_folder
from seqcli.training.loop import Hooks, Limits, Plateau, Rows, fit
from seqcli.training.moving_average import MovingAverage
from seqcli.training.optim import Adam, Optimizer
from seqcli.training.schedule import cosine, with_warmup
from seqcli.training.step import Objective
from seqcli.types import Batch, Progress

SMALLEST = Model.model_validate(
    {
        "encoder": {"kind": "rnn", "hidden_size": 4, "embedding_size": 4},
        "decoder": {"kind": "rnn", "hidden_size": 4, "embedding_size": 4},
    }
)
FOR_EVER = Limits(steps=None, epochs=None, validate_every=None, checkpoint_every=10**6, log_every=10**6, patience=None)
PLAIN = Objective(label_smoothing=0.0, clip_norm=None, teacher_forcing=1.0, accumulation=1)

SENTENCES = 10
LENGTHS = [(number % 5 + 2, (number * 3) % 5 + 2) for number in range(SENTENCES)]


def load(rows: Rows, epoch: int = 0) -> Batch:
    """The sentences of these numbers, always the same for the same number."""
    one = [batch([LENGTHS[row][0]], [LENGTHS[row][1]], seed=int(row)) for row in rows]

    def rectangle(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        longest = max(part.shape[1] for part in parts)
        return torch.cat([torch.nn.functional.pad(part, (0, longest - part.shape[1])) for part in parts])

    source = rectangle([part.source for part in one])
    target = rectangle([part.target for part in one if part.target is not None])
    image = torch.cat([part.image for part in one if part.image is not None])
    return Batch(source, source != 0, target, torch.tensor(rows), image)


def plan(epoch: int) -> list[Rows]:
    """Five batches of two sentences, in an order of the epoch's own."""
    return list(np.random.default_rng(epoch).permutation(SENTENCES).reshape(5, 2))


def no_validation(save: Callable[[str, Position], None] = lambda kind, position: None) -> Hooks:
    """Hooks that do nothing but save."""
    return Hooks(validate=None, watched=lambda scores: 0.0, save=save, stop=lambda: False)


@dataclass
class Run:
    """A model on its way, with all that resuming needs."""

    section: Model
    seed: int
    model: Seq2Seq = field(init=False)
    optimizer: Optimizer = field(init=False)
    decay: float | None = None
    average: MovingAverage | None = field(init=False)
    position: Position = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self.model = built(self.section)
        self.optimizer = Adam(
            self.model.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=0.01, decoupled=True
        )
        self.average = None if self.decay is None else MovingAverage(self.model, self.decay)
        self.position = Position()

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        self.position = load_checkpoint(folder, self.model, self.optimizer, self.average)

    def train(
        self,
        limits: Limits,
        hooks: Hooks,
        objective: Objective = PLAIN,
        plateau: Plateau | None = None,
        learning_rate: float = 0.01,
        planned: Callable[[int], Sequence[Rows]] = plan,
    ) -> list[Progress]:
        """All records up to the end, but for the speed."""
        schedule = with_warmup(3, cosine(20, 0.1))
        steps = fit(
            self.model,
            self.optimizer,
            schedule,
            learning_rate,
            planned,
            load,
            self.position,
            limits,
            objective,
            hooks,
            plateau,
            self.average,
        )
        return [replace(record, **dict.fromkeys(MEASURED_ANEW)) for record in steps]

    def keep(self, checkpoints: Path) -> Callable[[str, Position], None]:
        """What saves a checkpoint of this run for each step that asks for one, and the best beside them."""

        def save(kind: str, position: Position) -> None:
            folder = checkpoints / "best" if kind == "best" else step_folder(checkpoints, position.step)
            save_checkpoint(folder, self.model, self.optimizer, position, self.average)

        return save

    def bits(self) -> dict[str, Any]:
        """Weights, optimizer, random state and position, to be compared to the last bit."""
        averages = {
            f"{name}/average": tensor for name, tensor in (self.average.averages if self.average else {}).items()
        }
        tensors = {**self.model.state_dict(), **self.optimizer.state(), **averages, "random": torch.get_rng_state()}
        kept: dict[str, Any] = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
        return {**kept, "position": self.position}
