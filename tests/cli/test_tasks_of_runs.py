"""A run that has learnt to copy and to reverse, told which by a tag: every command that takes sources says the task."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqcli
from seqcli.errors import DataError, RecipeError
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.verification import verify_resume

Call = Callable[..., Any]
MADE = "alphabet: 4, longest: 4, examples: 300"
TASKS = (
    f"data={{kind: tasks, temperature: 2, tasks: {{copy: {{kind: copy, {MADE}}}, turn: {{kind: reverse, {MADE}}}}}}}"
)
FAST = (
    "training.steps=180",
    "training.validate_every=180",
    "training.checkpoint_every=180",
    "training.batch_sentences=60",
)
WORDS = ["abcd", "dab", "ca", "bbcd"]
THERE = "there are copy, turn"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, own_cache: None, tiny: tuple[str, ...]) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tasks"
    made = (*tiny, TASKS, *FAST)
    list(prepare(load_recipe("copy", made), folder).train())
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_text("".join(f"{word}\n" for word in WORDS))
    (tmp_path / "turned").write_text("".join(f"{word[::-1]}\n" for word in WORDS))
    return tmp_path / "source"


def test_one_source_and_two_tasks(call: Call, run: Path, source: Path) -> None:
    for task, expected in (("copy", WORDS), ("turn", [word[::-1] for word in WORDS])):
        ended = call("translate", run, "-i", source, "--task", task)
        assert (ended.code, ended.out.split()) == (0, expected)
        assert seqcli.load(run).translate(WORDS, task=task) == expected


def test_a_line_of_json_says_its_own_task(call: Call, run: Path, tmp_path: Path) -> None:
    lines = [{"source": "abcd", "task": "turn"}, {"source": "abcd", "task": None}, {"source": "abcd", "id": 3}]
    (tmp_path / "in").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "\n")
    ended = call("translate", run, "-i", tmp_path / "in", "--json", "--task", "copy")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [one["translation"] for one in found] == ["dcba", "abcd", "abcd", ""]
    assert found[0]["task"] == "turn"
    assert "task" not in found[2]


@pytest.mark.parametrize(
    ("line", "options", "told"),
    [
        ("abcd", [], f"line 1: it is not said which task this is (--task, or the field task of a line of JSON); {THERE}"),
        ("abcd", ["--task", "sort"], f"--task: there is no task 'sort'; {THERE}"),
        ("", ["--task", "sort"], f"--task: there is no task 'sort'; {THERE}"),
        ('{"source": "a", "task": "sort"}', ["--json", "--task", "copy"], f"line 1: there is no task 'sort'; {THERE}"),
        ('{"source": "a"}', ["--json"], f"line 1: it is not said which task this is (--task, or the field task of a line of JSON); {THERE}"),
    ],
)  # fmt: skip
def test_a_line_without_a_task_is_refused(
    call: Call, run: Path, tmp_path: Path, line: str, options: list[str], told: str
) -> None:
    (tmp_path / "in").write_text(f"{line}\n")
    ended = call("translate", run, "-i", tmp_path / "in", *options)
    assert (ended.code, ended.out, ended.err) == (3, "", f"{told}\n")


def test_a_run_without_tasks_has_none(call: Call, copy_run: Path, source: Path, tmp_path: Path) -> None:
    ended = call("translate", copy_run, "-i", source, "--task", "copy")
    assert (ended.code, ended.err) == (3, "--task: there is no task 'copy'; this run has no tasks\n")
    # there a field of that name is anybody's
    (tmp_path / "in").write_text('{"source": "abcd", "task": 7}\n')
    ended = call("translate", copy_run, "-i", tmp_path / "in", "--json")
    assert json.loads(ended.out)["translation"] == "abcd"


def test_scores_are_of_a_task(call: Call, run: Path, source: Path, tmp_path: Path) -> None:
    right, wrong = (call("score", run, source, tmp_path / "turned", "--task", task) for task in ("turn", "copy"))
    for better, worse in zip(right.out.split(), wrong.out.split(), strict=True):
        assert float(better) > float(worse) + 1
    (tmp_path / "in").write_text('{"source": "abcd", "target": "dcba", "task": "turn"}\n')
    ended = call("score", run, "-i", tmp_path / "in", "--json")
    assert json.loads(ended.out)["log_prob"] == pytest.approx(float(right.out.split()[0]), abs=1e-5)


def test_eval_tells_the_tasks_apart(call: Call, run: Path, source: Path, tmp_path: Path) -> None:
    ended = call("eval", run, "--by-group", "--metrics", "exact_match", "--json", "--no-intervals")
    record = json.loads(ended.out)
    groups = {one["group"]: one["metrics"]["exact_match"]["value"] for one in record["groups"]}
    assert set(groups) == {"copy", "turn"}
    assert min(groups.values()) > 90
    files = ["--source", source, "--target", tmp_path / "turned", "--metrics", "exact_match", "--json"]
    scores = [json.loads(call("eval", run, *files, "--task", task).out)["metrics"] for task in ("turn", "copy")]
    assert [one["exact_match"]["value"] for one in scores] == [100, 0]
    assert call("eval", run, *files).err.endswith(f"{THERE}\n")
    assert call("eval", run, "--task", "turn").err.startswith("--task goes with --source; of a split every task is ")


def test_what_is_looked_at(call: Call, run: Path) -> None:
    text = ["--text", "abcd", "--json"]
    for command in (["explain"], ["visualize", "attention"]):
        (found,) = json.loads(call(*command, run, *text, "--task", "turn").out)
        assert "dcba" in json.dumps(found).replace('", "', "") or found["hypotheses"][0]["text"] == "dcba"
        assert call(*command, run, *text).err.endswith(f"{THERE}\n")
    # attention says what it looked at: the tag is a symbol of the source
    assert found["source"][:2] == ["<turn>", "a"]


def test_the_dry_run_counts_tasks(call: Call, tiny: tuple[str, ...], tmp_path: Path) -> None:
    smaller = [*tiny, TASKS, "data.tasks.turn.examples=75", f"run={tmp_path}/run"]
    record = json.loads(call("train", "copy", *smaller, "--dry-run", "--json").out)
    # (300 / 75) ** (1 - 1/2)
    assert record["tasks"] == {
        "copy": {"examples": 300, "times_an_epoch": 1},
        "turn": {"examples": 75, "times_an_epoch": 2},
    }
    printed = call("train", "copy", *smaller, "--dry-run").out
    assert ["turn", "75", "2.00"] in [line.split() for line in printed.splitlines()]


def test_a_run_of_tasks_resumes_exactly() -> None:
    quick = (
        TASKS,
        "data.tasks.turn.examples=70",
        "training={epochs: 3, batch_tokens: 512}",
        "model={encoder: {kind: gru, hidden_size: 8}, decoder: {kind: gru, hidden_size: 8}, dropout: 0.3}",
        "evaluation.metrics=[loss]",
        "threads=1",
    )
    assert verify_resume(load_recipe("copy", quick), 5) == []


def test_a_task_without_a_symbol_is_refused(run: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    """A fine-tuned run has the symbols of the run that it starts from."""
    known = f"data={{kind: tasks, tasks: {{turn: {{kind: reverse, {MADE}}}}}}}"
    assert prepare(load_recipe("copy", [*tiny, known, f"training.start_from={run}"]), tmp_path / "a").data
    other = known.replace("turn:", "sort:")
    with pytest.raises(DataError, match=r"data\.tasks\.sort: .*tasks has learnt no task of this name"):
        prepare(load_recipe("copy", [*tiny, other, f"training.start_from={run}"]), tmp_path / "b")


def test_other_tasks_are_another_run(run: Path, tiny: tuple[str, ...]) -> None:
    same = [*tiny, TASKS, *FAST]
    for change in ("data.temperature=3", "data.tasks.turn.examples=200"):
        with pytest.raises(RecipeError, match=f"holds a run of another recipe: {change.partition('=')[0]} was "):
            prepare(load_recipe("copy", [*same, change]), run)


def test_an_ensemble_has_the_same_tasks(run: Path, tmp_path: Path) -> None:
    assert len(seqcli.load(run, ensemble=[run]).translate(["abcd"], task="turn")) == 1
    other = shutil.copytree(run, tmp_path / "other")
    recipe = (other / "recipe.yaml").read_text(encoding="utf-8")
    (other / "recipe.yaml").write_text(recipe.replace("    turn:\n", "    sort:\n"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"has other tasks than .* \(copy, sort and copy, turn\)"):
        seqcli.load(run, ensemble=[other])
