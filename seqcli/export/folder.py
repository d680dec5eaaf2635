"""The folder that an export is: what the model was made with, beside whatever the other program reads.

    export.json        what this is, and of which checkpoint
    recipe.yaml        the resolved recipe
    source.json …      the tokenizers

An export appears whole or not at all, and takes the place of an earlier one, but of nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from seqcli import __version__
from seqcli.errors import RecipeError, SeqcliError, StorageError
from seqcli.evaluation.translator import Translator
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.schema import Recipe
from seqcli.storage import write_file
from seqcli.training.checkpoint import Position, file_digest, read_state, save_weights, weights_of

EXPORT = "export.json"


@dataclass(frozen=True)
class Exported:
    """What is exported: a run's recipe, its model with the tokenizers, and the checkpoint that the model was filled from."""

    recipe: Recipe
    translator: Translator
    checkpoint: Path

    @property
    def name(self) -> str:
        """What the checkpoint is called, also while another takes its place."""
        return self.checkpoint.name.removeprefix(".").removesuffix(".before")

    @property
    def known(self) -> dict[str, Any]:
        """What its run says of the checkpoint: the step or steps, and the score of the best."""
        position = {one.name for one in fields(Position)} - {"step"}
        return {
            name: value
            for name, value in read_state(self.checkpoint).items()
            if name not in {"format_version", *position}
        }

    @property
    def digest(self) -> str:
        """A text that differs for weights that differ."""
        return file_digest(self.checkpoint / "model.safetensors")


@contextmanager
def export_folder(place: Path, exported: Exported, to: str, about: dict[str, Any]) -> Iterator[Path]:
    """A folder to write an export into, with what every export has; it becomes `place` when the block ends well.

    Raises `RecipeError` where there is something else at `place`, and `StorageError` where it cannot be written.
    """
    if place.exists() and not (place / EXPORT).is_file() and not _is_empty(place):
        raise RecipeError(f"{place} is there already and is no export; give another folder")
    if exported.checkpoint.resolve().is_relative_to(place.resolve()):
        raise RecipeError(f"{place} is what is being exported; give another folder")
    real = place.resolve()
    if Path.cwd().is_relative_to(real):
        raise RecipeError(f"{place} is the folder that this runs in, which cannot be replaced; give another folder")
    beside = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        _describe(beside, exported, to, about)
        yield beside
        shutil.rmtree(real, ignore_errors=True)
        os.replace(beside, real)
    except OSError as error:
        raise StorageError(f"{place}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())


def _describe(folder: Path, exported: Exported, to: str, about: dict[str, Any]) -> None:
    record = {
        "to": to,
        "seqcli": __version__,
        "checkpoint": exported.name,
        **exported.known,
        "weights": exported.digest,
        **about,
    }
    write_file(folder / EXPORT, f"{json.dumps(record, indent=1)}\n".encode())
    # its one checkpoint is the one that was chosen
    evaluation = exported.recipe.evaluation.model_copy(update={"checkpoint": "auto"})
    recipe = exported.recipe.model_copy(update={"evaluation": evaluation, "run": None})
    write_file(folder / "recipe.yaml", dump_recipe(recipe).encode())
    exported.translator.source_tokenizer.save(folder, "source")
    exported.translator.target_tokenizer.save(folder, "target")


def read_export(folder: Path) -> dict[str, Any] | None:
    """What `export.json` says of a folder; None where it has none. Raises `SeqcliError` where it is damaged."""
    path = folder / EXPORT
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("to"), str):
        raise SeqcliError(f"{path} is damaged: it does not say what it is")
    return record


def export_safetensors(place: Path, exported: Exported) -> None:
    """The weights alone, as a run directory that can be loaded but not trained on."""
    with export_folder(place, exported, "safetensors", {}) as folder:
        save_weights(folder / "checkpoints" / exported.name, weights_of(exported.translator.model), exported.known)
