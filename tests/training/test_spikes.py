"""Losses far above those before them: which they are, what is said of them, and going back to a checkpoint."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
import torch

from seqcli.experiment import Experiment, prepare
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.load import load_recipe
from seqcli.training import spikes, tally
from seqcli.training.checkpoint import Position
from seqcli.training.spikes import WINDOW, Spikes
from seqcli.training.step import Step
from seqcli.types import Batch, Progress

UNTIL_100 = [1.0 + number % 3 for number in range(WINDOW)]
"""A third each of 1, 2 and 3: the median is 2, the median deviation 1."""


def watch(losses: list[float], told: Spikes, position: Position) -> tuple[list[Progress], list[int]]:
    """The records of these losses, one a step, of two tokens each; and the count of each."""
    records, counts = [], []
    for loss in losses:
        sums = {"loss": 2 * loss, "tokens": 2.0}
        records += list(told.watch(position.step + 1, sums, position, lambda: None))
        counts.append(int(sums["spikes"]))
        position.step += 1
    return records, counts


@pytest.mark.parametrize(("loss", "spike"), [(11.9, False), (12.1, True), (-50.0, False), (math.inf, True)])
def test_so_many_deviations_above_the_median(loss: float, spike: bool) -> None:
    """2 + 10·1 = 12."""
    records, counts = watch([*UNTIL_100, loss], Spikes(10.0, None), Position())
    assert counts == [0] * WINDOW + [int(spike)]
    assert [(record.event, record.step, record.loss) for record in records] == [("spike", WINDOW + 1, loss)] * spike
    assert all(record.usual_loss == 2 for record in records)


def test_nothing_is_far_above_a_few() -> None:
    assert watch([*UNTIL_100[:-1], 100.0], Spikes(10.0, None), Position())[0] == []


def test_losses_that_are_all_one_leave_room_for_a_mistake() -> None:
    """Ten times 0.1 above nothing."""
    assert watch([0.0] * WINDOW + [0.9], Spikes(10.0, None), Position())[0] == []
    assert len(watch([0.0] * WINDOW + [1.1], Spikes(10.0, None), Position())[0]) == 1


def test_of_several_in_a_row_the_first_is_told_and_all_are_counted() -> None:
    records, counts = watch([*UNTIL_100, 19.0, 19.0, 2.0, 19.0], Spikes(10.0, None), Position())
    assert [record.step for record in records] == [101, 104]
    assert counts[WINDOW:] == [1, 1, 0, 1]


def test_a_step_that_was_skipped_is_not_looked_at() -> None:
    position = Position(losses=UNTIL_100, spikes_in_a_row=1)
    sums = {"skipped": 1.0}
    assert list(Spikes(10.0, 1).watch(1, sums, position, lambda: pytest.fail("gone back"))) == []
    assert (sums, position) == ({"skipped": 1.0}, Position(losses=UNTIL_100, spikes_in_a_row=1))


def test_the_window_moves() -> None:
    """Against the formula over the last hundred, on losses that fall and jump."""
    draw = random.Random(1)
    losses = [5 * 0.98**step + draw.random() * (8 if step % 37 == 0 else 1) for step in range(400)]
    position = Position()
    _, counts = watch(losses, Spikes(5.0, None), position)
    expected = []
    for place, loss in enumerate(losses):
        before = losses[place - WINDOW : place] if place >= WINDOW else []
        deviation = median(abs(one - median(before)) for one in before) if before else 0
        expected.append(int(bool(before) and loss > median(before) + 5 * deviation))
    assert counts == expected
    assert sum(counts) == 5
    assert position.losses == losses[-WINDOW:]


# Whole runs: the losses of some steps are multiplied, as if the data went wrong there.

STEPS = (
    "training={steps: 30, batch_tokens: 64, log_every: 10, validate_every: 100, checkpoint_every: 10, best_metric: loss}",
    "training.optimizer={kind: adamw, learning_rate: 1e-2}",
    "training.moving_average=0.9",
    "training.spikes={threshold: 10, rewind: 3}",
    "model.dropout=0.2",
    "evaluation.metrics=[loss]",
)
WRONG = range(22, 26)


@pytest.fixture
def train(tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Progress]]:
    """Trains in a folder, or goes on; to the end, or up to a step. The window is short, so that this is quick."""
    monkeypatch.setattr(spikes, "WINDOW", 15)
    recipe = load_recipe("copy", [*tiny, *STEPS])
    original = Seq2Seq.loss
    running: list[Experiment] = []

    def wrong(self: Seq2Seq, batch: Batch, **how: float) -> torch.Tensor:
        factor = 100.0 if self.training and running[-1].position.step + 1 in WRONG else 1.0
        return original(self, batch, **how) * factor

    monkeypatch.setattr(Seq2Seq, "loss", wrong)

    def run(folder: Path, until: int = 30) -> list[Progress]:
        running.append(prepare(recipe, folder))
        return list(running[-1].train(lambda: running[-1].position.step >= until))

    return run


def test_after_some_in_a_row_weights_go_back_and_data_goes_on(
    train: Callable[..., list[Progress]], tmp_path: Path
) -> None:
    records = train(tmp_path / "run")
    told = [(record.event, record.step, record.back_to) for record in records if record.event in ("spike", "rewind")]
    # the fourth wrong step is the first of a new row
    assert told == [("spike", 22, None), ("rewind", 24, 20), ("spike", 25, None)]
    counted = {record.step: record.spikes for record in records if record.event == "train" and record.spikes}
    assert counted == {30: 4}
    assert [record.step for record in records if record.event == "train"] == [10, 20, 30], "no step is done again"


def test_going_back_is_the_same_whatever_interrupts(train: Callable[..., list[Progress]], tmp_path: Path) -> None:
    """Interrupted before, among and after the spikes, so that another checkpoint is newer than the one to go back to."""
    train(tmp_path / "straight")
    for stops in ((21, 23), (22,), (24, 25, 27)):
        folder = tmp_path / str(stops)
        for stop in (*stops, 30):
            train(folder, stop)
        for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
            place = Path("checkpoints", "step-00000030", name)
            assert (folder / place).read_bytes() == (tmp_path / "straight" / place).read_bytes(), (stops, name)
        assert events(folder) == events(tmp_path / "straight")


def events(folder: Path) -> list[tuple[str, int]]:
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(record["event"], record["step"]) for record in records]


def test_nothing_to_go_back_to(tiny: tuple[str, ...], tmp_path: Path) -> None:
    experiment = prepare(load_recipe("copy", [*tiny, *STEPS]), tmp_path / "run")
    before = {name: tensor.clone() for name, tensor in experiment.model.state_dict().items()}
    assert experiment._rewind() is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in experiment.model.state_dict().items())


def test_steps_that_are_read_late_are_undone_by_one_rewind(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU many steps are read at once: those after a rewind were taken with the weights that it gave up."""
    losses = [*UNTIL_100, 19.0, 19.0, *[50.0] * 30]
    steps = [
        Step(number, (), 2.0, 2.0, 0.0, (), torch.tensor(1.0), torch.tensor([2 * loss]))
        for number, loss in enumerate(losses, start=1)
    ]
    monkeypatch.setattr(tally, "queued", lambda device: True)
    monkeypatch.setattr(tally, "MOST_UNREAD", len(steps))
    monkeypatch.setattr(
        tally, "read", lambda read: [{"loss": float(one.figures), "tokens": 2.0, "skipped": 0.0} for one in read]
    )
    position, rewinds = Position(), []
    told = tally.Tally(position, None, lambda group: "", Spikes(10.0, 2), lambda: rewinds.append(1) or 40)
    records = [record for step in steps for record in told.add(step)]
    assert [(record.event, record.step) for record in records] == [("spike", 101), ("rewind", 102)]
    assert len(rewinds) == 1
    # what is usual is what it was
    assert Spikes(10.0, 2).usual_and_limit(position.losses) == (2.0, 12.0)
