"""`seqcli compare`: runs against each other, for people and for programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def two(copy_run: Path, early_run: Path, tmp_path: Path) -> tuple[str, str]:
    """A run that has learnt its task and one that has not yet, under short names."""
    for name, run in (("late", copy_run), ("early", early_run)):
        shutil.copytree(run, tmp_path / name)
    return "late", "early"


FEW = ("--resamples", "100", "--trials", "100", "--metrics", "loss,exact_match,chrf")


def test_json_has_everything(call: Callable[..., Any], two: tuple[str, str]) -> None:
    ended = call("compare", *two, *FEW, "--json", "--by", "chrf", "-n", "2", "-o", "curves.png")
    assert ended.code == 0
    record = json.loads(ended.out)
    assert list(record) == ["split", "examples", "runs", "tests", "recipe", "moved", "notes"]
    assert (record["split"], record["examples"]) == ("test", 100)
    assert [run["run"] for run in record["runs"]] == ["late", "early"]
    assert [run["checkpoint"] for run in record["runs"]] == ["average", "average"]
    values = [run["metrics"]["chrf"]["value"] for run in record["runs"]]
    chrf = next(test for test in record["tests"] if test["metric"] == "chrf")
    assert (chrf["run"], chrf["against"]) == ("early", "late")
    assert chrf["difference"] == pytest.approx(values[1] - values[0])
    assert 1 / 101 <= chrf["bootstrap_p"] <= 1
    assert 1 / 101 <= chrf["randomisation_p"] <= 1
    assert record["moved"]["by"] == "chrf"
    assert len(record["moved"]["sentences"]) == 2
    assert set(record["moved"]["sentences"][0]) == {
        "run",
        "number",
        "source",
        "references",
        "outputs",
        "scores",
        "difference",
    }
    with Image.open("curves.png") as picture:
        assert min(picture.size) > 300


def test_the_tables(call: Callable[..., Any], two: tuple[str, str]) -> None:
    ended = call("compare", *two, *FEW, "-n", "1")
    assert ended.code == 0
    assert "test, 100 examples; checkpoints average, average" in ended.err
    assert ["training.steps", "150", "60"] in [line.split() for line in ended.out.splitlines()]
    signatures = [line for line in ended.out.splitlines() if "version:" in line]
    assert len(signatures) == 3
    assert "bs:100|seed:12345" in signatures[1]
    assert "sentence " in ended.out
    for label in ("source", "reference", "late", "early"):
        assert any(line.startswith(label) for line in ended.out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("late",), 2, "give two runs or more"),
        (("late", "nowhere"), 2, "nowhere is no run directory"),
        (
            ("late", "early", "--by", "bleu"),
            2,
            "--by bleu: give one of the metrics of texts that are computed: exact_match",
        ),
        (("late", "early", "--split", "dev"), 2, "--split dev"),
        (("late", "early", "--metrics", "blue"), 2, "--metrics blue"),
        (("late", "early", "data.examples=0"), 2, "data.examples"),
    ],
)
def test_what_cannot_be_compared(
    call: Callable[..., Any], two: tuple[str, str], arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = call("compare", *arguments)
    assert ended.code == code
    assert told in ended.err
    assert ended.out == ""


def test_other_test_data_is_one_sentence(call: Callable[..., Any], two: tuple[str, str]) -> None:
    recipe = Path("early/recipe.yaml")
    text = recipe.read_text()
    recipe.write_text(text.replace("longest: 5", "longest: 4"))
    assert recipe.read_text() != text
    ended = call("compare", *two)
    assert ended.code == 3
    assert len(ended.err.strip().splitlines()) == 1
    assert "late and early have different test data" in ended.err
