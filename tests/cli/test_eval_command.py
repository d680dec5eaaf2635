"""`seqcli eval`: scores of a split or of files, for people and for programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seqcli.recipe.section import MetricName

ALL = get_args(MetricName)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_json_of_every_metric(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("eval", copy_run, "--json", "--metrics", ",".join(ALL))
    assert ended.code == 0
    assert ended.err == ""
    record = json.loads(ended.out)
    assert set(record) == {"split", "metrics"}
    assert record["split"] == "test"
    assert list(record["metrics"]) == list(ALL)
    assert len(ALL) == 16
    for name, metric in record["metrics"].items():
        assert metric["signature"], f"{name} without a signature"
        assert isinstance(metric["value"], float)
    values = {name: metric["value"] for name, metric in record["metrics"].items()}
    assert values["exact_match"] > 90, "percentages, not shares"
    assert 90 < values["token_accuracy"] <= 100
    assert 1 <= values["perplexity"] < 2
    low, high = record["metrics"]["exact_match"]["interval"]
    assert low <= values["exact_match"] <= high


def test_json_has_the_metrics_of_the_recipe_unless_told(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("eval", copy_run, "--json", "--no-intervals", "--split", "validation")
    record = json.loads(ended.out)
    assert record["split"] == "validation"
    assert list(record["metrics"]) == ["loss", "exact_match"]
    assert set(record["metrics"]["exact_match"]) == {"value", "signature"}


def test_files_and_hypotheses_against_sacrebleu(call: Callable[..., Any], copy_run: Path) -> None:
    sources, references = ["abcd", "", "dcba", "aabb"], ["abcd", "", "abcd", "aabd"]
    Path("in").write_text("".join(f"{line}\n" for line in sources))
    Path("ref").write_text("".join(f"{line}\n" for line in references))
    arguments = ("--source", "in", "--target", "ref", "--metrics", "bleu,chrf,ter,exact_match", "-o", "deep/out")
    ended = call("eval", copy_run, *arguments, "evaluation.bleu_tokenize=char", "--json", "--no-intervals")
    assert ended.code == 0
    hypotheses = Path("deep/out").read_text().split("\n")
    assert hypotheses == [*sources, ""], "the model copies"
    record = json.loads(ended.out)
    assert record["split"] == "in"
    assert record["metrics"]["exact_match"]["value"] == 50.0
    for name, metric in (("bleu", BLEU(tokenize="char")), ("chrf", CHRF()), ("ter", TER())):
        assert record["metrics"][name]["value"] == pytest.approx(metric.corpus_score(sources, [references]).score)
        assert record["metrics"][name]["signature"] == str(metric.get_signature())


def test_the_table(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("eval", copy_run, "--metrics", "bleu,exact_match", "--by-length")
    assert ended.code == 0
    assert "checkpoint average, 100 examples" in ended.err
    lines = ended.out.splitlines()
    assert lines[1].split() == ["metric", "value", "95", "%", "interval"]
    assert [line.split()[0] for line in lines[2:4]] == ["bleu", "exact_match"]
    signatures = [line for line in lines if "version:" in line]
    assert len(signatures) == 2
    assert signatures[0].startswith("bleu  nrefs:1|"), "whole, however narrow the terminal"
    assert lines[-2].split() == ["symbols", "examples", "bleu", "exact_match"]
    assert lines[-1].split()[:2] == ["0–5", "100"]


def test_long_sources_are_cut_and_told(call: Callable[..., Any], copy_run: Path) -> None:
    Path("in").write_text("ab\n" + "abcd" * 2000 + "\n")
    ended = call("eval", copy_run, "--source", "in", "--target", "in")
    assert ended.code == 0
    assert "a source is longer than 4,095 symbols and read only that far (in:2)" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--split", "dev"], 2, "train, validation and test"),
        (["--metrics", "blue"], 2, "blue"),
        (["--metrics", ""], 2, "there are loss"),
        (["--source", "two"], 2, "--target"),
        (["--source", "two", "--target", "three"], 3, "two has 2 lines, but three has 3"),
        (["--source", "nothere", "--target", "two"], 3, "nothere"),
        (["--source", "none", "--target", "none"], 3, "none: there is nothing to evaluate"),
        (["--metrics", "loss", "-o", "out"], 2, "no hypotheses"),
        (["-o", "two/out"], 74, "two/out"),
        (["data={kind: text, train: {source: a, target: b}}"], 2, "names no test split"),
        (["data.kind=reversed"], 2, "reverse"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(call: Callable[..., Any], copy_run: Path, arguments: list[str], code: int, said: str) -> None:
    for name, count in (("none", 0), ("two", 2), ("three", 3)):
        Path(name).write_text("a\n" * count)
    ended = call("eval", copy_run, *arguments)
    assert ended.code == code
    assert said in ended.err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("file", "code"),
    [("recipe.yaml", 2), ("source.json", 3), ("target.json", 3), ("checkpoints/average/model.safetensors", 1)],
)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_run_is_named(call: Callable[..., Any], copy_run: Path, file: str, code: int, damage: str) -> None:
    shutil.copytree(copy_run, "run")
    path = Path("run", file)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else path.stat().st_size // 2])
    ended = call("eval", "run")
    assert ended.code == code
    assert file in ended.err
    assert len(ended.err) < 400


def test_a_run_without_a_checkpoint_is_told(call: Callable[..., Any], copy_run: Path) -> None:
    shutil.copytree(copy_run, "run", ignore=shutil.ignore_patterns("checkpoints"))
    ended = call("eval", "run")
    assert ended.code == 1
    assert "run has no checkpoint 'auto'; there are: none yet" in ended.err
