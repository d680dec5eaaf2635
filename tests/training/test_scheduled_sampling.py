"""Scheduled sampling: how ε falls, what is read in place of the given symbols, and that nothing else changes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models.zoo import COPIES, VOCABULARY, batch
from training.miniature import FOR_EVER, PLAIN, Run, load, no_validation, plan

from seqcli.build.model import build_model
from seqcli.build.training import build_objective
from seqcli.models.seq2seq import Seq2Seq
from seqcli.nn.scheduled_sampling import Pick, mixed, own_symbols
from seqcli.recipe import training as sections
from seqcli.recipe.model import Model
from seqcli.symbols import BOS, EOS, PAD
from seqcli.training.flops import training_flops
from seqcli.training.precision import computing_in, has_lstm
from seqcli.training.scheduled_sampling import ScheduledSampling, exponential, inverse_sigmoid, linear
from seqcli.training.step import losses
from seqcli.training.team import Team
from seqcli.types import Batch

GRU: dict[str, Any] = {"kind": "gru", "hidden_size": 8, "embedding_size": 6}
STACK: dict[str, Any] = {"kind": "transformer", "hidden_size": 8, "layers": 1, "heads": 2, "feedforward_size": 8}
KINDS: dict[str, dict[str, Any]] = {
    "luong": {"encoder": GRU, "decoder": GRU},
    "input feeding": {"encoder": GRU, "decoder": {**GRU, "kind": "lstm", "input_feeding": True}},
    "bahdanau": {"encoder": STACK, "decoder": {**GRU, "order": "bahdanau"}},
    "no attention": {"encoder": GRU, "decoder": {**GRU, "kind": "rnn", "attention": {"kind": "none"}}},
    "hard monotonic": {"encoder": GRU, "decoder": {**GRU, "attention": {"kind": "hard_monotonic"}}},
    "transformer": {"encoder": STACK, "decoder": STACK},
    "copying": {"encoder": GRU, "decoder": GRU, "copying": True},
    "copying transformer": {"encoder": STACK, "decoder": STACK, "copying": True},
    "copying monotonic": {
        "encoder": GRU,
        "decoder": {**GRU, "attention": {"kind": "hard_monotonic"}},
        "copying": True,
    },
}
QUICK = [
    kind
    if kind in ("input feeding", "hard monotonic", "transformer", "copying")
    else pytest.param(kind, marks=pytest.mark.real)
    for kind in KINDS
]
"""Those that are trained in the quick tests."""
every_kind = pytest.mark.parametrize("kind", KINDS)
GIVEN = batch([7, 5, 2], [6, 3, 6])


def section_of(kind: str, dropout: float = 0.0) -> Model:
    return Model.model_validate({**KINDS[kind], "dropout": dropout})


def model_of(kind: str, dropout: float = 0.0) -> Seq2Seq:
    """With weights so large that its answers differ from each other."""
    torch.manual_seed(1)
    model = build_model(section_of(kind, dropout), VOCABULARY, VOCABULARY, copies=COPIES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


def always(given: float, pick: Pick = "sample") -> ScheduledSampling:
    return ScheduledSampling(lambda step: given, pick)


def test_a_straight_line() -> None:
    decay = linear(50)
    assert [decay(step) for step in (0, 1, 25, 50, 75, 100, 1000)] == pytest.approx([1, 0.99, 0.75, 0.5, 0.25, 0, 0])


def test_a_share_each_step() -> None:
    decay = exponential(3)
    assert [decay(step) for step in (0, 3, 6, 9, 30)] == pytest.approx([1, 1 / 2, 1 / 4, 1 / 8, 1 / 1024])
    # the paper's k
    assert decay(1) == pytest.approx(0.79370052598)


def test_an_inverse_sigmoid() -> None:
    """k / (k + exp(i/k)) with k = 10, whose half comes at 10 ln 10."""
    decay = inverse_sigmoid(10 * math.log(10))
    e = math.e
    expected = [10 / 11, 10 / (10 + e), 10 / (10 + e * e), 10 / (10 + e**5)]
    assert [decay(step) for step in (0, 10, 20, 50)] == pytest.approx(expected, rel=1e-9)
    assert 0 <= decay(10**9) < 1e-300


@pytest.mark.parametrize("half_after", [1, 7, 5000, 10**7])
@pytest.mark.parametrize("kind", ["linear", "exponential", "inverse_sigmoid"])
def test_half_of_the_symbols(kind: str, half_after: int) -> None:
    section = sections.ScheduledSampling.model_validate({"decay": kind, "half_after": half_after, "hold": 3})
    sampling = build_objective(sections.Training(steps=1, scheduled_sampling=section)).scheduled_sampling
    assert sampling is not None
    assert sampling.pick == "sample"
    assert [sampling.given(step) for step in (1, 2, 3)] == [1.0, 1.0, 1.0]
    assert sampling.given(half_after + 3) == pytest.approx(0.5)
    walked = [sampling.given(step) for step in range(3, 40)]
    assert all(0 <= later < earlier or later == 0 for earlier, later in zip(walked, walked[1:], strict=False))


def test_no_less_than_the_least() -> None:
    sampling = ScheduledSampling(linear(5), least=0.3)
    assert [sampling.given(step) for step in (1, 5, 7, 8, 10**9)] == pytest.approx([0.9, 0.5, 0.3, 0.3, 0.3])
    assert build_objective(sections.Training(steps=1)).scheduled_sampling is None


@every_kind
def test_the_best_symbols_are_the_models_own_predictions_one_step_later(kind: str) -> None:
    model = model_of(kind)
    mixed_batch = model.scheduled_sampling(GIVEN, 0.0, "best")
    with torch.no_grad():
        scores = model.logits(GIVEN)
    scores[..., [PAD, BOS]] = -math.inf
    predicted = scores.argmax(dim=-1)
    assert (predicted[:, :-1] != GIVEN.inputs[:, 1:]).any()
    for row, length in enumerate([6, 3, 6]):
        assert mixed_batch.inputs[row, 0] == BOS
        assert mixed_batch.inputs[row, 1:length].tolist() == predicted[row, : length - 1].tolist()
        assert mixed_batch.inputs[row, length:].tolist() == GIVEN.inputs[row, length:].tolist()
    assert mixed_batch.labels.equal(GIVEN.labels)
    assert mixed_batch.real_labels.equal(GIVEN.real_labels)


@every_kind
def test_a_chunk_at_a_time_is_all_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(kind)
    whole = model.scheduled_sampling(GIVEN, 0.0, "best")
    # two steps of three rows
    monkeypatch.setattr("seqcli.nn.projection.CHUNK_CELLS", 2 * 3 * VOCABULARY)
    assert model.scheduled_sampling(GIVEN, 0.0, "best").inputs.equal(whole.inputs)


@every_kind
def test_the_loss_is_that_of_the_given_labels_after_what_was_read(kind: str) -> None:
    """And it is the second pass alone that gradients go through, in r-drop's doubled rows too."""
    model, objective = model_of(kind).double(), replace(PLAIN, scheduled_sampling=always(0.4, "best"))
    torch.manual_seed(3)
    loss, reported = losses(Team().replica(model), GIVEN, objective)
    torch.autograd.backward(loss)
    found = [parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    torch.manual_seed(3)
    read = model.scheduled_sampling(GIVEN, 0.4, "best").inputs
    assert not read.equal(GIVEN.inputs)
    real = GIVEN.labels != PAD
    log_probs = model.logits(GIVEN.reading(read)).log_softmax(dim=-1)
    expected = -log_probs[real].gather(1, GIVEN.labels[real][:, None]).sum()
    torch.testing.assert_close(loss.detach(), expected.detach())
    torch.testing.assert_close(reported, expected.detach())
    expected.backward()
    for one, other in zip(found, [parameter.grad for parameter in model.parameters()], strict=True):
        torch.testing.assert_close(one, other)
    torch.manual_seed(3)
    doubled, reported = losses(Team().replica(model), GIVEN, replace(objective, r_drop=5.0))
    torch.testing.assert_close(reported, expected.detach())
    torch.testing.assert_close(doubled.detach(), 2 * expected.detach())


def test_a_draw_follows_the_distribution() -> None:
    scores = torch.log(torch.tensor([0.3, 0.2, 0.25, 0.05, 0.2])).expand(40_000, 5)
    torch.manual_seed(1)
    shares = np.bincount(own_symbols(scores, "sample").numpy(), minlength=5) / 40_000
    # without padding and BOS the others sum to a half
    assert shares == pytest.approx([0, 0, 0.5, 0.1, 0.4], abs=0.01)
    assert own_symbols(scores[:1], "best").tolist() == [EOS]


def test_noise_that_is_rounded_down_to_nothing_draws_nothing_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda noise: noise.zero_())
    assert own_symbols(torch.tensor([[0.0, 0.0, -100.0, 0.0, 1.0, -100.0]]), "sample").tolist() == [4]


@pytest.mark.parametrize("given", [0.0, 0.25, 0.9])
def test_the_share_of_given_symbols(given: float) -> None:
    target = torch.full((200, 102), 7)
    target[:, 0], target[:, -1], target[100:, 51:] = BOS, EOS, PAD
    target[100:, 50] = EOS
    one = Batch(target, target != PAD, target, torch.arange(200))
    torch.manual_seed(1)
    read = mixed(one, torch.full((200, 101), 9), given)
    assert read[:, 0].tolist() == [BOS] * 200
    assert read[100:, 50:].equal(one.inputs[100:, 50:])
    places = torch.cat((read[:100, 1:].flatten(), read[100:, 1:50].flatten()))
    assert set(places.tolist()) <= {7, 9}
    assert float((places == 7).double().mean()) == pytest.approx(given, abs=0.015)
    # each place has a draw of its own
    if given == 0.25:
        assert len({tuple(row) for row in read[:100].tolist()}) == 100


def test_a_batch_takes_along_what_is_read() -> None:
    one = GIVEN.reading(GIVEN.inputs + 1)
    expected = GIVEN.inputs + 1
    assert one.twice().inputs.equal(torch.cat((expected, expected)))
    assert one.select(torch.tensor([2, 0])).inputs.equal(expected[[2, 0]])
    assert one.to("cpu").inputs.equal(expected)
    assert one.to("meta").inputs.device.type == "meta"
    assert one.lengths.equal(GIVEN.lengths)


@pytest.mark.parametrize("kind", QUICK)
def test_where_all_is_given_the_run_is_the_same_to_the_last_bit(kind: str) -> None:
    ends = []
    for sampling in (None, ScheduledSampling(linear(1), hold=10), always(0.5)):
        run = Run(section_of(kind, dropout=0.2), seed=1)
        run.train(replace(FOR_EVER, steps=6), no_validation(), replace(PLAIN, scheduled_sampling=sampling))
        ends.append(run.bits())
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


@pytest.mark.parametrize("kind", QUICK)
def test_resumed_is_never_stopped(kind: str, tmp_path: Path) -> None:
    """In the middle of the decay and of an epoch, over accumulated batches."""
    limits = replace(FOR_EVER, steps=6, checkpoint_every=2, log_every=1)
    objective = replace(PLAIN, accumulation=2, scheduled_sampling=ScheduledSampling(linear(4), "sample", hold=1))
    section = section_of(kind, dropout=0.2)
    straight = Run(section, seed=1)
    records = straight.train(limits, no_validation(straight.keep(tmp_path)), objective)
    told = [record.given for record in records if record.event == "train"]
    assert told == pytest.approx([1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8])
    for step in (2, 4):
        resumed = Run(section, seed=2)
        resumed.resume(tmp_path / f"step-{step:08}")
        resumed.train(limits, no_validation(), objective)
        assert resumed.bits() == straight.bits()


@every_kind
def test_no_weight_is_without_its_gradient_in_16_bits(kind: str) -> None:
    """What the first pass has cast without a gradient would be taken for the second's, if it were kept, as torch 2.9 does."""
    if "lstm" in str(KINDS[kind]) and not has_lstm("bf16", torch.device("cpu")):
        pytest.skip("this processor has no LSTM in bf16")
    model = model_of(kind)
    grown = []
    for sampling in (None, always(0.5, "best")):
        model.zero_grad(set_to_none=True)
        with computing_in("bf16", torch.device("cpu")):
            loss, _ = losses(Team().replica(model), GIVEN, replace(PLAIN, scheduled_sampling=sampling))
        torch.autograd.backward(loss)
        grown.append({name for name, one in model.named_parameters() if one.grad is not None})
    assert grown[0] == grown[1]


def test_validation_reads_what_is_given() -> None:
    """Whatever the model has learnt by: its loss draws nothing."""
    run = Run(section_of("transformer"), seed=1)
    run.train(replace(FOR_EVER, steps=2), no_validation(), replace(PLAIN, scheduled_sampling=always(0.5)))
    run.model.eval()
    before = torch.get_rng_state()
    loss = run.model.loss(load(plan(0)[0]))
    assert torch.get_rng_state().equal(before)
    assert float(loss.detach()) == float(run.model.loss(load(plan(0)[0])).detach())


@pytest.mark.parametrize("kind", ["luong", "transformer"])
def test_its_arithmetic_is_a_forward_pass_more(kind: str) -> None:
    model, given = model_of(kind), [batch([5], [7])]
    plain = training_flops(model, given, PLAIN)
    both = training_flops(model, given, replace(PLAIN, scheduled_sampling=ScheduledSampling(linear(10), hold=100)))
    # a backward pass is two forward passes, but for the first states, of which there is nothing to learn
    assert both / plain == pytest.approx(4 / 3, rel=0.02)
