"""Checkpoints: all that a run needs to go on as if it had never stopped, in safetensors and JSON.

    model.safetensors      the weights
    optimizer.safetensors  what the optimizer remembers, torch's random state, and, where `model.safetensors` has a moving
                           average of the weights, the weights themselves
    state.json             where the loop stands
    manifest.json          the size and digest of each of them, written last

A checkpoint is written to a folder beside its place, forced to the disk, and renamed, so a reader finds a whole one or none,
whenever the power fails. Neither safetensors nor JSON notices a flipped bit, the manifest does: every file is compared with it
before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqcli.errors import SeqcliError, StorageError
from seqcli.training.moving_average import MovingAverage
from seqcli.training.optim import Optimizer
from seqcli.training.sharding import laid_out, whole

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""Version 1 had no manifest."""

MANIFEST = "manifest.json"


@dataclass
class Position:
    """Where a run stands: everything the loop changes beside weights, optimizer and random state.

    `batch` counts the batches of `epoch` that are done. `best` is the best validation score so far and `stale` the number of
    validations since; `factor` is what plateau has made of the learning rate. Each batch is cut into `pieces` to fit into memory;
    the last `skipped_in_a_row` steps changed nothing, their loss not being a number. `losses` are those of the last steps, and as
    many as `spikes_in_a_row` of them were far above the others. The loss is multiplied by `loss_scale` in fp16, for `steps_at_scale`
    steps now. `sums` are running sums since the last record.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None
    stale: int = 0
    plateau_stale: int = 0
    factor: float = 1.0
    pieces: int = 1
    skipped_in_a_row: int = 0
    losses: list[float] = field(default_factory=list)
    spikes_in_a_row: int = 0
    loss_scale: float = 65536.0
    steps_at_scale: int = 0
    sums: dict[str, float] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizer,
    position: Position,
    average: MovingAverage | None = None,
    *,
    writes: bool = True,
) -> None:
    """Write a checkpoint that a run can go on from. Raises `StorageError` if it cannot be written.

    Of a team every process must come here, to give what it has of a sharded model, and one `writes`.
    With a moving average the weights of `model.safetensors`, which the model is used with, are the averaged ones.
    """
    random: dict[str, Tensor] = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["random/cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        random["random/mps"] = torch.mps.get_rng_state()
    trained = {} if average is None else average.state()
    with average.in_use() if average else nullcontext():
        files = {"model": weights_of(model), "optimizer": {**optimizer.state(), **trained, **random}}
        # before anything is written, so that nobody waits for a writer that has failed
        wholes = {file: _gather(tensors, writes) for file, tensors in files.items()}
        if writes:
            _write(folder, wholes, {"format_version": FORMAT_VERSION, **asdict(position)})


def _gather(tensors: dict[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """The tensors whole, in main memory; of those that are sharded one at a time is whole where they come from."""
    wholes = ((name, whole(tensor)) for name, tensor in tensors.items())
    return {name: tensor.cpu() for name, tensor in wholes if keep}


def save_weights(folder: Path, weights: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write weights alone, with what is to be known of them (the score of `best`, the steps of `average`)."""
    _write(folder, {"model": weights}, {"format_version": FORMAT_VERSION, **about})


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: Optimizer, average: MovingAverage | None = None
) -> Position:
    """Put model, optimizer, moving average and random state where the checkpoint left them; return the position.

    Raises `SeqcliError` where a file is missing or damaged, or belongs to another model or optimizer.
    """
    position = _read_position(folder)
    load_weights(folder, model)
    path = folder / "optimizer.safetensors"
    state = _read_tensors(path)
    try:
        optimizer.restore(state)
        if average is not None:
            average.restore(state)
        torch.set_rng_state(state["random/cpu"])
        if "random/cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["random/cuda"])
        if "random/mps" in state and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["random/mps"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise SeqcliError(f"{path} does not fit the recipe's optimizer: {error}") from error
    return position


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill `model` from a checkpoint. Raises `SeqcliError` where the file is damaged or belongs to another model."""
    path = folder / "model.safetensors"
    parameters = dict(model.named_parameters())
    weights = {name: laid_out(tensor, parameters.get(name, tensor)) for name, tensor in _read_tensors(path).items()}
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise SeqcliError(f"{path} does not fit the recipe's model: {str(error).splitlines()[-1].strip()}") from error
    # tied weights are stored once, so their other names are missing and already filled
    absent = sorted(set(missing) - set(_aliases(model)))
    if absent or unexpected:
        raise SeqcliError(f"{path} does not fit the recipe's model: {', '.join([*absent, *unexpected][:3])} …")


def read_state(folder: Path) -> dict[str, Any]:
    """What `state.json` of a checkpoint says: the position, or what is to be known of weights alone. Raises `SeqcliError`."""
    path = folder / "state.json"
    _refuse_damage(path)
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error
    if not isinstance(state, dict):
        raise SeqcliError(f"{path} is damaged: it is no object")
    return state


def average_weights(folders: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the weights of several checkpoints; what is no float, as a table of symbols, is the last one's."""
    total: dict[str, Tensor] = {}
    for folder in folders:
        for name, tensor in _read_tensors(folder / "model.safetensors").items():
            if not tensor.is_floating_point():
                total[name] = tensor
            else:
                total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return {
        name: (tensor / len(folders)).float() if tensor.is_floating_point() else tensor
        for name, tensor in total.items()
    }


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
        manifest = {path.name: {"bytes": path.stat().st_size, "sha256": file_digest(path)} for path in beside.iterdir()}
        (beside / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        for path in (*beside.iterdir(), beside):
            _force_to_disk(path)
        _move_into_place(beside, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise StorageError(f"the checkpoint {folder} cannot be written: {error}") from error


def _move_into_place(beside: Path, folder: Path) -> None:
    """Rename, the one that was there before out of the way first: at every moment one of the two is whole and can be found."""
    before = replaced(folder)
    if folder.exists():
        shutil.rmtree(before, ignore_errors=True)
        os.replace(folder, before)
    os.replace(beside, folder)
    _force_to_disk(folder.parent)
    shutil.rmtree(before, ignore_errors=True)


def replaced(folder: Path) -> Path:
    """Where a checkpoint waits while another takes its place."""
    return folder.with_name(f".{folder.name}.before")


def finish_replacing(checkpoints: Path) -> None:
    """Put back what a run that was killed between two renames had moved out of the way."""
    for before in checkpoints.glob(".*.before"):
        folder = checkpoints / before.name[1 : -len(".before")]
        with contextlib.suppress(OSError):
            if folder.exists():
                shutil.rmtree(before)
            else:
                os.replace(before, folder)


def _force_to_disk(path: Path) -> None:
    """Wait until the file, or the folder's list of names, is on the disk."""
    if os.name != "posix" and path.is_dir():
        return  # only POSIX lets a folder be opened
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _refuse_damage(path: Path) -> None:
    """Raise `SeqcliError` unless the file is what the manifest of its folder says, or the folder is of version 1."""
    if not path.is_file():
        raise SeqcliError(f"{path} is missing")
    manifest = _read_manifest(path.parent)
    if manifest is None:
        return
    try:
        expected = manifest[path.name]
        if path.stat().st_size != expected["bytes"]:
            raise SeqcliError(f"{path} is damaged: it has {path.stat().st_size} bytes of {expected['bytes']}")
        if file_digest(path) != expected["sha256"]:
            raise SeqcliError(f"{path} is damaged: its content is not what {MANIFEST} says")
    except OSError as error:
        raise SeqcliError(f"{path} cannot be read: {error.strerror or error}") from error
    except (KeyError, TypeError) as error:
        raise SeqcliError(f"{path.parent / MANIFEST} is damaged: it does not tell of {path.name}") from error


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]] | None:
    """The manifest of a checkpoint; None where a checkpoint of version 1 has none."""
    path = folder / MANIFEST
    try:
        manifest: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
        return manifest
    except FileNotFoundError as error:
        if _version(folder) == 1:
            return None
        raise SeqcliError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error


def _version(folder: Path) -> object:
    try:
        return json.loads((folder / "state.json").read_bytes())["format_version"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _read_position(folder: Path) -> Position:
    path, fields = folder / "state.json", read_state(folder)
    try:
        if fields.pop("format_version") in READABLE_VERSIONS:
            return Position(**fields)
    except (TypeError, KeyError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error
    raise SeqcliError(f"{path} was written by another version of seqcli; train anew")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    _refuse_damage(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error
    return tensors
