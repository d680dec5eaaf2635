"""The recipe: every key that a user may write, its default, and one line of help.

The section files beside this one are the only home of defaults. A section refuses keys that it does not know, is frozen once read, and where it comes
in variants, `kind` chooses among them. The docstring under a key is its help: editors show it, through the JSON schema.
Rules that tie several keys together stand in `rules.py`.
"""

from __future__ import annotations

from pydantic import Field

from seqcli.recipe.data import Data
from seqcli.recipe.loggers import Loggers
from seqcli.recipe.model import Model
from seqcli.recipe.search import Search
from seqcli.recipe.section import Count, Section
from seqcli.recipe.sides import Source, Target
from seqcli.recipe.training import Evaluation, Training


class Recipe(Section):
    """One experiment, whole: data, model, training, search and evaluation."""

    run: str | None = None
    """The run directory; null means runs/ and the recipe's name."""
    seed: int = Field(1, ge=0, lt=2**32)
    """What every random choice starts from."""
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")
    """Where to compute: auto (a CUDA GPU where there is one, else the CPU), cpu, cuda, cuda:1, mps."""
    threads: Count | None = None
    """CPU threads; null means as many as there are cores."""
    data: Data
    """Where the examples come from."""
    source: Source
    """How the source becomes symbols."""
    target: Target
    """How the target becomes symbols, and symbols text again."""
    model: Model
    """Encoder, decoder, and what holds for both."""
    training: Training
    """How the model learns."""
    loggers: Loggers = Loggers()
    """Where the records of training go beside metrics.jsonl."""
    search: Search = Search()
    """How text is written once the model is trained."""
    evaluation: Evaluation = Evaluation()
    """How the model is judged."""
