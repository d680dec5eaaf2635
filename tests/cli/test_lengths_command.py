"""`seqcli visualize lengths` and the groups of `visualize curves`: what is printed is what the model has written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqcli


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_beyond_the_lengths_of_training(call: Callable[..., Any], copy_run: Path) -> None:
    """Trained to copy up to 5 letters, asked to copy up to 10: every bucket against the model's own copies, counted here."""
    further = ("data.longest=10", "data.shortest=2", "data.examples=4000")
    ended = call("visualize", "lengths", copy_run, *further, "--edges", "3,5,7,10", "--json", "-o", "deep/lengths.svg")
    assert ended.code == 0, ended.err
    assert "wrote deep/lengths.svg" in ended.err
    assert Path("deep/lengths.svg").read_bytes().startswith(b"<?xml")
    told = json.loads(ended.out)
    assert (told["metric"], told["unit"], told["examples"], told["trained_to"]) == ("exact_match", "symbols", 200, [5])
    assert len(told["curves"]) == 1
    buckets = told["curves"][0]["buckets"]
    assert [(each["low"], each["high"]) for each in buckets] == [(2, 3), (4, 5), (6, 7), (8, 10)]
    assert sum(each["count"] for each in buckets) == 200

    run = seqcli.load(copy_run, further)
    result = run.evaluate(metrics=["exact_match"])
    pairs = [(one.source, text) for one, text in zip(result.examples, result.hypotheses, strict=True)]
    for bucket in buckets:
        inside = [source == text for source, text in pairs if bucket["low"] <= len(source) <= bucket["high"]]
        assert bucket["count"] == len(inside)
        assert bucket["value"] == pytest.approx(100 * sum(inside) / len(inside))
        assert bucket["interval"][0] <= bucket["value"] <= bucket["interval"][1]
    assert buckets[0]["value"] > 90 > 50 > buckets[-1]["value"], "it has learnt the lengths of its training"


def test_the_table_and_another_metric(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "lengths", copy_run, "--metric", "cer", "--edges", "2,5", "--dark")
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0][0] == "cer"
    assert lines[1][:2] == ["symbols", "sentences"]
    shortest = min(len(one.source) for one in seqcli.load(copy_run).evaluate(metrics=["cer"]).examples)
    assert shortest in (1, 2), "with four letters there may be none alone in the test split"
    assert [line[0] for line in lines[2:4]] == ["1–2" if shortest == 1 else "2", "3–5"]
    assert Path("lengths.png").is_file()


def test_runs_that_differ_in_the_seed_are_one_curve(call: Callable[..., Any], copy_run: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(copy_run, name)
    recipe = Path("two/recipe.yaml")
    recipe.write_text(recipe.read_text().replace("seed: 1", "seed: 2", 1))
    ended = call("visualize", "lengths", "one", "two", "--json", "-q")
    told = json.loads(ended.out)["curves"]
    assert [(each["label"], each["runs"]) for each in told] == [("one", ["one", "two"])]
    assert all(len(bucket["runs"]) == 2 and bucket["runs"][0] == bucket["value"] for bucket in told[0]["buckets"])
    drawn = call("visualize", "curves", "one", "two", "-o", "grouped.svg")
    assert "one: one, two" in drawn.err
    assert call("visualize", "curves", "one", "two", "-o", "each.svg", "--each").err == "wrote each.svg\n"
    assert Path("grouped.svg").read_bytes() != Path("each.svg").read_bytes()


def test_a_search_that_ends_too_soon_is_told(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "lengths", copy_run, "search.max_length=3")
    assert ended.code == 0
    assert "references are longer than the search may write; raise search.max_length" in ended.err


def test_other_sentences_are_not_drawn_together(call: Callable[..., Any], copy_run: Path) -> None:
    shutil.copytree(copy_run, "other")
    recipe = Path("other/recipe.yaml")
    assert "longest: 5" in recipe.read_text()
    recipe.write_text(recipe.read_text().replace("longest: 5", "longest: 7"))
    ended = call("visualize", "lengths", copy_run, "other")
    assert ended.code == 3
    assert "other has another test split" in ended.err
    assert call("visualize", "lengths", copy_run, "other", "data.longest=6").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metric", "loss"], "--metric loss: lengths are scored by a metric of texts"),
        (["--edges", "5,3"], "--edges 5,3"),
        (["--edges", "a"], "--edges a"),
        (["--unit", "pixels"], "--unit pixels"),
        (["--split", "tset"], "--split tset"),
        (["-o", "lengths.gif"], "lengths.gif"),
    ],
)
def test_mistakes(call: Callable[..., Any], copy_run: Path, arguments: list[str], said: str) -> None:
    ended = call("visualize", "lengths", copy_run, *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_no_run_at_all(call: Callable[..., Any]) -> None:
    assert "no run given" in call("visualize", "lengths", "data.longest=6").err
