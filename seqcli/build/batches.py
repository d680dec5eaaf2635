"""From the recipe to the batches of an epoch, and to their size where the recipe leaves that to the machine."""

from __future__ import annotations

from seqcli.build.data import PreparedData
from seqcli.build.training import build_objective
from seqcli.data.batching import Rows, plan_batches
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.schema import Recipe
from seqcli.training.memory import BatchChoice, Shape, choose_batch
from seqcli.training.optim import Optimizer


def plan_epoch(recipe: Recipe, data: PreparedData, epoch: int) -> list[Rows]:
    """The batches of an epoch."""
    size = recipe.training.batch_tokens
    assert size != "auto"
    return _plan(recipe, data, epoch, size)


def choose_batch_tokens(recipe: Recipe, data: PreparedData, model: Seq2Seq, optimizer: Optimizer) -> BatchChoice:
    """What `training.batch_tokens: auto` comes to for this model, this data and the memory that is free now."""
    source, target = data.train.source_lengths, data.train.target_lengths

    def shapes(size: int) -> list[Shape]:
        # a target's length counts its EOS, as its labels do
        return [
            Shape(len(rows), int(source[rows].max()), int(target[rows].max())) for rows in _plan(recipe, data, 0, size)
        ]

    return choose_batch(model, optimizer, shapes, build_objective(recipe.training))


def with_batch_tokens(recipe: Recipe, size: int | str) -> Recipe:
    """The recipe with another size of batch."""
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"batch_tokens": size})})


def _plan(recipe: Recipe, data: PreparedData, epoch: int, size: int) -> list[Rows]:
    return plan_batches(
        data.train.source_lengths,
        data.train.target_lengths,
        batch_tokens=size,
        batch_sentences=recipe.training.batch_sentences,
        seed=recipe.seed,
        epoch=epoch,
    )
