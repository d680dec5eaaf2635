"""Whether a run that is interrupted becomes, to the last bit, the run that is not: tried out on a recipe."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from seqcli.experiment import Experiment, prepare
from seqcli.recipe.loggers import Loggers
from seqcli.recipe.schema import Recipe


def verify_resume(recipe: Recipe, steps: int) -> list[str]:
    """Train `2·steps` steps straight, and again in two halves with a checkpoint between; the names of all that differs.

    Compared are the weights, what the optimizer remembers, the moving average and the random state, in this order. Both runs are
    made in a temporary folder and thrown away.
    """
    length = {"steps": 2 * steps, "epochs": None, "early_stopping": None}
    training = recipe.training.model_copy(update=length)
    short = recipe.model_copy(update={"training": training, "loggers": Loggers()})
    with tempfile.TemporaryDirectory(prefix="seqcli-verify-") as folder:
        straight = _train(short, Path(folder, "straight"), lambda experiment: False)
        _train(short, Path(folder, "split"), lambda experiment: experiment.position.step == steps)
        split = _train(short, Path(folder, "split"), lambda experiment: False)
    return [name for name, tensor in straight.items() if not torch.equal(tensor, split[name])]


def _train(recipe: Recipe, folder: Path, stop: Callable[[Experiment], bool]) -> dict[str, Tensor]:
    """Train, or go on, in `folder`; a copy of everything that training changes, by name."""
    experiment = prepare(recipe, folder)
    for _ in experiment.train(lambda: stop(experiment)):
        pass
    averages = {} if experiment.average is None else experiment.average.averages
    everything = {
        **experiment.model.state_dict(),
        **experiment.optimizer.state(),
        **{f"{name}/average": tensor for name, tensor in averages.items()},
        "random state": torch.get_rng_state(),
    }
    return {name: tensor.cpu().clone() for name, tensor in everything.items()}
