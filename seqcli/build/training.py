"""From the recipe's `training` section to an optimizer, a schedule and what the loop is told."""

from __future__ import annotations

from torch import nn
from typing_extensions import assert_never

from seqcli.nn.layers import matrices_by_weight
from seqcli.recipe import training as recipe
from seqcli.training import schedule, scheduled_sampling
from seqcli.training.loop import Limits, Plateau
from seqcli.training.moving_average import MovingAverage
from seqcli.training.optim import Adam, Muon, Optimizer, Sgd
from seqcli.training.schedule import Schedule
from seqcli.training.scheduled_sampling import ScheduledSampling
from seqcli.training.spikes import Spikes
from seqcli.training.step import Objective


def build_optimizer(section: recipe.Optimizer, model: nn.Module) -> Optimizer:
    """The optimizer over all parameters of `model`."""
    match section:
        case recipe.AdamSection():
            return Adam(
                model.named_parameters(),
                betas=(section.betas[0], section.betas[1]),
                epsilon=section.epsilon,
                weight_decay=section.weight_decay,
                decoupled=section.kind == "adamw",
            )
        case recipe.MuonSection():
            return Muon(
                model.named_parameters(),
                momentum=section.momentum,
                betas=(section.betas[0], section.betas[1]),
                epsilon=section.epsilon,
                weight_decay=section.weight_decay,
                matrices=matrices_by_weight(model),
            )
        case recipe.SgdSection():
            return Sgd(
                model.named_parameters(),
                momentum=section.momentum,
                nesterov=section.nesterov,
                weight_decay=section.weight_decay,
            )
        case _:
            assert_never(section)


def build_schedule(section: recipe.Schedule, steps: int) -> Schedule:
    """The schedule for a run of `steps` steps, warm-up included."""
    after = max(1, steps - section.warmup)
    match section:
        case recipe.ConstantSchedule() | recipe.PlateauSchedule():
            decay = schedule.constant()
        case recipe.InverseSqrtSchedule():
            decay = schedule.inverse_sqrt(section.warmup)
        case recipe.DecaySchedule(kind="cosine"):
            decay = schedule.cosine(after, section.final)
        case recipe.DecaySchedule():
            decay = schedule.linear(after, section.final)
        case recipe.ExponentialSchedule():
            decay = schedule.exponential(section.factor, section.every, section.hold)
        case _:
            assert_never(section)
    return schedule.with_warmup(section.warmup, decay)


def build_plateau(section: recipe.Schedule) -> Plateau | None:
    """What plateau does to the learning rate, if the recipe asks for it."""
    return Plateau(section.factor, section.patience) if isinstance(section, recipe.PlateauSchedule) else None


def build_average(section: recipe.Training, model: nn.Module) -> MovingAverage | None:
    """The moving average of the weights, if the recipe asks for one."""
    return None if section.moving_average is None else MovingAverage(model, section.moving_average)


def build_limits(section: recipe.Training) -> Limits:
    """When things happen."""
    return Limits(
        steps=section.steps,
        epochs=section.epochs,
        validate_every=section.validate_every,
        checkpoint_every=section.checkpoint_every,
        log_every=section.log_every,
        patience=section.early_stopping.patience if section.early_stopping else None,
    )


def build_objective(section: recipe.Training) -> Objective:
    """How a batch becomes a gradient."""
    return Objective(
        label_smoothing=section.label_smoothing,
        clip_norm=section.clip_norm,
        teacher_forcing=section.teacher_forcing,
        accumulation=section.accumulation,
        norms_by_part=section.gradient_norms,
        r_drop=section.r_drop,
        doubly_stochastic=section.doubly_stochastic,
        coverage_loss=section.coverage_loss,
        scheduled_sampling=build_scheduled_sampling(section.scheduled_sampling),
        precision=section.precision,
        compiled=section.compile,
    )


def build_scheduled_sampling(section: recipe.ScheduledSampling | None) -> ScheduledSampling | None:
    """How the decoder comes to read its own symbols, if the recipe asks for it."""
    if section is None:
        return None
    match section.decay:
        case "linear":
            decay = scheduled_sampling.linear(section.half_after)
        case "exponential":
            decay = scheduled_sampling.exponential(section.half_after)
        case "inverse_sigmoid":
            decay = scheduled_sampling.inverse_sigmoid(section.half_after)
        case _:
            assert_never(section.decay)
    return ScheduledSampling(decay, section.pick, section.hold, section.least)


def build_spikes(section: recipe.Training) -> Spikes | None:
    """What losses are to be told of, if any."""
    return None if section.spikes is None else Spikes(section.spikes.threshold, section.spikes.rewind)
