"""The recipe's `loggers` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from seqcli.recipe.section import Section


class Tracked(Section):
    """A run in an experiment tracker; it is named after the run directory."""

    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")] = "seqcli"
    """The project it belongs to: letters, digits, and _ . - between them."""


class Loggers(Section):
    """Where the records of training go beside metrics.jsonl. Each needs its package: pip install '.[wandb]' in the folder of seqcli."""

    tensorboard: bool = False
    """Whether TensorBoard can show them: event files in tensorboard/ in the run directory."""
    wandb: Tracked | None = None
    """Weights & Biases; null means no. Who you are, and offline work, is told by its own WANDB_API_KEY, WANDB_ENTITY, WANDB_MODE."""
    trackio: Tracked | None = None
    """trackio, which keeps them on this machine; null means no. Its own TRACKIO_SPACE_ID sends them to a Hugging Face Space."""
