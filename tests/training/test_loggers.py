"""Where records go beside metrics.jsonl: each once, whatever happens to the run, and never at the run's expense."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from seqcli.build.loggers import refuse_missing_packages
from seqcli.errors import RecipeError
from seqcli.experiment import Experiment, prepare
from seqcli.recipe.load import load_recipe
from seqcli.recipe.loggers import Loggers as Section
from seqcli.recipe.loggers import Tracked
from seqcli.training.loggers import Loggers, figures
from seqcli.types import Progress
from seqcli.verification import verify_resume

TRAIN = Progress("train", 50, 1, loss=2.5, learning_rate=1e-3, grad_norm=0.5, tokens_per_second=9.0, padding=0.1)
VALIDATION = Progress("validation", 50, 1, scores={"loss": 2.0, "bleu": 30.0}, samples=(("a", "b", "c"),))


class Notebook:
    """A logger that keeps what it gets, and fails at what it is told to fail at."""

    def __init__(self, takes_back: bool = False, failing: str = "") -> None:
        self.place = "here"
        self.takes_back = takes_back
        self.failing = failing
        self.got: list[tuple[int, str]] = []
        self.ended: list[bool] = []

    def open(self, run_id: str) -> Notebook:
        self.run_id = run_id
        return self._unless("open") or self

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._unless("log")
        self.got += [(step, name) for name in figures]

    def close(self, failed: bool) -> None:
        self._unless("close")
        self.ended.append(failed)

    def _unless(self, what: str) -> None:
        if self.failing == what:
            raise OSError(28, "No space left on device\nand more")


def log(folder: Path, said: list[str], records: list[Progress], **notebooks: Notebook) -> None:
    makers = {name: notebook.open for name, notebook in notebooks.items()}
    with Loggers(makers, folder / "sent.jsonl", lambda message: None, said.append) as loggers:
        for record in records:
            loggers.log(record)


def test_the_names_of_the_figures() -> None:
    assert figures(TRAIN) == {
        "train/epoch": 1,
        "train/loss": 2.5,
        "train/learning_rate": 1e-3,
        "train/grad_norm": 0.5,
        "train/tokens_per_second": 9.0,
        "train/padding": 0.1,
    }
    assert figures(VALIDATION) == {"validation/epoch": 1, "validation/loss": 2.0, "validation/bleu": 30.0}
    by_part = Progress("train", 50, 1, gradient_norms={"encoder.layers.0": 0.25})
    assert figures(by_part) == {"train/epoch": 1, "train/gradient_norms/encoder.layers.0": 0.25}


@pytest.mark.parametrize("failing", ["open", "log", "close"])
def test_one_that_fails_is_warned_of_once_and_the_others_go_on(failing: str, tmp_path: Path) -> None:
    said: list[str] = []
    bad, good = Notebook(failing=failing), Notebook()
    log(tmp_path, said, [TRAIN, VALIDATION], bad=bad, good=good)
    assert len(said) == 1
    consequence = {"open": "does not log this run", "log": "gets no more records after step 50"}
    assert said[0].startswith(f"bad {consequence.get(failing, 'may lack the last records')} ([Errno 28] No space")
    assert "and more" not in said[0]
    assert len(good.got) == 9
    assert good.ended == [False]
    assert bad.ended == ([False] if failing == "log" else [])


def test_an_error_in_training_is_told_to_the_loggers_and_goes_on_its_way(tmp_path: Path) -> None:
    notebook = Notebook()
    with (
        pytest.raises(ZeroDivisionError),
        Loggers({"notebook": notebook.open}, tmp_path / "sent.jsonl", print, print),
    ):
        raise ZeroDivisionError
    assert notebook.ended == [True]


def test_nothing_is_sent_twice_to_those_who_take_nothing_back(tmp_path: Path) -> None:
    """Cut off after step 4, going on from 2, cut off again after 3, going on from 2; both know the run by one name."""
    keeping, forgetting = Notebook(), Notebook(takes_back=True)
    ids = set()
    for steps in (range(1, 5), range(3, 4), range(3, 6)):
        records = [Progress("train", step, 0, loss=1.0) for step in steps]
        log(tmp_path, [], records, keeping=keeping, forgetting=forgetting)
        ids.add((keeping.run_id, forgetting.run_id))
    assert len(ids) == 1
    assert [step for step, name in keeping.got if name == "train/loss"] == [1, 2, 3, 4, 5]
    assert [step for step, name in forgetting.got if name == "train/loss"] == [1, 2, 3, 4, 3, 3, 4, 5]


def test_cut_off_between_two_records_of_a_step_and_in_the_middle_of_a_line(tmp_path: Path) -> None:
    notebook = Notebook()
    log(tmp_path, [], [TRAIN], notebook=notebook)
    with (tmp_path / "sent.jsonl").open("a") as file:
        file.write('{"to": "notebook", "st')
    log(tmp_path, [], [TRAIN, VALIDATION], notebook=notebook)
    assert [name for _, name in notebook.got if name.endswith("/loss")] == ["train/loss", "validation/loss"]
    assert len((tmp_path / "sent.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_missing_package_is_told_before_data_are_read(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    data = f"data={{kind: files, train: {tmp_path}/nothere.tsv, columns: {{source: 0, target: 1}}}}"
    value = "true" if name == "tensorboard" else "{}"
    with pytest.raises(RecipeError) as raised:
        prepare(load_recipe("copy", [data, f"loggers.{name}={value}"]), tmp_path / "run")
    message = f"loggers.{name} needs {name}, which is not installed; in the folder of seqcli: pip install '.[{name}]'"
    assert (str(raised.value), raised.value.exit_code) == (message, 2)


def test_a_folder_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Weights & Biases leaves one of its name where it was called."""
    if find_spec("wandb") is not None:
        pytest.skip("the package is installed")
    (tmp_path / "wandb").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_spec("wandb") is not None
    with pytest.raises(RecipeError, match=r"pip install '\.\[wandb\]'"):
        refuse_missing_packages(Section(wandb=Tracked()))


def test_trying_out_an_interruption_logs_nothing(tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert verify_resume(load_recipe("copy", [*tiny, "loggers.wandb={}"]), 1) == []


# Each of the real ones: what it has stored of a run, as (step, name), in its order.

Stored = list[tuple[int, str]]


def in_tensorboard(run: Path) -> Stored:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return [(event.step, tag) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]


def in_wandb(run: Path) -> Stored:
    from wandb.proto.wandb_internal_pb2 import Record

    stored, ids = [], set()
    for file in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        for content in leveldb_records(file.read_bytes()[7:], start=7):
            record = Record()
            record.ParseFromString(content)
            if record.HasField("run"):
                ids.add(record.run.run_id)
            names = ["/".join(item.nested_key) or item.key for item in record.history.item]
            stored += [(record.history.step.num, name) for name in names if "/" in name]
    assert len(ids) == 1
    return stored


def leveldb_records(content: bytes, start: int) -> Iterator[bytes]:
    """The records of a LevelDB log whose first block begins `start` bytes before: checksum, length, and whole (1) or part."""
    place, record = 0, b""
    while place + 7 <= len(content):
        room = 32768 - (place + start) % 32768
        if room < 7:
            place += room
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def in_trackio(run: Path) -> Stored:
    from trackio.utils import TRACKIO_DIR

    known_as = f"{run.name}-{json.loads((run / 'sent.jsonl').read_text().splitlines()[0])['id']}"
    with sqlite3.connect(TRACKIO_DIR / "mine.db") as database:
        rows = database.execute("SELECT step, metrics FROM metrics WHERE run_name = ?", [known_as]).fetchall()
    return [(step, name) for step, metrics in rows for name in json.loads(metrics)]


STORED = {"tensorboard": in_tensorboard, "wandb": in_wandb, "trackio": in_trackio}
ON = {"tensorboard": "loggers.tensorboard=true", "wandb": "loggers.wandb={}", "trackio": "loggers.trackio.project=mine"}


@pytest.fixture(params=list(STORED))
def logger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of one whose package is installed; offline, and with a home of its own."""
    name: str = request.param
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip(name)
    return name


def stop_at(experiment: Experiment, step: int) -> Callable[[], bool]:
    return lambda: experiment.position.step >= step


def test_every_figure_once_though_the_run_was_cut_off(
    logger: str, tiny: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped at step 7, the last checkpoint lost, so that steps 5 to 7 are done twice."""
    steps = ("training.steps=9", "training.log_every=1", "training.validate_every=3", "training.checkpoint_every=4")
    recipe = load_recipe("copy", [*tiny, *steps, ON[logger]])
    run, said = tmp_path / "run", []
    stopped = prepare(recipe, run)
    list(stopped.train(stop_at(stopped, 7), note=said.append, warn=pytest.fail))
    shutil.rmtree(run / "checkpoints" / "step-00000007")
    again = prepare(recipe, run)
    assert again.position.step == 4
    list(again.train(note=said.append, warn=pytest.fail))
    list(prepare(recipe, run).train(note=said.append, warn=pytest.fail))
    assert [message.split(":")[0] for message in said] == [logger, logger], "what is done already opens nothing"
    assert capsys.readouterr().out == ""

    records = [Progress(**json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]
    expected = [(record.step, name) for record in records for name in figures(record)]
    assert len(expected) > 60
    assert sorted(STORED[logger](run)) == sorted(expected)


def test_only_the_leader_of_a_team_logs(logger: str, tiny: tuple[str, ...], tmp_path: Path) -> None:
    follower = prepare(load_recipe("copy", [*tiny, "training.steps=2", ON[logger]]), tmp_path / "run")
    follower.team.rank = 1
    assert list(follower.train(note=pytest.fail, warn=pytest.fail))
    assert not list(tmp_path.rglob("*"))


def test_loggers_may_change_when_a_run_goes_on(logger: str, tiny: tuple[str, ...], tmp_path: Path) -> None:
    for steps, more in ((2, []), (4, [ON[logger]])):
        overrides = ["training.schedule={kind: constant}", f"training.steps={steps}", "training.log_every=1"]
        list(prepare(load_recipe("copy", [*tiny, *overrides, *more]), tmp_path / "run").train())
    stored = STORED[logger](tmp_path / "run")
    assert [step for step, name in stored if name == "train/loss"] == [3, 4]
