"""Runs that were made with older formats stay readable: one is stored for each, and goes on.

They were trained by the last commit of version 1 and the first of version 2, and cut off after step 300, before the checkpoint that
was due then: the newest one is that of step 270, in the middle of an epoch and between two records. A new version brings its own.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import seqcli
from seqcli.averaging import average_checkpoints
from seqcli.errors import RecipeError
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.run import read_recipe
from seqcli.training.checkpoint import FORMAT_VERSION, READABLE_VERSIONS

STORED = Path(__file__).parent / "stored"
VERSIONS = [int(folder.name.removeprefix("version-")) for folder in sorted(STORED.iterdir())]
TEXTS = ["abc", "ca", "", "bb", "a"]


@pytest.fixture(params=VERSIONS, ids=lambda version: f"version {version}")
def version(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def run(version: int, tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORED / f"version-{version}", tmp_path / "run"))


def test_a_run_is_stored_for_every_version_that_can_be_read() -> None:
    assert list(READABLE_VERSIONS) == VERSIONS


def test_the_stored_run_is_of_its_version(version: int, run: Path) -> None:
    states = list(run.rglob("state.json"))
    assert {json.loads(path.read_text())["format_version"] for path in states} == {version}
    assert [path.with_name("manifest.json").exists() for path in states] == [version > 1] * 2


@pytest.mark.parametrize("checkpoint", [None, "best", "last", "270"])
def test_it_translates(checkpoint: str | None, run: Path) -> None:
    assert seqcli.load(run, checkpoint=checkpoint).translate(TEXTS) == TEXTS


def test_a_rule_that_came_later_refuses_no_run(run: Path) -> None:
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8")
    target = re.search(r"(?ms)^target:.*?(?=^model)", recipe)
    assert target is not None
    changed = recipe.replace(target[0], "target: {tokenizer: {kind: shared}, lowercase: true}\n")
    (run / "recipe.yaml").write_text(changed, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"target\.lowercase"):
        load_recipe(str(run / "recipe.yaml"))
    assert read_recipe(run).target.lowercase
    with pytest.raises(RecipeError, match="search.max_length"):
        read_recipe(run, ["search.min_length=9", "search.max_length=8"])


def test_it_goes_on(run: Path) -> None:
    """Dropout, data and learning rate are those of the code that made it, so the loss is too, up to the order of sums."""
    recorded = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    experiment = prepare(read_recipe(run), run)
    assert (experiment.position.step, experiment.position.batch, experiment.passed_over) == (270, 2, [])
    records = list(experiment.train())
    assert [(record.event, record.step) for record in records] == [
        ("train", 300),
        ("validation", 300),
        ("checkpoint", 300),
    ]
    assert records[0].loss == pytest.approx(recorded[-2]["loss"], rel=0.1)
    again = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(one["event"], one["step"]) for one in again] == [(one["event"], one["step"]) for one in recorded]
    newest = json.loads((run / "checkpoints" / "step-00000300" / "state.json").read_text())
    assert newest["format_version"] == FORMAT_VERSION
    assert average_checkpoints(run, last=2) == [270, 300]
    assert seqcli.load(run).translate(TEXTS) == TEXTS
