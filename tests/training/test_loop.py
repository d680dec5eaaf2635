"""When the loop steps, validates, saves and stops, and what it records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from training import miniature
from training.miniature import FOR_EVER, PLAIN, SMALLEST, Run, load, no_validation, plan

from seqcli.errors import SeqcliError
from seqcli.models.seq2seq import Seq2Seq
from seqcli.training import loop
from seqcli.training.checkpoint import Position
from seqcli.training.loop import Clock, Hooks, Plateau, Rows, Sample
from seqcli.training.schedule import cosine, with_warmup
from seqcli.training.step import read
from seqcli.types import Batch, Progress

STILL = SMALLEST.model_copy(update={"dropout": 0.0})


def scripted(scores: Sequence[float], saved: list[tuple[str, int]] | None = None) -> Hooks:
    """Validation scores from a list, more is better; what is saved goes into `saved`."""
    waiting = iter(scores)

    def save(kind: str, position: Position) -> None:
        if saved is not None:
            saved.append((kind, position.step))

    return Hooks(
        validate=lambda: ({"bleu": next(waiting)}, (("source", "reference", "hypothesis"),)),
        watched=lambda scores: scores["bleu"],
        save=save,
        stop=lambda: False,
    )


def steps_of(records: list[Progress], event: str) -> list[int]:
    return [record.step for record in records if record.event == event]


def test_a_limit_of_steps() -> None:
    run = Run(SMALLEST, seed=1)
    records = run.train(replace(FOR_EVER, steps=7), no_validation())
    assert (run.position.step, run.position.epoch, run.position.batch) == (7, 1, 2)
    assert [(record.event, record.step) for record in records] == [("train", 7), ("checkpoint", 7)]


def test_a_limit_of_epochs_and_every_batch_once_in_its_order() -> None:
    read: list[list[int]] = []
    asked: list[int] = []

    def watched_plan(epoch: int) -> list[Rows]:
        asked.append(epoch)
        return plan(epoch)

    with pytest.MonkeyPatch.context() as patch:
        original = loop.train_step

        def spy(model, optimizer, rate, group, *rest):  # type: ignore[no-untyped-def]
            read.append([int(row) for one in group for row in one.index])
            return original(model, optimizer, rate, group, *rest)

        patch.setattr(loop, "train_step", spy)
        run = Run(SMALLEST, seed=1)
        run.train(replace(FOR_EVER, epochs=2), no_validation(), replace(PLAIN, accumulation=3), planned=watched_plan)
    assert asked == [0, 1]
    assert (run.position.step, run.position.epoch, run.position.batch) == (4, 2, 0)
    # groups of three batches, and what is left of an epoch is a group of its own
    planned = [
        [int(row) for rows in plan(epoch)[part] for row in rows] for epoch in (0, 1) for part in (slice(3), slice(3, 5))
    ]
    assert read == planned
    assert sorted(read[0] + read[1]) == list(range(10))


def test_validation_every_so_many_steps_and_at_the_end() -> None:
    limits = replace(FOR_EVER, steps=5, validate_every=2)
    records = Run(SMALLEST, seed=1).train(limits, scripted([1, 2, 3]))
    assert steps_of(records, "validation") == [2, 4, 5]


def test_validation_once_an_epoch_and_at_the_end() -> None:
    records = Run(SMALLEST, seed=1).train(replace(FOR_EVER, steps=12), scripted([1, 2, 3]))
    assert steps_of(records, "validation") == [5, 10, 12]
    last = records[-2]
    assert last.scores == {"bleu": 3}
    assert last.samples == (("source", "reference", "hypothesis"),)


def test_an_end_that_is_due_anyway_is_validated_once() -> None:
    records = Run(SMALLEST, seed=1).train(replace(FOR_EVER, steps=10, validate_every=5), scripted([1, 2]))
    assert steps_of(records, "validation") == [5, 10]


def test_checkpoints_and_the_best() -> None:
    saved: list[tuple[str, int]] = []
    limits = replace(FOR_EVER, steps=7, validate_every=2, checkpoint_every=3)
    records = Run(SMALLEST, seed=1).train(limits, scripted([1.0, 3.0, 2.0, 3.0], saved))
    # scores at 2, 4, 6, 7; as good as the best is not better
    assert saved == [("best", 2), ("step", 3), ("best", 4), ("step", 6), ("step", 7)]
    assert steps_of(records, "checkpoint") == [3, 6, 7]


def test_early_stopping() -> None:
    saved: list[tuple[str, int]] = []
    limits = replace(FOR_EVER, steps=100, validate_every=1, patience=2)
    run = Run(SMALLEST, seed=1)
    run.train(limits, scripted([1, 2, 1, 3, 2, 3, 99], saved))
    # best at 4; 5 and 6 are no better
    assert run.position.step == 6
    assert run.position.best == 3
    assert saved[-1] == ("step", 6)


def test_plateau_lowers_the_learning_rate() -> None:
    limits = replace(FOR_EVER, steps=8, validate_every=1, log_every=1)
    run = Run(SMALLEST, seed=1)
    records = run.train(limits, scripted([5, 4, 3, 2, 6, 5, 5, 5]), plateau=Plateau(factor=0.5, patience=1))
    rates = {record.step: record.learning_rate for record in records if record.event == "train"}
    plain = Run(SMALLEST, seed=1).train(replace(limits, validate_every=None), no_validation())
    usual = {record.step: record.learning_rate for record in plain if record.event == "train"}
    factors = [rates[step] / usual[step] for step in range(1, 9)]  # type: ignore[operator]
    # one worse is let pass, after the second (step 3) it falls; step 4 starts counting anew; 6 and 7 are worse again
    assert factors == pytest.approx([1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25])
    assert run.position.factor == 0.25


def test_stop_ends_after_the_step_with_a_checkpoint() -> None:
    saved: list[tuple[str, int]] = []
    run = Run(SMALLEST, seed=1)
    hooks = replace(scripted([], saved), validate=None, stop=lambda: run.position.step == 3)
    records = run.train(replace(FOR_EVER, steps=100), hooks)
    assert saved == [("step", 3)]
    assert records == [Progress("checkpoint", 3, 0)]


def test_a_record_tells_averages_since_the_last_one() -> None:
    """With a learning rate of nothing the model stands still, so its loss can be worked out beside the loop."""
    run = Run(STILL, seed=1)
    limits = replace(FOR_EVER, steps=5, log_every=3)
    first, second, _ = run.train(limits, no_validation(), learning_rate=0.0)
    batches = [load(rows) for rows in plan(0)]
    for record, seen in ((first, batches[:3]), (second, batches[3:])):
        tokens = sum(one.target_tokens for one in seen)
        loss = sum(float(run.model.loss(one).detach()) for one in seen)
        cells = sum(one.source.numel() + one.labels.numel() for one in seen)
        real = sum(int(one.source_mask.sum()) + one.target_tokens for one in seen)
        assert record.loss == pytest.approx(loss / tokens)
        assert record.padding == pytest.approx(1 - real / cells)
        assert record.grad_norm is not None
        assert record.grad_norm > 0
    assert (first.step, second.step) == (3, 5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_accumulating_is_one_big_batch(smoothing: float) -> None:
    """In float64, five batches of unlike lengths at a time against one of all sentences."""
    grown = []
    for rows in (plan(0), [np.concatenate(plan(0))]):
        run = Run(STILL, seed=1)
        run.model.double()
        group = [load(part) for part in rows]
        captured = []
        step = _Captured(run.model, captured)
        loop.train_step(run.model, step, 1.0, group, replace(PLAIN, label_smoothing=smoothing))
        grown.append(captured)
    assert len(grown[0]) == len(list(run.model.parameters()))
    for left, right in zip(*grown, strict=True):
        torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("rows", [2, 3])
def test_r_drop_over_accumulated_batches_or_pieces_is_one_big_batch(rows: int) -> None:
    """In float64; the recorded loss is the plain cross-entropy, and without dropout two passes are the same one twice."""
    together = np.concatenate(plan(0))
    captured: dict[str, list[torch.Tensor]] = {}
    for how, groups in {
        "accumulated": plan(0),
        "pieces": [part.index.numpy() for part in load(together).pieces(rows)],
        "at once": [together],
        "without": [together],
    }.items():
        run = Run(STILL, seed=1)
        run.model.double()
        objective = replace(PLAIN, label_smoothing=0.1, r_drop=None if how == "without" else 5.0)
        step = _Captured(run.model, captured.setdefault(how, []))
        taken = loop.train_step(run.model, step, 1.0, [load(part) for part in groups], objective)
        captured[how].append(torch.tensor(read([taken])[0]["loss"]))
    captured["without"] = [2 * part for part in captured["without"][:-1]] + captured["without"][-1:]
    for how in ("accumulated", "pieces", "without"):
        for left, right in zip(captured[how], captured["at once"], strict=True):
            torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-9, msg=how)


def test_r_drop_tells_two_passes_apart() -> None:
    """With dropout the two halves of the doubled batch differ, and what is minimised is more than twice the loss."""
    run = Run(SMALLEST.model_copy(update={"dropout": 0.5}), seed=1)
    objective, entropy = run.model.r_drop_loss(load(plan(0)[0]), 5.0, teacher_forcing=0.5)
    assert float(objective.detach()) > 2.01 * float(entropy)


class _Captured:
    """An optimizer that only looks at the gradients."""

    def __init__(self, model: nn.Module, captured: list[torch.Tensor]) -> None:
        self.model, self.captured = model, captured

    def step(self, learning_rate: float) -> None:
        self.captured += [parameter.grad.clone() for parameter in self.model.parameters() if parameter.grad is not None]

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        pass


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_never_a_number_ends_the_run_and_leaves_the_weights(poison: float) -> None:
    run = Run(STILL, seed=1)
    run.model.output.bias.data[7] = poison
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    described: list[list[int]] = []

    def describe(group: Sequence[Batch]) -> str:
        described.append([int(row) for batch in group for row in batch.index])
        return "these lines"

    with pytest.raises(SeqcliError, match=r"5 steps in a row, the last at step 5 with these lines; .*learning_rate"):
        run.train(replace(FOR_EVER, steps=9), replace(no_validation(), describe=describe))
    assert described == [[int(row) for row in plan(0)[4]]]
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor.nan_to_num(), before[name].nan_to_num()), name


def test_a_step_that_is_no_number_is_skipped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps 2 and 4: weights, optimizer and averages are those of a run without them."""
    original = Seq2Seq.loss
    calls: list[int] = []

    def poisoned(self: Seq2Seq, batch: Batch, **how: float) -> torch.Tensor:
        calls.append(1)
        return original(self, batch, **how) * (math.nan if len(calls) in (2, 4) else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(Seq2Seq, "loss", poisoned)
        run = Run(STILL, seed=1)
        records = run.train(replace(FOR_EVER, steps=5), no_validation())
    assert run.position.skipped_in_a_row == 0
    assert records[0].skipped == 2
    assert records[0].loss is not None
    assert math.isfinite(records[0].loss)
    spared = Run(STILL, seed=1)
    for place in (0, 2, 4):
        rate = 0.01 * with_warmup(3, cosine(20, 0.1))(place + 1)
        loop.train_step(spared.model, spared.optimizer, rate, [load(plan(0)[place])], PLAIN)
    for name, tensor in {**spared.model.state_dict(), **spared.optimizer.state()}.items():
        assert torch.equal(tensor, {**run.model.state_dict(), **run.optimizer.state()}[name]), name


class Narrow:
    """Memory for batches of so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.original = Seq2Seq.loss
        self.refused = 0

    def loss(self, model: Seq2Seq, batch: Batch, **how: float) -> torch.Tensor:
        if len(batch.index) > self.rows:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.original(model, batch, **how)


def test_what_does_not_fit_into_memory_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    straight = Run(STILL, seed=1)
    expected = straight.train(replace(FOR_EVER, steps=5, log_every=1), no_validation())
    memory = Narrow(rows=1)
    monkeypatch.setattr(Seq2Seq, "loss", lambda self, batch, **how: memory.loss(self, batch, **how))
    run = Run(STILL, seed=1)
    records = run.train(replace(FOR_EVER, steps=5, log_every=1), no_validation())
    assert [(one.event, one.step, one.pieces) for one in records if one.event == "memory"] == [("memory", 0, 2)]
    assert memory.refused == 1, "what was learnt about memory is remembered"
    for ours, theirs in zip([one for one in records if one.event == "train"], expected, strict=False):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-6)
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-5)
    monkeypatch.undo()
    for name, tensor in run.model.state_dict().items():
        torch.testing.assert_close(tensor, straight.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_memory_for_not_even_one_row_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Narrow(rows=0)
    monkeypatch.setattr(Seq2Seq, "loss", lambda self, batch, **how: memory.loss(self, batch, **how))
    with pytest.raises(torch.OutOfMemoryError):
        Run(STILL, seed=1).train(replace(FOR_EVER, steps=5), no_validation())
    assert memory.refused == 2


def test_other_errors_are_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Seq2Seq, batch: Batch, **how: float) -> torch.Tensor:
        raise RuntimeError("something else")

    monkeypatch.setattr(Seq2Seq, "loss", broken)
    with pytest.raises(RuntimeError, match="something else"):
        Run(STILL, seed=1).train(replace(FOR_EVER, steps=5), no_validation())


def test_a_speed_is_of_what_the_clock_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record after an interruption tells the loss of all steps since the last one, but the speed of those after it."""
    monkeypatch.setattr(Clock, "lap", lambda clock: 1.0)
    monkeypatch.setattr(miniature, "MEASURED_ANEW", ())
    run = Run(SMALLEST, seed=1)
    stopping = replace(no_validation(), stop=lambda: run.position.step == 2)
    limits = replace(FOR_EVER, steps=10, log_every=5)
    assert [record.event for record in run.train(limits, stopping)] == ["checkpoint"]
    records = [record for record in run.train(limits, no_validation()) if record.event == "train"]
    tokens = [sum(load(rows).target_tokens for rows in planned) for planned in (plan(0)[2:], plan(1))]
    assert [record.tokens_per_second for record in records] == tokens


def test_a_checkpoint_that_is_asked_for() -> None:
    saved: list[tuple[str, int]] = []
    run = Run(SMALLEST, seed=1)
    hooks = replace(scripted([], saved), validate=None, save_now=lambda: run.position.step == 2)
    run.train(replace(FOR_EVER, steps=4), hooks)
    assert saved == [("step", 2), ("step", 4)]


def test_the_clock_does_not_run_while_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 10.0, 17.0, 20.0, 26.0])
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(times))
    clock = Clock()
    with clock.paused():  # from 10 to 17
        pass
    assert clock.lap() == 13.0
    assert clock.lap() == 6.0


def test_training_mode_comes_back_after_validation() -> None:
    modes: list[bool] = []
    run = Run(SMALLEST, seed=1)

    def validate() -> tuple[dict[str, float], tuple[Sample, ...]]:
        modes.append(run.model.training)
        return {}, (("", "", ""),)

    def look() -> bool:
        modes.append(run.model.training)
        return False

    hooks = Hooks(validate=validate, watched=lambda scores: 0.0, save=lambda kind, position: None, stop=look)
    run.train(replace(FOR_EVER, steps=3, validate_every=2), hooks)
    # a look after step 1; validation and a look at 2; a look at 3, validated first because it is the last
    assert modes == [True, False, False, False, False]
