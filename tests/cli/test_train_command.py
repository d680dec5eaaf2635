"""`seqcli train` from its arguments to the run directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHORT = ("training.steps=6", "training.log_every=2", "training.validate_every=3", "training.checkpoint_every=2")
ONE_EPOCH = ("training.steps=null", "training.epochs=1")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path, tiny: tuple[str, ...]) -> Path:
    """The tiny recipe as a file."""
    from seqcli.recipe.dump import dump_recipe
    from seqcli.recipe.load import load_recipe

    path = tmp_path / "tiny.yaml"
    path.write_text(dump_recipe(load_recipe("copy", [*tiny, *SHORT])))
    return path


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_run_directory_bears_the_recipes_name(run_files: set[str], call: Callable[..., Any], recipe: Path) -> None:
    ended = call("train", recipe)
    assert ended.code == 0
    assert ended.out == "", "stdout is for data"
    assert "done: 6 steps; next: seqcli eval runs/tiny" in ended.err
    run = Path("runs/tiny")
    names = {path.name for path in run.iterdir()}
    assert names == run_files
    assert "\x1b" not in ended.err, "a pipe gets plain lines"
    lines = ended.err.splitlines()
    for part in ("loss", "learning rate", "gradient norm", "tokens/s", "padding"):
        assert part in lines[1]
    assert lines[1].startswith("step 2/6")


def test_the_key_run_names_the_directory(call: Callable[..., Any], recipe: Path) -> None:
    assert call("train", recipe, "run=deep/down").code == 0
    assert Path("deep/down/recipe.yaml").is_file()
    assert not Path("runs").exists()


def test_records_checkpoints_and_best(call: Callable[..., Any], recipe: Path) -> None:
    assert call("train", recipe, "training.keep_checkpoints=2", "training.average=1").code == 0
    run = Path("runs/tiny")
    events = [(record["event"], record["step"]) for record in records(run)]
    assert events == [("train", 2), ("validation", 3), ("train", 4), ("train", 6), ("validation", 6)]
    assert set(records(run)[1]["scores"]) == {"loss", "exact_match"}
    samples = records(run)[1]["samples"]
    assert [len(source_reference_written) for source_reference_written in samples] == [3, 3, 3]
    assert checkpoints(run) == ["best", "step-00000004", "step-00000006"]
    kinds = {path.suffix for path in (run / "checkpoints").rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json"}, "no pickle of code"


def test_the_average_is_the_mean_of_the_last(call: Callable[..., Any], recipe: Path) -> None:
    import torch
    from safetensors.torch import load_file

    assert call("train", recipe, "training.average=3").code == 0
    folder = Path("runs/tiny/checkpoints")
    assert json.loads((folder / "average/state.json").read_text())["steps"] == [2, 4, 6]
    parts = [load_file(folder / f"step-0000000{step}" / "model.safetensors") for step in (2, 4, 6)]
    mean = load_file(folder / "average/model.safetensors")
    assert len(mean) > 10
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, sum(part[name] for part in parts) / 3)


def test_epochs_instead_of_steps(call: Callable[..., Any], recipe: Path) -> None:
    assert call("train", recipe, *ONE_EPOCH, "training.validate_every=null").code == 0
    last = records(Path("runs/tiny"))[-1]
    assert (last["event"], last["epoch"]) == ("validation", 1)
    assert last["step"] > 6


def test_a_dry_run_shows_everything_and_writes_nothing(call: Callable[..., Any], recipe: Path) -> None:
    ended = call("train", recipe, "--dry-run")
    assert ended.code == 0
    for part in ("parameters", "vocabulary", "source length", "batches an epoch", "encoder", "decoder", "example 1"):
        assert part in ended.out, part
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]
    assert max(map(len, ended.out.splitlines())) <= 80


def test_a_dry_run_as_json(call: Callable[..., Any], recipe: Path) -> None:
    ended = call("train", recipe, "--dry-run", "--json")
    told = json.loads(ended.out)
    table = call("train", recipe, "--dry-run").out
    assert f"{told['splits']['train']['examples']:,}" in table
    assert f"{told['parameters']['all']:,}" in table
    assert told["parameters"]["all"] == sum(told["parameters"].values()) / 2
    assert f"{100 * told['padding']:.1f} %" in table
    assert told["splits"]["train"]["lengths"]["source"]["longest"] == 5
    assert told["run"] == "runs/tiny"
    assert set(told["vocabularies"]) == {"source", "target"}
    refused = call("train", recipe, "--json")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("--json goes with --dry-run")


def test_quiet_says_nothing(call: Callable[..., Any], recipe: Path) -> None:
    ended = call("train", recipe, "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_all_mistakes_at_once(call: Callable[..., Any], recipe: Path) -> None:
    recipe.write_text(
        recipe.read_text().replace("batch_tokens", "batch_tokesn").replace("\n  dropout: 0.0", "\n  dropout: 2")
    )
    ended = call("train", recipe, "training.optimizer.kind=adamm")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 3
    for part in ("batch_tokesn", "dropout", "adamm", f"{recipe}:"):
        assert part in ended.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\tb\nc\n", "train.tsv:2"),
        (b"a\tb\n\xff\tb\n", "train.tsv:2"),
        (b"", "train.tsv: has no examples"),
        (b"\tb\na\t\n", "no example"),
        (None, "train.tsv"),
    ],
    ids=["a column short", "not UTF-8", "empty file", "empty sides", "no file"],
)
def test_bad_data_ends_with_3(call: Callable[..., Any], recipe: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        Path("train.tsv").write_bytes(content)
    ended = call("train", recipe, "data={kind: files, train: train.tsv, columns: {source: 0, target: 1}}")
    assert ended.code == 3
    assert said in ended.err
    assert not Path("runs").exists()


def test_what_is_left_out_is_told(call: Callable[..., Any], recipe: Path) -> None:
    Path("train.tsv").write_text("a\tb\n\tb\nabcdefghij\tb\n")
    ended = call(
        "train",
        recipe,
        "data={kind: files, train: train.tsv, validation: train.tsv, columns: {source: 0, target: 1}}",
        "source.max_length=5",
    )
    assert ended.code == 0
    assert "1 training examples have an empty side and are left out (train.tsv:2)" in ended.err
    assert "1 training examples have more symbols than max_length and are left out (train.tsv:3)" in ended.err


def test_the_same_command_again_does_nothing(call: Callable[..., Any], recipe: Path) -> None:
    call("train", recipe)
    before = contents(Path("runs/tiny"))
    ended = call("train", recipe)
    assert ended.code == 0
    assert "already at step 6 of 6" in ended.err
    assert "training.steps" in ended.err
    assert contents(Path("runs/tiny")) == before


def test_a_run_can_be_made_longer(call: Callable[..., Any], recipe: Path) -> None:
    constant = "training.schedule={kind: constant}"
    call("train", recipe, constant)
    ended = call("train", recipe, constant, "training.steps=8")
    assert ended.code == 0
    assert "going on with runs/tiny at step 6" in ended.err
    call("train", recipe, constant, "training.steps=8", "run=straight")
    name = "checkpoints/step-00000008/model.safetensors"
    assert Path("runs/tiny", name).read_bytes() == Path("straight", name).read_bytes()


def test_another_recipe_is_refused_with_the_keys(call: Callable[..., Any], recipe: Path) -> None:
    call("train", recipe)
    before = contents(Path("runs/tiny"))
    ended = call("train", recipe, "seed=7", "model.dropout=0.5")
    assert ended.code == 2
    for part in ("seed was 1 and is 7", "model.dropout was 0.0 and is 0.5", "--fresh"):
        assert part in ended.err
    assert contents(Path("runs/tiny")) == before
    assert call("train", recipe, "search.beam_size=3").code == 0, "how one searches may change"


def test_fresh_starts_beside(call: Callable[..., Any], recipe: Path) -> None:
    call("train", recipe)
    before = contents(Path("runs/tiny"))
    for number in (2, 3):
        assert f"seqcli eval runs/tiny-{number}" in call("train", recipe, "seed=7", "--fresh").err
    assert contents(Path("runs/tiny")) == before
    assert {path.name for path in Path("runs").iterdir()} == {"tiny", "tiny-2", "tiny-3"}


def test_other_training_data_is_refused(call: Callable[..., Any], recipe: Path) -> None:
    Path("train.tsv").write_text("ab\tba\n" * 5)
    arguments = ("train", recipe, "data={kind: files, train: train.tsv, columns: {source: 0, target: 1}}")
    assert call(*arguments).code == 0
    Path("train.tsv").write_text("xy\tyx\n" * 5)
    ended = call(*arguments, "training.steps=8")
    assert ended.code == 3
    assert "training data is not what" in ended.err


def test_a_run_that_cannot_be_written_ends_with_74(call: Callable[..., Any], recipe: Path) -> None:
    ended = call("train", recipe, f"run={recipe}/below")
    assert ended.code == 74
    assert f"{recipe}/below" in ended.err


def test_a_full_disk_ends_with_74(
    call: Callable[..., Any], recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import seqcli.training.checkpoint as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", full)
        ended = call("train", recipe)
    assert ended.code == 74
    assert "No space left on device" in ended.err
    assert call("train", recipe).code == 0, "with room again, the same command goes on"


def test_too_large_a_model_ends_with_4(call: Callable[..., Any], recipe: Path) -> None:
    """10^12 numbers fit into no memory."""
    ended = call("train", recipe, "model.encoder.hidden_size=1000000", "model.decoder.attention={kind: additive}")
    assert ended.code == 4
    assert "out of memory" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [["train"], ["train", "nothere"], ["train", "tiny.yaml", "--steps", "5"], ["train", "tiny.yaml", "steps"], ["xyz"]],
    ids=" ".join,
)
def test_bad_usage_ends_with_2(call: Callable[..., Any], recipe: Path, arguments: list[str]) -> None:
    ended = call(*arguments)
    assert ended.code == 2
    assert ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("file", "damage", "code"),
    [
        ("source.json", "missing", 3),
        ("target.json", "cut", 3),
        ("recipe.yaml", "cut", 2),
        # the checkpoint before it is used
        ("checkpoints/step-00000006/model.safetensors", "missing", 0),
        ("checkpoints/step-00000006/optimizer.safetensors", "cut", 0),
        ("checkpoints/step-00000006/state.json", "cut", 0),
    ],
)
def test_a_damaged_run_is_named(call: Callable[..., Any], recipe: Path, file: str, damage: str, code: int) -> None:
    call("train", recipe)
    path = Path("runs/tiny", file)
    if damage == "missing":
        path.unlink()
    else:
        half = path.read_bytes()[: path.stat().st_size // 2]
        # a recipe that ends with a whole line may be a whole recipe
        path.write_bytes(half[: half.rindex(b":")] if path.suffix == ".yaml" else half)
    ended = call("train", recipe, "training.steps=8")
    assert ended.code == code
    assert str(path) in ended.err
    assert ("going on from the checkpoint before it" in ended.err) == (code == 0)


def test_a_copied_checkpoint_disturbs_nothing(call: Callable[..., Any], recipe: Path) -> None:
    call("train", recipe)
    folder = Path("runs/tiny/checkpoints")
    shutil.copytree(folder / "step-00000006", folder / "step-00000006.bak2")
    assert call("train", recipe, "training.steps=8").code == 0
    assert "step-00000006.bak2" in checkpoints(Path("runs/tiny"))


@pytest.mark.real
def test_to_compile_without_a_compiler(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setattr(config, "fx_graph_cache", False)
    result = call("train", "copy", "training.compile=true", "training.steps=2", f"run={tmp_path / 'run'}", "--quiet")
    assert result.code == 1
    assert "training.compile: false" in result.err
    assert "no-such-compiler" in result.err
    assert "Traceback" not in result.err
