"""`seqcli sweep`: every combination is trained and scored once, whatever comes between, and what fails is told."""

from __future__ import annotations

import json
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.run_files import everything, records

SHORT = ("training.steps=8", "training.log_every=2", "training.validate_every=4", "training.checkpoint_every=2")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path, tiny: tuple[str, ...]) -> Path:
    """The tiny recipe as a file."""
    from seqcli.recipe.dump import dump_recipe
    from seqcli.recipe.load import load_recipe

    path = tmp_path / "tiny.yaml"
    path.write_text(dump_recipe(load_recipe("copy", [*tiny, *SHORT, "training.average=1"])))
    return path


def times(run: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file()}


def folders(sweep: str) -> list[str]:
    return sorted(path.name for path in Path(sweep).iterdir() if path.name != ".sweep")


def test_a_score_that_is_no_number_is_kept_and_compared(
    call: Callable[..., Any], recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`seqcli eval --json` says null for a loss that has gone to infinity."""

    def process(self: object, name: str, arguments: list[str], *_: object) -> str:
        if arguments[0] == "train":
            Path("runs/tiny-sweep", name, "checkpoints").mkdir(parents=True)
        return json.dumps({"metrics": {"loss": {"value": None if "dropout=0.1" in name else 1.5}}})

    monkeypatch.setattr("seqcli.sweep.Sweep._process", process)
    for _ in range(2):  # the second time from what is kept
        ended = call("sweep", recipe, "model.dropout=0.0,0.1", "seed=1,2", "--json")
        assert ended.code == 0
        found = [one["metrics"]["loss"] for one in json.loads(ended.out)["settings"]]
        assert [one["mean"] for one in found] == [1.5, None]
    assert call("sweep", recipe, "model.dropout=0.0,0.1", "seed=1,2", "--against", "best").code == 0


def test_a_plan_as_json(call: Callable[..., Any], recipe: Path) -> None:
    ended = call("sweep", recipe, "threads=1", "seed=1,2", "training.steps=8,0", "--dry-run", "--json")
    told = json.loads(ended.out)
    assert (told["recipe"], told["folder"]) == (str(recipe), "runs/tiny-sweep")
    assert [(one["settings"], one["seed"]) for one in told["runs"]] == [({"steps": "8"}, seed) for seed in (1, 2)]
    assert all(one["folder"] == f"runs/tiny-sweep/{one['run']}" for one in told["runs"])
    assert [one["exit_code"] for one in told["failed"]] == [2, 2]


@pytest.mark.timeout(900)  # processes that import torch
def test_all_combinations_a_table_and_nothing_twice(
    call: Callable[..., Any], recipe: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one that fails on its way (its device is not there), which is named while the others go on."""
    monkeypatch.setattr("sys.executable", str(python))
    devices = ("device=cpu,cuda:9", "seed=1,2", "--json")
    ended = call("sweep", recipe, *devices)
    assert folders("runs/tiny-sweep") == ["device=cpu,seed=1", "device=cpu,seed=2"]
    assert ended.code == 2, "what both that failed have ended with"
    assert ended.err.count("\nfailed: device=cuda-9,seed=") == 2
    assert "device cuda:9 is not there" in ended.err
    told = json.loads(ended.out)
    assert [one["settings"] for one in told["settings"]] == [{"device": "cpu"}, {"device": "cuda:9"}]
    assert [(one["run"], one["exit_code"]) for one in told["failed"]] == [
        ("device=cuda-9,seed=1", 2),
        ("device=cuda-9,seed=2", 2),
    ]
    found = told["settings"][0]
    scores = [run["loss"] for run in found["runs"].values()]
    assert found["metrics"]["loss"]["mean"] == pytest.approx(statistics.mean(scores))
    assert found["metrics"]["loss"]["sd"] == pytest.approx(statistics.stdev(scores))
    assert len(set(scores)) == 2, "two seeds"
    assert told["settings"][1] == {"settings": {"device": "cuda:9"}, "planned": 2, "runs": {}, "metrics": {}}

    # what is finished is not touched again, and a seed more is one run more
    before = times(Path("runs/tiny-sweep/device=cpu,seed=1"))
    again = call("sweep", recipe, "device=cpu", "seed=1,2", "--output", "runs/tiny-sweep")
    assert folders("runs/tiny-sweep") == ["device=cpu,seed=1", "device=cpu,seed=2", "seed=1", "seed=2"]
    assert again.code == 0
    assert "±" in again.out
    assert times(Path("runs/tiny-sweep/device=cpu,seed=1")) == before
    before = times(Path("runs/tiny-sweep/seed=1"))
    more = call("sweep", recipe, "device=cpu", "seed=1,2,3", "--output", "runs/tiny-sweep")
    assert more.code == 0
    assert "[3/3] seed=3: training" in more.err
    assert "seed=1: training" not in more.err
    assert times(Path("runs/tiny-sweep/seed=1")) == before

    other = call("sweep", recipe, "device=cpu", "seed=1,2,3", "model.dropout=0.4", "--output", "runs/tiny-sweep")
    assert other.code == 2
    assert "seed=1 holds a run of another recipe: model.dropout was 0.0 and is 0.4" in other.err
    assert times(Path("runs/tiny-sweep/seed=1")) == before


@pytest.mark.timeout(900)
@pytest.mark.real
def test_killed_and_interrupted_it_becomes_what_it_would_have_been(
    start: Callable[..., Any], pipe: Callable[..., Any], recipe: Path
) -> None:
    """Killed in the middle of the first run, stopped with Ctrl-C in the second, and gone on: as if each had been trained straight."""
    keys = ("training.steps=300", "training.log_every=1", "training.validate_every=100", "model.dropout=0.1")
    for seed in (1, 2):
        assert pipe("train", recipe, *keys, f"seed={seed}", f"run=straight/{seed}").code == 0
    command = ("sweep", recipe, *keys, "seed=1,2", "-o", "broken", "--json")
    process = start(*command)
    wait_for(process, "seed=1: step 37/")
    process.kill()
    process.communicate()
    assert not Path("broken/seed=2").exists()
    assert len(records(Path("broken/seed=1"))) < 300

    process = start(*command)
    wait_for(process, "seed=2: step 20/")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert b"stopped with 1 of 2 runs finished; the same command goes on" in err
    assert b"Traceback" not in err

    last = pipe(*command)
    assert last.code == 0, last.err
    assert "seed=1: training" not in last.err
    assert "going on with" in last.err
    assert [len(one["runs"]) for one in json.loads(last.out)["settings"]] == [2]
    for seed in (1, 2):
        straight, broken = Path(f"straight/{seed}"), Path(f"broken/seed={seed}")
        assert records(broken) == records(straight)
        assert len(records(straight)) == 300 + 3
        assert everything(broken) == everything(straight)


def wait_for(process: Any, text: str) -> None:
    """Read what the process says until it has said this."""
    for line in process.stderr:
        if text in line.decode():
            return
    pytest.fail(f"the sweep ended and has not said {text!r}")


@pytest.mark.timeout(900)
@pytest.mark.real
def test_side_by_side_and_a_lock(start: Callable[..., Any], call: Callable[..., Any], recipe: Path) -> None:
    """Two runs at once; a second sweep in the same folder is refused meanwhile."""
    from seqcli import sweep

    command = ("sweep", recipe, "training.steps=100000", "training.log_every=1", "seed=1,2", "--jobs", "2")
    process = start(*command)
    seen: set[str] = set()
    while len(seen) < 2:
        line = process.stderr.readline().decode()
        assert line, "it must not end"
        seen |= {name for name in ("seed=1", "seed=2") if f"{name}: step " in line}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "WAIT", 0.5)
        refused = call(*command)
    assert refused.code == 1
    assert "another sweep is at work in runs/tiny-sweep" in refused.err
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.communicate(timeout=100)
    assert process.returncode == 143
    assert time.monotonic() - began < 60
    for seed in (1, 2):
        assert list(Path(f"runs/tiny-sweep/seed={seed}/checkpoints").glob("step-*/manifest.json"))


def test_a_combination_that_is_no_recipe_is_left_out_and_told(call: Callable[..., Any], recipe: Path) -> None:
    ended = call("sweep", recipe, "model.dropout=0.1,2,0.2", "--dry-run")
    assert ended.out.splitlines() == ["runs/tiny-sweep/dropout=0.1", "runs/tiny-sweep/dropout=0.2"]
    assert "dropout=2 is no valid recipe and is left out" in ended.err
    assert ended.code == 0
    assert not Path("runs").exists(), "a dry run leaves nothing"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["training.steps=3"], "nothing to sweep"),
        (["model.dropout=2,3"], "less than 1"),
        (["modle.dropout=0.1,0.2"], "model"),
        (["seed=1,2", "run=x"], "--output"),
        (["seed=1,2", "--metrics", "blue"], "--metrics blue"),
        (["seed=1,2", "--against", "last"], "first and best"),
        (["seed=1,2", "--split", "train"], "validation and test"),
    ],
)
def test_mistakes(call: Callable[..., Any], recipe: Path, arguments: list[str], said: str) -> None:
    ended = call("sweep", recipe, *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert not Path("runs").exists()
