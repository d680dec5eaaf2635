"""From the recipe's `loggers` section to what opens them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from seqcli.errors import RecipeError
from seqcli.recipe.loggers import Loggers as Section
from seqcli.recipe.schema import Recipe
from seqcli.training.loggers import Logger, TensorBoard, Trackio, WeightsAndBiases


def refuse_missing_packages(section: Section) -> None:
    """Raise `RecipeError` if a logger is asked for whose package, which its key is called after, is not installed."""
    for name in (name for name in Section.model_fields if getattr(section, name)):
        spec = find_spec(name)
        # a folder of that name that happens to lie here is found too, but comes from no file
        if spec is None or spec.origin is None:
            raise RecipeError(f"loggers.{name} needs a package that is not installed; pip install 'seqcli[{name}]'")


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
