"""From the recipe to the batches of an epoch, and to their size where the recipe leaves that to the machine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seqcli.build.data import PreparedData, image_shape
from seqcli.build.model import grid_shape
from seqcli.build.training import build_objective
from seqcli.data.augmentation import Augmentation
from seqcli.data.batching import Lengths, Rows, plan_batches, plan_by_image
from seqcli.data.tasks import repeated, repetitions
from seqcli.data.unknown_symbols import with_unknown
from seqcli.errors import DataError
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.data import TasksData
from seqcli.recipe.model import image_encoder
from seqcli.recipe.schema import Recipe
from seqcli.recipe.sides import Pixels
from seqcli.recipe.training import Curriculum
from seqcli.training.memory import BatchChoice, Shape, choose_batch
from seqcli.training.optim import Optimizer
from seqcli.types import Batch


def plan_epoch(recipe: Recipe, data: PreparedData, epoch: int) -> list[Rows]:
    """The batches of an epoch."""
    size = recipe.training.batch_tokens
    assert size != "auto"
    return _plan(recipe, data, epoch, size)


def load_batch(recipe: Recipe, data: PreparedData, rows: Rows, epoch: int) -> Batch:
    """A training batch of an epoch, its images varied and its symbols made unknown as the recipe says."""
    batch, rate = data.train.batch(rows), recipe.training.unknown_rate
    if rate:
        batch = with_unknown(batch, data.same_symbols, rate, seed=recipe.seed, epoch=epoch)
    image = recipe.source.image
    if not isinstance(image, Pixels) or image.augment is None or batch.image is None:
        return batch
    augment = Augmentation(**image.augment.model_dump())
    looked_at = data.train.image_numbers[rows]
    numbers = looked_at if batch.image_of is None else np.unique(looked_at)
    return replace(batch, image=augment(batch.image, numbers.tolist(), recipe.seed, epoch))


def image_cells(recipe: Recipe) -> int:
    """How many states of the memory an image becomes; 0 where there are none."""
    encoder, shape = image_encoder(recipe.model.encoder), image_shape(recipe.source)
    return 0 if encoder is None or shape is None else math.prod(grid_shape(encoder, shape))


def choose_batch_tokens(recipe: Recipe, data: PreparedData, model: Seq2Seq, optimizer: Optimizer) -> BatchChoice:
    """What `training.batch_tokens: auto` comes to for this model, this data and the memory that is free now."""
    source, target = data.train.source_lengths, data.train.target_lengths
    image = image_shape(recipe.source)

    def shapes(size: int) -> list[Shape]:
        # a target's length counts its EOS, as its labels do
        return [
            Shape(len(rows), int(source[rows].max()), int(target[rows].max()), image)
            for rows in _plan(recipe, data, 0, size)
        ]

    return choose_batch(model, optimizer, shapes, build_objective(recipe.training))


def with_batch_tokens(recipe: Recipe, size: int | str) -> Recipe:
    """The recipe with another size of batch."""
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"batch_tokens": size})})


def _plan(recipe: Recipe, data: PreparedData, epoch: int, size: int) -> list[Rows]:
    # an image counts as many symbols as it has cells, so that batches of images are bounded too
    lengths = data.train.source_lengths + np.int32(image_cells(recipe)), data.train.target_lengths
    images = data.train.image_numbers
    curriculum = recipe.training.curriculum
    introductory = curriculum is not None and epoch < curriculum.epochs
    times = task_repetitions(recipe, data)
    if not introductory and not times:
        return _plan_rows(recipe, *lengths, images, epoch, size)
    seen = _rows_of(data, curriculum) if curriculum is not None and introductory else np.arange(len(data.train))
    if times:
        there, of_rows = data.train.groups
        seen = repeated(seen, of_rows, [times[task] for task in there], seed=recipe.seed, epoch=epoch)
    plan = _plan_rows(recipe, lengths[0][seen], lengths[1][seen], images[seen], epoch, size)
    return [seen[batch] for batch in plan]


def task_repetitions(recipe: Recipe, data: PreparedData) -> dict[str, float]:
    """How often each training example of a task is seen in an epoch; empty where there are no tasks, or all as often as they are there."""
    if not isinstance(recipe.data, TasksData) or recipe.data.temperature == 1:
        return {}
    return repetitions(task_sizes(data), recipe.data.temperature)


def task_sizes(data: PreparedData) -> dict[str, int]:
    """How many training examples each group has; where there are tasks, these are the groups."""
    there, of_rows = data.train.groups
    return dict(zip(there, np.bincount(of_rows, minlength=len(there)).tolist(), strict=True))


def _plan_rows(
    recipe: Recipe, source: Lengths, target: Lengths, images: NDArray[np.int64], epoch: int, size: int
) -> list[Rows]:
    most, seed, together = recipe.training.batch_sentences, recipe.seed, recipe.training.share_images
    if together is None:
        return plan_batches(source, target, batch_tokens=size, batch_sentences=most, seed=seed, epoch=epoch)
    return plan_by_image(
        source, target, images, together, batch_tokens=size, batch_sentences=most, seed=seed, epoch=epoch
    )


def _rows_of(data: PreparedData, curriculum: Curriculum) -> Rows:
    try:
        return data.train.rows_of(curriculum.groups)
    except DataError as error:
        raise DataError(f"training.curriculum.groups: {error}") from error
