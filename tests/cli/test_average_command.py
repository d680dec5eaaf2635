"""`seqcli average`: which checkpoints are averaged, what comes out, and what cannot be averaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import seqcli
from seqcli.averaging import average_checkpoints
from seqcli.errors import SeqcliError
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe

SHORT = (
    "training.steps=9",
    "training.log_every=3",
    "training.validate_every=3",
    "training.checkpoint_every=1",
    "training.keep_checkpoints=9",
    "training.average=1",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, own_cache: None, tiny: tuple[str, ...]) -> Path:
    """Nine checkpoints, of which steps 3, 6 and 9 were validated."""
    folder = tmp_path_factory.mktemp("averaging") / "run"
    list(prepare(load_recipe("copy", [*tiny, *SHORT]), folder).train())
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def score(run: Path, *losses: float) -> None:
    """Write validation losses into the records, as if these had been measured at steps 3, 6 and 9."""
    lines = [
        json.dumps({"event": "validation", "step": 3 * number, "epoch": 0, "scores": {"loss": loss}})
        for number, loss in enumerate(losses, start=1)
    ]
    (run / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))


def check_mean(run: Path, steps: list[int]) -> None:
    """`checkpoints/average` is the mean of these steps, and says so."""
    folder = run / "checkpoints"
    assert json.loads((folder / "average" / "state.json").read_text())["steps"] == steps
    parts = [load_file(folder / f"step-{step:08d}" / "model.safetensors") for step in steps]
    mean = load_file(folder / "average" / "model.safetensors")
    assert len(mean) > 10
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, sum(part[name] for part in parts) / len(parts))


def test_the_last(call: Callable[..., Any], run: Path) -> None:
    ended = call("average", run, "--last", "3")
    assert (ended.code, ended.out) == (0, "")
    assert f"averaged the checkpoints of steps 7, 8, 9; next: seqcli eval {run} --checkpoint average" in ended.err
    check_mean(run, [7, 8, 9])
    assert seqcli.load(run).checkpoint.name == "average", "auto takes it"


def test_the_last_are_those_of_a_run_that_nobody_interrupted(call: Callable[..., Any], run: Path) -> None:
    """A checkpoint that a signal asked for between two regular ones is left out, but for the newest."""
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("checkpoint_every: 1", "checkpoint_every: 4"))
    assert call("average", run, "--last", "3").code == 0
    check_mean(run, [4, 8, 9])


@pytest.mark.parametrize(
    ("losses", "steps"),
    [
        ((1.0, 3.0, 2.0), [3, 9]),
        ((3.0, 2.0, 1.0), [6, 9]),
        ((2.0, 1.0, 2.0), [3, 6]),
        ((float("nan"), 2.0, 1.0), [6, 9]),
    ],
    ids=["not the last", "the last", "of equal ones the earlier", "what is no number is the worst"],
)
def test_the_best(losses: tuple[float, ...], steps: list[int], call: Callable[..., Any], run: Path) -> None:
    score(run, *losses)
    assert f"steps {', '.join(map(str, steps))};" in call("average", run, "--best", "2").err
    check_mean(run, steps)


def test_more_is_better_where_it_is(run: Path) -> None:
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("best_metric: loss", "best_metric: exact_match"))
    score(run, 0.0, 0.0, 0.0)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    shares = (50.0, 10.0, 20.0)
    scored = [line.replace('"loss": 0.0', f'"exact_match": {share}') for line, share in zip(lines, shares, strict=True)]
    (run / "metrics.jsonl").write_text("\n".join(scored) + "\n")
    assert average_checkpoints(run, best=2) == [3, 9]


def test_by_name(call: Callable[..., Any], run: Path) -> None:
    best = json.loads((run / "checkpoints" / "best" / "state.json").read_text())["step"]
    assert call("average", run, "2", "best", "5").code == 0
    check_mean(run, [2, best, 5])
    assert call("average", run, "last", "1").code == 0, "another takes its place"
    check_mean(run, [9, 1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give one of --last N, --best N, or the checkpoints themselves"),
        (["--last", "2", "--best", "2"], "give one of"),
        (["3", "6", "--last", "2"], "give one of"),
        (["--last", "1"], "--last"),
        (
            ["--last", "10"],
            "--last 10: {run} has 9 checkpoints (1, 2, 3, 4, 5, 6, 7, 8, 9); training.keep_checkpoints (9)",
        ),
        (["--best", "4"], "--best 4: {run} has 3 checkpoints (3, 6, 9) whose step was validated; raise"),
        (["3"], "3 alone is no average; name at least two checkpoints"),
        (["3", "4", "3"], "step 3 is named twice"),
        (["9", "last"], "step 9 is named twice"),
        (["3", "average"], "'average' is no checkpoint to average; give best, last, or a step's number"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_told_and_writes_nothing(
    arguments: list[str], said: str, call: Callable[..., Any], run: Path
) -> None:
    ended = call("average", run, *arguments)
    assert ended.code == 2
    assert said.format(run=run) in ended.err
    assert not (run / "checkpoints" / "average").exists()


def test_what_is_not_there(call: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    ended = call("average", run, "3", "77")
    assert (ended.code, "has no checkpoint '77'; there are: best, step-00000001" in ended.err) == (1, True)
    assert "is no run directory" in call("average", tmp_path, "--last", "2").err
    (run / "metrics.jsonl").unlink()
    assert "has no checkpoint whose step was validated" in call("average", run, "--best", "2").err
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(SeqcliError, match="has no checkpoint yet"):
        average_checkpoints(run, last=2)


def test_a_damaged_checkpoint_is_named(call: Callable[..., Any], run: Path) -> None:
    weights = run / "checkpoints" / "step-00000008" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    ended = call("average", run, "--last", "3")
    assert ended.code == 1
    assert f"{weights} is damaged" in ended.err
