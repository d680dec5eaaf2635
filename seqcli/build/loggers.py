"""From the recipe's `loggers` section to what opens them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from seqcli.extras import EXTRAS, require
from seqcli.recipe.loggers import Loggers as Section
from seqcli.recipe.schema import Recipe
from seqcli.training.loggers import Logger, TensorBoard, Trackio, WeightsAndBiases


def refuse_missing_packages(section: Section) -> None:
    """Raise `RecipeError` if a logger is asked for whose package, of the extra that its key is called after, is not installed."""
    for extra in EXTRAS:
        if getattr(section, extra, None):
            require(extra, f"loggers.{extra}")


def build_loggers(recipe: Recipe, folder: Path, step: int) -> dict[str, Callable[[str], Logger]]:
    """For each logger that the recipe asks for, by name, what opens it for the run in `folder` that goes on from `step`.

    What opens it takes the id under which others know the run.
    """
    section, about = recipe.loggers, recipe.model_dump()
    makers: dict[str, Callable[[str], Logger]] = {}
    if section.tensorboard:
        makers["tensorboard"] = lambda run_id: TensorBoard(folder, step)
    if section.wandb is not None:
        makers["wandb"] = partial(WeightsAndBiases, folder, section.wandb.project, about)
    if section.trackio is not None:
        makers["trackio"] = partial(Trackio, folder, section.trackio.project, about)
    return makers
