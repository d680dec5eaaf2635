"""Products in 16 bits: how close they are, the scale of the loss in fp16, and runs that go on with it. All on a CPU."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from models.zoo import ENCODER_KINDS, batch, built, pairs
from torch import Tensor
from training.miniature import FOR_EVER, PLAIN, SMALLEST, Run, load, no_validation, plan

from seqcli.errors import RecipeError, SeqcliError
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.model import Model
from seqcli.training import precision
from seqcli.training.precision import LossScale, TrainingPrecision, computing_in, has_lstm, refuse_missing
from seqcli.training.step import Objective, train_step
from seqcli.training.team import Team
from seqcli.types import Batch

CPU = torch.device("cpu")
STILL = SMALLEST.model_copy(update={"dropout": 0.0})
FP16 = Objective(label_smoothing=0.1, clip_norm=1.0, teacher_forcing=1.0, accumulation=2, precision="fp16")


def missing(section: Model, how: TrainingPrecision) -> bool:
    """Whether this processor cannot compute such a model: which do depends on their instructions."""
    return "lstm" in (section.encoder.kind, section.decoder.kind) and not has_lstm(how, CPU)


def gradient(model: Seq2Seq, given: Batch, how: TrainingPrecision, r_drop: float | None) -> Tensor:
    """Of all parameters that have one, as one vector, in float32."""
    model.zero_grad()
    with computing_in(how, CPU):
        loss, _ = Team().replica(model)(given, 0.1, 1.0, r_drop)
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(one.dtype == torch.float32 for one in gradients)
    return torch.cat([one.flatten() for one in gradients])


@pytest.mark.parametrize("how", ["bf16", "fp16"])
@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_the_gradients_of_all_kinds_are_about_those_of_float32(kind: str, how: TrainingPrecision) -> None:
    """Of a dozen models or more, with R-Drop of every other. 8 bits (bf16) or 11 (fp16) move some models far, where a unit changes
    sides at the kink of a relu, but not many, and one of a kind at most very far; which ones depends on the processor. A residual network has a
    relu after each convolution, in every place of the image."""
    sections = [section.model_copy(update={"dropout": 0.0}) for section in pairs() if section.encoder.kind == kind]
    errors = []
    for number, section in enumerate(sections[:: max(1, len(sections) // 12)]):
        if missing(section, how):
            continue
        torch.manual_seed(number)
        model, given = built(section), batch([5, 3, 2], [4, 6, 2])
        r_drop = 5.0 if number % 2 else None
        exact, near = (gradient(model, given, precision, r_drop) for precision in ("float32", how))
        assert not torch.equal(near, exact)
        errors.append(float((near - exact).norm() / exact.norm()))
    assert len(errors) >= (8 if kind != "lstm" or has_lstm(how, CPU) else 0)
    assert sum(error >= 0.2 for error in errors) <= 1, errors
    usual = (0.03 if how == "bf16" else 0.004) * (3 if kind in ("conv", "image_text") else 1)
    assert sum(error < usual for error in errors) >= 0.7 * len(errors), errors


def test_the_scale_is_halved_at_once_and_doubled_after_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "PATIENCE", 3)
    scale = LossScale(4.0, 0, CPU)
    seen = []
    for overflowed in (True, False, False, True, True, False, False, False, False):
        scale.adapt(torch.tensor(overflowed))
        seen.append(scale.read())
    # 1 is the least; three steps without overflow double it
    assert seen == [(2, 0), (2, 1), (2, 2), (1, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]


def test_the_scale_is_off_before_clipping() -> None:
    """A power of two changes no bit of a float, so a run with a scale is that without."""
    straight, scaled = Run(SMALLEST, seed=1), Run(SMALLEST, seed=1)
    objective = replace(PLAIN, clip_norm=0.1, norms_by_part=True)
    for rows in plan(0):
        torch.manual_seed(0)
        plainly = train_step(straight.model, straight.optimizer, 0.1, [load(rows)], objective)
        torch.manual_seed(0)
        scale = LossScale(1024.0, 0, CPU)
        step = train_step(scaled.model, scaled.optimizer, 0.1, [load(rows)], objective, scale=scale)
        assert step.figures.tolist() == [*plainly.figures[:2].tolist(), 1024.0, *plainly.figures[3:].tolist()]
        assert plainly.figures[1] > 0.1
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, scaled.model.state_dict()[name]), name


class Overflowing:
    """A loss whose gradient is not finite while the scale is above a bound, as that of fp16 may be."""

    def __init__(self, patch: pytest.MonkeyPatch, bound: float) -> None:
        original = Seq2Seq.loss

        def loss(model: Seq2Seq, given: Batch, **how: float) -> Tensor:
            value = original(model, given, **how)
            value.register_hook(lambda scale: scale * (math.inf if float(scale) * given.target_tokens > bound else 1))
            return value

        patch.setattr(Seq2Seq, "loss", loss)


def test_overflows_are_skipped_and_halve_the_scale_and_do_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    Overflowing(monkeypatch, bound=2.0**9 * 1.5)
    run = Run(STILL, seed=1)
    records = run.train(replace(FOR_EVER, steps=10), no_validation(), replace(FP16, accumulation=1))
    # 2¹⁶ … 2¹⁰ are too much
    assert records[0].skipped == 7
    assert (records[0].loss_scale, run.position.loss_scale, run.position.steps_at_scale) == (2.0**9, 2.0**9, 3)
    assert run.position.skipped_in_a_row == 0
    assert float(run.optimizer.state()["output.bias/step"]) == 3


def test_a_gradient_that_no_scale_mends_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    Overflowing(monkeypatch, bound=0.0)
    run = Run(STILL, seed=1)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    with pytest.raises(SeqcliError, match="5 steps in a row, the last at step 21 "):
        run.train(replace(FOR_EVER, steps=30), no_validation(), replace(FP16, accumulation=1))
    assert run.position.loss_scale == 1.0
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_scale() -> None:
    run = Run(STILL, seed=1)
    run.model.output.bias.data[7] = math.nan
    with pytest.raises(SeqcliError, match="the last at step 5 "):
        run.train(replace(FOR_EVER, steps=9), no_validation(), replace(FP16, accumulation=1))
    assert run.position.loss_scale == 2.0**16


@pytest.mark.parametrize("how", ["bf16", "fp16"])
def test_going_on_is_exact(how: TrainingPrecision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after every step in turn, while the scale is on its way down and up again."""
    Overflowing(monkeypatch, bound=2.0**13 * 1.5 if how == "fp16" else math.inf)
    monkeypatch.setattr(precision, "PATIENCE", 2)
    section = next(one for one in pairs() if one.encoder.kind == "transformer" and one.decoder.kind == "gru")
    section = section.model_copy(update={"dropout": 0.3})
    objective, limits = replace(FP16, precision=how), replace(FOR_EVER, steps=8, checkpoint_every=1, log_every=3)
    straight = Run(section, seed=1, decay=0.9)
    records = straight.train(limits, no_validation(straight.keep(tmp_path)), objective)
    scales = [record.loss_scale for record in records if record.event == "train"]
    assert scales == ([2.0**13, 2.0**13, 2.0**14] if how == "fp16" else [None] * 3)
    for step in range(1, 8):
        resumed = Run(section, seed=2, decay=0.9)
        resumed.resume(tmp_path / f"step-{step:08d}")
        rest = resumed.train(limits, no_validation(), objective)
        assert rest == records[-len(rest) :]
        assert resumed.bits() == straight.bits(), step


@pytest.mark.parametrize("how", ["bf16", "fp16"])
def test_an_lstm_is_refused_where_the_processor_has_none(
    how: TrainingPrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused cannot be computed, and what is not can."""
    refuse_missing(how, CPU, lstm=False)
    layer = torch.nn.LSTM(16, 16)
    state = torch.get_rng_state()
    possible = has_lstm(how, CPU)
    assert torch.get_rng_state().equal(state)
    with computing_in(how, CPU):
        if possible:
            layer(torch.zeros(2, 3, 16))[0].sum().backward()
            refuse_missing(how, CPU, lstm=True)
        else:
            with pytest.raises(RuntimeError):
                layer(torch.zeros(2, 3, 16))
    monkeypatch.setattr(precision, "has_lstm", lambda *_: False)
    with pytest.raises(RecipeError, match=f"no LSTM in {how} on this processor; choose float32"):
        refuse_missing(how, CPU, lstm=True)
