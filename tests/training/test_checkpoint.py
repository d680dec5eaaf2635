"""Checkpoints: what is in them, what happens when they are damaged, and the mean of several."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from models.zoo import VOCABULARY
from safetensors.torch import load_file, save
from training.miniature import FOR_EVER, SMALLEST, Run, no_validation

from seqcli.build.model import build_model
from seqcli.errors import SeqcliError, StorageError
from seqcli.training import checkpoint
from seqcli.training.checkpoint import (
    Position,
    average_weights,
    finish_replacing,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    step_folder,
    step_folders,
    weights_of,
)
from seqcli.training.optim import Sgd


@pytest.fixture
def run() -> Run:
    trained = Run(SMALLEST, seed=1)
    trained.train(replace(FOR_EVER, steps=2), no_validation())
    return trained


@pytest.fixture
def saved(run: Run, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "step-00000002", run.model, run.optimizer, run.position)
    return tmp_path / "step-00000002"


def test_the_whole_position_comes_back(run: Run, saved: Path) -> None:
    everything = Position(7, 2, 3, 0.1, 4, 5, 0.5, 2, 1, [0.1, 1 / 3], 1, {"loss": 1 / 3, "tokens": 17.0})
    save_checkpoint(saved, run.model, run.optimizer, everything)
    assert load_checkpoint(saved, run.model, run.optimizer) == everything


def test_a_checkpoint_replaces_another_and_leaves_nothing_beside(run: Run, saved: Path) -> None:
    save_checkpoint(saved, run.model, run.optimizer, Position(step=3))
    assert sorted(path.name for path in saved.parent.iterdir()) == ["step-00000002"]
    assert sorted(path.name for path in saved.iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    assert json.loads((saved / "state.json").read_text())["step"] == 3


def test_step_folders_are_found_oldest_first(tmp_path: Path) -> None:
    for step in (1000, 20, 3):
        step_folder(tmp_path, step).mkdir()
    for other in ("best", ".step-00000099.writing", "step-none"):
        (tmp_path / other).mkdir()
    assert [path.name for path in step_folders(tmp_path)] == ["step-00000003", "step-00000020", "step-00001000"]


def test_a_disk_that_is_full_leaves_the_old_checkpoint(run: Run, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(StorageError, match=r"step-00000002 cannot be written: .*No space left"):
        save_checkpoint(saved, run.model, run.optimizer, Position(step=9))
    assert [path.name for path in saved.parent.iterdir()] == ["step-00000002"]
    assert load_checkpoint(saved, run.model, run.optimizer).step == 2


FILES = ["manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"]


def as_if_written_so(path: Path, content: bytes) -> None:
    """Change a file of a checkpoint and what the manifest says of it."""
    path.write_bytes(content)
    manifest = json.loads((path.parent / "manifest.json").read_text())
    manifest[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (path.parent / "manifest.json").write_text(json.dumps(manifest))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garble(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize("damage", [_cut, _empty, _garble, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_told_with_the_file(name: str, damage: Callable[[Path], None], run: Run, saved: Path) -> None:
    damage(saved / name)
    with pytest.raises(SeqcliError, match=rf"{name} is (damaged|missing)"):
        load_checkpoint(saved, run.model, run.optimizer)


def is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_and_every_cut_is_noticed(name: str, run: Run, saved: Path) -> None:
    path = saved / name
    whole = path.read_bytes()
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        cut = whole[: draw.randrange(len(whole))]
        for damaged in (bytes(flipped), cut):
            path.write_bytes(damaged)
            # JSON has bits that mean nothing, such as the white space at the end of the manifest
            if name == "manifest.json" and is_json(damaged) and json.loads(damaged) == json.loads(whole):
                continue
            with pytest.raises(SeqcliError, match="step-00000002"):
                load_checkpoint(saved, run.model, run.optimizer)
    path.write_bytes(whole)
    assert load_checkpoint(saved, run.model, run.optimizer).step == 2


def test_a_checkpoint_without_manifest_is_of_version_1(run: Run, saved: Path) -> None:
    (saved / "manifest.json").unlink()
    state = json.loads((saved / "state.json").read_text())
    (saved / "state.json").write_text(json.dumps({**state, "format_version": 1}))
    assert load_checkpoint(saved, run.model, run.optimizer).step == 2


@pytest.mark.parametrize("at", ["rename", "rename back", "nothing"])
def test_killed_while_one_takes_the_place_of_another(
    at: str, run: Run, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever rename is the last one that happens, a whole checkpoint is found under its name."""
    renames = {"nothing": 0, "rename": 1, "rename back": 2}[at]
    really, done = os.replace, []

    def replace_until_killed(old: Path, new: Path) -> None:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(old)
        really(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_until_killed)
        if renames < 2:
            with pytest.raises(KeyboardInterrupt):
                save_checkpoint(saved, run.model, run.optimizer, Position(step=3))
        else:
            save_checkpoint(saved, run.model, run.optimizer, Position(step=3))
    finish_replacing(saved.parent)
    assert load_checkpoint(saved, run.model, run.optimizer).step == (3 if renames == 2 else 2)
    assert step_folders(saved.parent) == [saved]


def test_a_checkpoint_of_another_version_is_refused(run: Run, saved: Path) -> None:
    state = json.loads((saved / "state.json").read_text())
    as_if_written_so(saved / "state.json", json.dumps({**state, "format_version": 99}).encode())
    with pytest.raises(SeqcliError, match="another version"):
        load_checkpoint(saved, run.model, run.optimizer)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format_version": 1, "steps": 3}', "null"])
def test_json_that_is_no_state_is_refused(text: str, run: Run, saved: Path) -> None:
    as_if_written_so(saved / "state.json", text.encode())
    with pytest.raises(SeqcliError, match=r"state.json is damaged"):
        load_checkpoint(saved, run.model, run.optimizer)


def test_weights_of_another_model_are_refused(saved: Path) -> None:
    other = build_model(SMALLEST, VOCABULARY, VOCABULARY + 1)
    with pytest.raises(SeqcliError, match=r"model.safetensors does not fit the recipe's model"):
        load_weights(saved, other)
    deeper = SMALLEST.model_copy(update={"encoder": SMALLEST.encoder.model_copy(update={"layers": 2})})
    with pytest.raises(SeqcliError, match=r"does not fit the recipe's model: encoder\.recurrence"):
        load_weights(saved, build_model(deeper, VOCABULARY, VOCABULARY))


def test_a_tensor_too_few_or_too_many_is_refused(run: Run, saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    as_if_written_so(saved / "model.safetensors", save({**weights, "more": torch.zeros(1)}))
    with pytest.raises(SeqcliError, match="more"):
        load_weights(saved, run.model)
    weights.pop("output.bias")
    as_if_written_so(saved / "model.safetensors", save(weights))
    with pytest.raises(SeqcliError, match=r"output\.bias"):
        load_weights(saved, run.model)


def test_the_state_of_another_optimizer_is_refused(run: Run, saved: Path) -> None:
    sgd = Sgd(run.model.named_parameters(), momentum=0.9, nesterov=False, weight_decay=0.0)
    with pytest.raises(SeqcliError, match=r"optimizer.safetensors does not fit the recipe's optimizer"):
        load_checkpoint(saved, run.model, sgd)


def test_the_average_is_the_mean(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    kept = []
    for number, folder in enumerate(folders):
        torch.manual_seed(number)
        kept.append(weights_of(build_model(SMALLEST, VOCABULARY, VOCABULARY)))
        save_weights(folder, kept[-1], {"step": number})
    average = average_weights(folders)
    assert average.keys() == kept[0].keys()
    for name, tensor in average.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, sum(weights[name] for weights in kept) / 3)
    for name, tensor in average_weights(folders[:1]).items():
        assert torch.equal(tensor, kept[0][name])
    save_weights(tmp_path / "average", average, {"steps": [0, 1, 2]})
    model = build_model(SMALLEST, VOCABULARY, VOCABULARY)
    load_weights(tmp_path / "average", model)
    assert torch.equal(model.output.weight, average["output.weight"])


def test_what_is_no_float_is_not_averaged(tmp_path: Path) -> None:
    """As which symbol of the target each of the source is, in a model that copies."""
    table = torch.tensor([3, -1, 2**53 + 1])
    for name, weight in (("a", 1.0), ("b", 2.0)):
        save_weights(tmp_path / name, {"table": table, "weight": torch.tensor([weight])}, {})
    average = average_weights([tmp_path / "a", tmp_path / "b"])
    assert average["table"].dtype == torch.int64
    assert torch.equal(average["table"], table)
    assert average["weight"].item() == 1.5


def test_random_state_comes_back(run: Run, saved: Path) -> None:
    wanted = torch.rand(5)
    save_checkpoint(saved, run.model, run.optimizer, run.position)
    expected = torch.rand(5)
    assert not torch.equal(wanted, expected)
    torch.manual_seed(12345)
    load_checkpoint(saved, run.model, run.optimizer)
    assert torch.equal(torch.rand(5), expected)


def test_the_random_state_of_another_device_comes_back(run: Run, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[torch.Tensor] = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: torch.tensor([1, 2], dtype=torch.uint8))
    monkeypatch.setattr(torch.mps, "set_rng_state", kept.append)
    save_checkpoint(saved, run.model, run.optimizer, run.position)
    load_checkpoint(saved, run.model, run.optimizer)
    assert [state.tolist() for state in kept] == [[1, 2]]
