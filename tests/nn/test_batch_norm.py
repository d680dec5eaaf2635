"""Normalisation by a batch: torch's own, but for when its statistics change."""

from __future__ import annotations

import pytest
import torch
from models.zoo import VOCABULARY
from torch import Tensor, nn

from seqcli.build.model import build_model
from seqcli.models.seq2seq import Seq2Seq
from seqcli.nn.batch_norm import BatchNorm, batch_norms
from seqcli.recipe.model import Model
from seqcli.training.moving_average import MovingAverage
from seqcli.training.optim import Sgd
from seqcli.training.step import Objective, train_step
from seqcli.types import Batch

YES, NO = torch.tensor(True), torch.tensor(False)
ONE_BATCH = Objective(label_smoothing=0.0, clip_norm=None, teacher_forcing=1.0, accumulation=1)


def features(seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(4, 3, 5, 6) * torch.tensor([1.0, 2.0, 5.0])[:, None, None] + 3


def test_one_batch_a_step_is_what_torch_does() -> None:
    """Outputs, gradients and, after two steps, the kept statistics, and what is made with them."""
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    for seed in (1, 2):
        ours.seen.zero_()
        inputs, others = features(seed).requires_grad_(), features(seed).requires_grad_()
        made, expected = ours(inputs), theirs(others)
        torch.testing.assert_close(made, expected)
        made.square().sum().backward()
        expected.square().sum().backward()
        torch.testing.assert_close(inputs.grad, others.grad)
        ours.settle(YES)
    assert theirs.running_mean is not None
    assert theirs.running_var is not None
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)
    torch.testing.assert_close(ours.eval()(features(3)), theirs.eval()(features(3)))


def test_of_two_batches_the_mean_counts() -> None:
    norm = BatchNorm(3)
    means = []
    for seed in (1, 2):
        norm(features(seed))
        means.append(features(seed).mean(dim=(0, 2, 3)))
    norm.settle(YES)
    torch.testing.assert_close(norm.mean, 0.1 * (means[0] + means[1]) / 2)


@pytest.mark.parametrize("broken", [1.0, torch.nan, torch.inf])
def test_a_skipped_step_leaves_no_trace(broken: float) -> None:
    norm = BatchNorm(3)
    norm(features() * broken)
    norm.settle(NO)
    assert torch.equal(norm.mean, torch.zeros(3))
    assert torch.equal(norm.variance, torch.ones(3))


def test_one_value_a_channel_is_normalised_by_what_is_kept() -> None:
    """It has no variance; a step of nothing else leaves the kept statistics as they are, and of more it does not count."""
    norm, other = BatchNorm(3), BatchNorm(3)
    alone = features()[:1, :, :1, :1]
    torch.testing.assert_close(norm(alone), norm.eval()(alone))
    norm.settle(YES)
    assert torch.equal(norm.mean, torch.zeros(3))
    assert torch.equal(norm.variance, torch.ones(3))
    for one in (norm.train(), other):
        one(features())
        one.settle(YES)
    assert torch.equal(norm.mean, other.mean)
    assert torch.equal(norm.variance, other.variance)


def test_after_training_an_image_does_not_know_its_mates() -> None:
    norm = BatchNorm(3)
    norm(features(1))
    norm.settle(YES)
    norm.eval()
    alone, together = norm(features(2)[:1]), norm(features(2))
    torch.testing.assert_close(alone, together[:1])
    assert not torch.allclose(norm.train()(features(2)[:1]), together[:1])


def looking() -> tuple[Seq2Seq, Batch]:
    torch.manual_seed(1)
    section = Model.model_validate(
        {
            "encoder": {"kind": "conv", "hidden_size": 16, "channels": [4, 8], "normalize": "batch"},
            "decoder": {"kind": "gru", "hidden_size": 16, "embedding_size": 12},
        }
    )
    model = build_model(section, VOCABULARY, VOCABULARY, image_shape=(3, 8, 12))
    ids = torch.full((4, 1), 2)
    target = torch.tensor([[2, 5, 6, 3]] * 4)
    return model, Batch(ids, ids == 2, target, torch.arange(4), torch.randn(4, 3, 8, 12))


def plain_descent(model: nn.Module) -> Sgd:
    return Sgd(model.named_parameters(), momentum=0.0, nesterov=False, weight_decay=0.0)


def test_a_step_of_training_settles_what_it_saw() -> None:
    """A forward pass that belonged to no step, as one that measures memory, does not count."""
    statistics = []
    for stray in (False, True):
        model, batch = looking()
        if stray:
            model.train().encoder(batch)
        train_step(
            model,
            Sgd(model.named_parameters(), momentum=0.0, nesterov=False, weight_decay=0.0),
            1e-3,
            [batch, batch],
            ONE_BATCH,
        )
        norms = batch_norms(model)
        assert len(norms) == 6
        assert not any(torch.equal(norm.mean, torch.zeros_like(norm.mean)) for norm in norms)
        statistics.append(torch.cat([torch.cat((norm.mean, norm.variance)) for norm in norms]))
    assert torch.equal(*statistics)


def test_the_moving_average_has_statistics_of_its_own() -> None:
    """They belong to its weights. The decay of the first step is 2/11."""
    model, batch = looking()
    average = MovingAverage(model, decay=0.9)
    train_step(
        model, Sgd(model.named_parameters(), momentum=0.0, nesterov=False, weight_decay=0.0), 1e-3, [batch], ONE_BATCH
    )
    average.update(1)
    norm = batch_norms(model)[0]
    trained = norm.mean.clone()
    with average.in_use():
        torch.testing.assert_close(norm.mean, trained * 9 / 11)
    assert torch.equal(norm.mean, trained)
