"""Checkpoints: all that a run needs to go on as if it had never stopped, in safetensors and JSON.

    model.safetensors      the weights
    optimizer.safetensors  what the optimizer remembers, and torch's random state
    state.json             where the loop stands

A checkpoint is written to a folder beside its place and renamed, so a reader finds a whole one or none.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqcli.errors import SeqcliError, StorageError
from seqcli.training.optim import Optimizer

FORMAT_VERSION = 1


@dataclass
class Position:
    """Where a run stands: everything the loop changes beside weights, optimizer and random state.

    `batch` counts the batches of `epoch` that are done. `best` is the best validation score so far and `stale` the number of
    validations since; `factor` is what plateau has made of the learning rate. `sums` are running sums since the last record.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None
    stale: int = 0
    plateau_stale: int = 0
    factor: float = 1.0
    sums: dict[str, float] = field(default_factory=dict)


def save_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer, position: Position) -> None:
    """Write a checkpoint that a run can go on from. Raises `StorageError` if it cannot be written."""
    random: dict[str, Tensor] = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["random/cuda"] = torch.cuda.get_rng_state()
    _write(
        folder,
        {"model": weights_of(model), "optimizer": {**optimizer.state(), **random}},
        {"format_version": FORMAT_VERSION, **asdict(position)},
    )


def save_weights(folder: Path, weights: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write weights alone, with what is to be known of them (the score of `best`, the steps of `average`)."""
    _write(folder, {"model": weights}, {"format_version": FORMAT_VERSION, **about})


def load_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer) -> Position:
    """Put model, optimizer and random state where the checkpoint left them; return the position.

    Raises `SeqcliError` where a file is missing or damaged, or belongs to another model or optimizer.
    """
    position = _read_position(folder / "state.json")
    load_weights(folder, model)
    path = folder / "optimizer.safetensors"
    state = _read_tensors(path)
    try:
        optimizer.restore(state)
        torch.set_rng_state(state["random/cpu"])
        if "random/cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["random/cuda"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise SeqcliError(f"{path} does not fit the recipe's optimizer: {error}") from error
    return position


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill `model` from a checkpoint. Raises `SeqcliError` where the file is damaged or belongs to another model."""
    path = folder / "model.safetensors"
    weights = _read_tensors(path)
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise SeqcliError(f"{path} does not fit the recipe's model: {str(error).splitlines()[-1].strip()}") from error
    # tied weights are stored once, so their other names are missing and already filled
    absent = sorted(set(missing) - set(_aliases(model)))
    if absent or unexpected:
        raise SeqcliError(f"{path} does not fit the recipe's model: {', '.join([*absent, *unexpected][:3])} …")


def average_weights(folders: list[Path]) -> dict[str, Tensor]:
    """The mean of the weights of several checkpoints."""
    total: dict[str, Tensor] = {}
    for folder in folders:
        for name, tensor in _read_tensors(folder / "model.safetensors").items():
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return {name: (tensor / len(folders)).float() for name, tensor in total.items()}


def step_folders(checkpoints: Path) -> list[Path]:
    """The checkpoints of single steps, oldest first."""
    return sorted(folder for folder in checkpoints.glob("step-*") if folder.name.removeprefix("step-").isdecimal())


def step_folder(checkpoints: Path, step: int) -> Path:
    """Where the checkpoint of a step stands."""
    return checkpoints / f"step-{step:08d}"


def step_of(folder: Path) -> int:
    """The step whose checkpoint the folder is."""
    return int(folder.name.removeprefix("step-"))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """All weights, tied ones once."""
    aliases = _aliases(model)
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name not in aliases}


def _aliases(model: nn.Module) -> set[str]:
    """The second and later names of tied parameters."""
    first = {name for name, _ in model.named_parameters()}
    return {name for name, _ in model.named_parameters(remove_duplicate=False)} - first


def _write(folder: Path, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> None:
    beside = folder.with_name(f".{folder.name}.writing")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for name, content in tensors.items():
            save_file({key: tensor.cpu() for key, tensor in content.items()}, beside / f"{name}.safetensors")
        (beside / "state.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(beside, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise StorageError(f"the checkpoint {folder} cannot be written: {error}") from error


def _read_position(path: Path) -> Position:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("format_version") == FORMAT_VERSION:
            return Position(**fields)
    except FileNotFoundError as error:
        raise SeqcliError(f"{path} is missing") from error
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error
    raise SeqcliError(f"{path} was written by another version of seqcli; train anew")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError as error:
        raise SeqcliError(f"{path} is missing") from error
    except (OSError, SafetensorError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error
    return tensors
