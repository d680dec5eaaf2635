"""A run translated by another engine than its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from seqcli.build.data import longest_source, longest_target
from seqcli.data.cache import cache_folder, cache_key
from seqcli.data.tokenizer import load_tokenizer
from seqcli.errors import RecipeError
from seqcli.export.ctranslate2 import refuse_inexpressible
from seqcli.export.engine import CTranslate2Reader
from seqcli.export.folder import read_export
from seqcli.recipe.schema import Recipe
from seqcli.run import CHECKPOINTS, Translates, find_checkpoint, load, read_recipe
from seqcli.training.checkpoint import file_digest

ENGINES = ("native", "ctranslate2")


def load_on_ctranslate2(
    folder: str | Path, overrides: Sequence[str] = (), *, checkpoint: str | None = None, quantization: str = "float32"
) -> Translates:
    """A run, or its export to CTranslate2, to be translated by CTranslate2.

    A run is exported to the cache first, unless it is there. `checkpoint` is as in `load`; an export has only its one. Raises `RecipeError`
    for a model that CTranslate2 does not know.
    """
    folder = Path(folder)
    recipe = read_recipe(folder, overrides)
    refuse_inexpressible(recipe.model)
    if recipe.device not in ("auto", "cpu"):
        raise RecipeError(f"device {recipe.device}: --engine ctranslate2 runs on the CPU; use the native engine there")
    exported = read_export(folder)
    if exported is None or exported["to"] != "ctranslate2":
        model = _exported(folder, recipe, overrides, checkpoint, quantization)
    elif checkpoint is not None:
        raise RecipeError(f"{folder} is an export of one checkpoint ({exported['checkpoint']}); leave --checkpoint out")
    elif quantization not in ("float32", exported["quantization"]):
        raise RecipeError(f"{folder} is an export in {exported['quantization']}; leave --quantization out")
    else:
        model = folder
    translator = CTranslate2Reader(
        model,
        load_tokenizer(folder, "source"),
        load_tokenizer(folder, "target"),
        threads=recipe.threads or torch.get_num_threads(),
        reverse_source=recipe.source.reverse,
        longest_source=longest_source(recipe.model),
        longest_target=longest_target(recipe.model),
    )
    return Translates(folder, recipe, translator)


def _exported(
    folder: Path, recipe: Recipe, overrides: Sequence[str], checkpoint: str | None, quantization: str
) -> Path:
    """The export of a run in the cache, made now if it is not there."""
    chosen = find_checkpoint(folder / CHECKPOINTS, checkpoint or recipe.evaluation.checkpoint)
    key = cache_key(file_digest(chosen / "model.safetensors"), repr(recipe.model), quantization)
    place = cache_folder() / f"ctranslate2-{key}"
    if read_export(place) is None:
        load(folder, overrides, checkpoint=checkpoint).export(place, to="ctranslate2", quantization=quantization)
    return place
