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

from seqcli.data.corpus import Corpus
from seqcli.recipe.section import MetricName
from seqcli.symbols import Example

POINTING = ("pointing", "pointing_game")  # of images alone
ALL = tuple(name for name in get_args(MetricName) if name not in POINTING)


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


def test_a_text_has_nowhere_to_point(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("eval", copy_run, "--metrics", ",".join(POINTING))
    assert ended.code == 3
    assert "pointing, pointing_game: the data tells of no symbol where in the image the thing is" in ended.err


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


@pytest.fixture
def in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five examples as the test split: groups, and more references than one; the model copies its source."""
    rows = [
        ("abcd", ("abcd", "abca"), "what"),
        ("aabb", ("bbaa", "AABB"), "where"),
        ("dcba", ("abcd", "abcb", "aaaa"), "what"),
        ("abab", (), "what"),
        ("bbcc", ("bbcc",), ""),
    ]
    examples = [
        Example(text, (references or ("abab",))[0], row, f"row {row}", references=references, group=group)
        for row, (text, references, group) in enumerate(rows)
    ]
    corpus = Corpus("five", lambda: iter(examples), lambda: "five")
    monkeypatch.setattr("seqcli.run.named_split", lambda *_: corpus)


@pytest.mark.usefixtures("in_groups")
def test_scores_by_group_and_several_references(call: Callable[..., Any], copy_run: Path) -> None:
    names = "exact_match,cer,bleu_1,cider,vqa_accuracy"
    ended = call("eval", copy_run, "--metrics", names, "--by-group", "--json", "--no-intervals")
    assert ended.code == 0
    record = json.loads(ended.out)
    # Right are rows 0, 3 and 4; row 1 would be only in lower case, which is the form that answers to questions are compared in: of two
    # people one gave that answer, so one of the two leave-one-out sets has it: (0 + 1/3) / 2 = 1/6; row 0 likewise.
    assert record["metrics"]["exact_match"]["value"] == pytest.approx(60.0)
    assert record["metrics"]["exact_match"]["signature"].startswith("nrefs:var|")
    assert record["metrics"]["vqa_accuracy"]["value"] == pytest.approx(100 * (1 / 6 + 1 / 6 + 0 + 1 + 1) / 5)
    assert [(each["group"], each["count"]) for each in record["groups"]] == [("what", 3), ("", 1), ("where", 1)]
    exact = {each["group"]: each["metrics"]["exact_match"]["value"] for each in record["groups"]}
    assert exact == {"what": pytest.approx(100 * 2 / 3), "": 100.0, "where": 0.0}
    # "dcba" is 4 edits from "abcd" (1 a letter), 3 from "aaaa": 3 of the 12 letters of its group
    assert record["groups"][0]["metrics"]["cer"]["value"] == pytest.approx(100 * 3 / 12)
    assert list(record["groups"][0]["metrics"]) == names.split(",")
    assert "|df:5|n:3|" in record["groups"][0]["metrics"]["cider"]["signature"]


@pytest.mark.usefixtures("in_groups")
def test_the_table_of_groups(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("eval", copy_run, "--metrics", "exact_match", "--by-group")
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()[-5:]]
    assert lines == [
        ["by", "group"],
        ["group", "examples", "exact_match"],
        ["what", "3", "66.67"],
        ["(none)", "1", "100.00"],
        ["where", "1", "0.00"],
    ]


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
        (["--by-group"], 3, "the data names no group"),
        (["--source", "two"], 2, "--target"),
        (["--source", "two", "--target", "three"], 3, "two has 2 lines, but three has 3"),
        (["--source", "nothere", "--target", "two"], 3, "nothere"),
        (["--source", "none", "--target", "none"], 3, "none: there is nothing to evaluate"),
        (["--metrics", "loss", "-o", "out"], 2, "no hypotheses"),
        (["-o", "two/out"], 74, "two/out"),
        (["-o", "-"], 2, "--output -: the scores go to stdout"),
        (["--source", "two", "--target", "two", "-o", "two"], 2, "two is read and written"),
        (["--align", "--gold", "two", "-o", "two"], 2, "two is read and written"),
        (["--gold-first", "1"], 2, "--gold and the options of alignments go with --align"),
        (["--align", "--gold-first", "1"], 2, "--gold-first goes with --gold"),
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
    assert Path("two").read_text() == "a\na\n"


def test_hypotheses_that_cannot_be_written_lose_no_scores(call: Callable[..., Any], copy_run: Path) -> None:
    Path("folder").mkdir()
    ended = call("eval", copy_run, "--json", "-o", "folder")
    assert ended.code == 74
    assert ended.err == "folder: cannot be written (Is a directory)\n"
    assert "exact_match" in json.loads(ended.out)["metrics"]


def test_where_nothing_can_be_written_nothing_is_searched_for(
    call: Callable[..., Any], copy_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcli.run.Run.evaluate", lambda *_, **__: pytest.fail("it has begun"))
    assert call("eval", copy_run, "--metrics", "loss", "-o", "out").code == 2
    assert call("eval", copy_run, "evaluation.metrics=[perplexity]", "-o", "out").code == 2


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
