"""Stopped and resumed ≡ never stopped, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from models.zoo import ENCODER_KINDS, pairs
from training.miniature import FOR_EVER, PLAIN, Run, load, no_validation

from seqcli.recipe.model import Model
from seqcli.training.checkpoint import step_folders
from seqcli.training.loop import Hooks, Plateau, Sample
from seqcli.training.step import Objective
from seqcli.types import Progress

# five batches in groups of two make steps of 2, 2 and 1 batches: an epoch ends every third step
LIMITS = replace(FOR_EVER, epochs=3, checkpoint_every=2, log_every=4)
SAVED = [2, 4, 6, 8, 9]  # in the middle of an epoch, between records, at the end of an epoch, at the end of all
PLATEAU = Plateau(factor=0.5, patience=0)

every_encoder_kind = pytest.mark.parametrize("kind", ENCODER_KINDS)
QUICK = ("conv", "gru", "lstm", "transformer")
"""The kinds with which every checkpoint is resumed in the quick tests: all sorts of state that a checkpoint keeps."""


def sections_with(kind: str) -> list[Model]:
    """A handful of models with such an encoder, with much dropout."""
    found = [section for section in pairs() if section.encoder.kind == kind]
    # the last one too, which copies where the encoder reads text alone
    found = [*found[:: len(found) // 4], found[-1]]
    assert len(found) >= 4
    return [section.model_copy(update={"dropout": 0.3, "attention_dropout": 0.1}) for section in found]


def objective(section: Model) -> Objective:
    """All that draws random numbers or depends on the order of things."""
    forced = 1.0 if section.decoder.kind == "transformer" else 0.7
    return Objective(label_smoothing=0.1, clip_norm=1.0, teacher_forcing=forced, accumulation=2, norms_by_part=True)


def hooks(run: Run, checkpoints: Path, stop_at: int | None = None) -> Hooks:
    """Validation draws random numbers too; it is no better each time, so that plateau has something to do."""

    def validate() -> tuple[dict[str, float], tuple[Sample, ...]]:
        with torch.no_grad():
            loss = float(run.model.loss(load([0, 1, 2]))) + 1000 * run.position.step + float(torch.rand(()))
        return {"loss": loss}, (("a", "b", "c"),)

    return Hooks(
        validate=validate,
        watched=lambda scores: -scores["loss"],
        save=run.keep(checkpoints),
        stop=lambda: run.position.step == stop_at,
    )


@pytest.mark.parametrize("decay", [pytest.param(None, marks=pytest.mark.real), 0.9])
@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.real) for kind in ENCODER_KINDS]
)
def test_resuming_from_any_checkpoint(kind: str, decay: float | None, tmp_path: Path) -> None:
    for number, section in enumerate(sections_with(kind)):
        folder = tmp_path / str(number)
        straight = Run(section, seed=1, decay=decay)
        records = straight.train(LIMITS, hooks(straight, folder), objective(section), PLATEAU)
        expected = straight.bits()
        assert straight.position.step == 9
        assert straight.position.factor == 0.25
        saved = step_folders(folder)
        assert [int(path.name.removeprefix("step-")) for path in saved] == SAVED
        # from every other one, the next time from the rest
        for path, step in list(zip(saved, SAVED, strict=True))[number % 2 :: 2]:
            resumed = Run(section, seed=2, decay=decay)
            resumed.resume(path)
            assert resumed.position.step == step
            rest = resumed.train(LIMITS, hooks(resumed, tmp_path / "again"), objective(section), PLATEAU)
            assert rest == _after_checkpoint(records, step), section
            assert _different(resumed.bits(), expected) == [], (step, section)


def _after_checkpoint(records: list[Progress], step: int) -> list[Progress]:
    place = next(n for n, record in enumerate(records) if (record.event, record.step) == ("checkpoint", step))
    return records[place + 1 :]


def _different(left: dict[str, object], right: dict[str, object]) -> list[str]:
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


@every_encoder_kind
def test_stopping_where_no_checkpoint_is_due(kind: str, tmp_path: Path) -> None:
    section = sections_with(kind)[0]
    straight = Run(section, seed=1)
    records = straight.train(LIMITS, hooks(straight, tmp_path / "straight"), objective(section), PLATEAU)
    expected = straight.bits()

    stopped = Run(section, seed=1)
    first = stopped.train(LIMITS, hooks(stopped, tmp_path / "stopped", stop_at=5), objective(section), PLATEAU)
    assert first[-1] == Progress("checkpoint", 5, 1)
    resumed = Run(section, seed=2)
    resumed.resume(tmp_path / "stopped" / "step-00000005")
    rest = resumed.train(LIMITS, hooks(resumed, tmp_path / "stopped"), objective(section), PLATEAU)
    assert first[:-1] + rest == records
    assert _different(resumed.bits(), expected) == []


@every_encoder_kind
def test_the_seed_decides(kind: str) -> None:
    section = sections_with(kind)[0]
    results = []
    for seed in (1, 1, 2):
        run = Run(section, seed)
        run.train(replace(FOR_EVER, steps=4), no_validation(), objective(section))
        results.append(run.bits())
    assert _different(results[0], results[1]) == []
    assert _different(results[0], results[2]) != []


def test_a_finished_run_stays_finished(tmp_path: Path) -> None:
    section = sections_with("rnn")[0]
    run = Run(section, seed=1)
    run.train(replace(FOR_EVER, steps=2), no_validation(run.keep(tmp_path)), PLAIN)
    again = Run(section, seed=2)
    again.resume(tmp_path / "step-00000002")
    before = again.bits()
    assert again.train(replace(FOR_EVER, steps=2), no_validation(), PLAIN) == []
    assert _different(again.bits(), before) == []
