"""Models to look into: a recipe's at its start, from other starts and after some steps, or a run's."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from seqcli.analysis.activations import LayerActivity, layer_activities
from seqcli.analysis.embeddings import EmbeddingMap, embedding_map
from seqcli.build.batches import load_batch
from seqcli.build.data import open_split
from seqcli.build.training import build_objective, build_optimizer, build_schedule
from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import RecipeError
from seqcli.experiment import Experiment, initial_model, prepare
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.load import load_recipe
from seqcli.recipe.model import text_encoder
from seqcli.recipe.schema import Recipe
from seqcli.run import RECIPE, Run, load, make_translator
from seqcli.training.step import train_step
from seqcli.types import Batch

Activities = dict[str, list[LayerActivity]]
"""What the layers do, by the name of the model that they are in."""


def is_run(subject: str) -> bool:
    """Whether `subject` is a run directory, rather than a recipe."""
    return (Path(subject) / RECIPE).is_file()


def open_subject(subject: str, overrides: Sequence[str] = (), *, checkpoint: str | None = None) -> Run:
    """The run in the folder `subject`, or of the recipe of that name a run that has not begun: its model at the start."""
    if is_run(subject):
        return load(subject, overrides, checkpoint=checkpoint)
    if checkpoint is not None:
        raise RecipeError(f"--checkpoint {checkpoint}: {subject} is a recipe, which has no checkpoints; give a run")
    with _prepared(subject, overrides) as experiment:
        data, recipe = experiment.data, experiment.recipe
        translator = make_translator(recipe, experiment.model.eval(), data.source_tokenizer, data.target_tokenizer)
        return Run(experiment.folder, recipe, translator, experiment.folder)


def start_overrides(start: str) -> list[str]:
    """What a start such as `he_normal`, or with a scale `normal=0.01`, sets in a recipe."""
    kind, _, scale = start.partition("=")
    section = "model.initialization"
    return [
        f"{section}.weights={kind}",
        f"{section}.recurrent={kind}",
        f"{section}.scale={scale or 'null'}",
    ]


def recipe_activities(
    recipe: str,
    overrides: Sequence[str] = (),
    *,
    starts: Sequence[str] = (),
    steps: int = 0,
    sentences: int = 64,
) -> Activities:
    """What each layer of a recipe's model does before the first step, and, if `steps` are given, after so many.

    Each of `starts` (see `start_overrides`) is a model of its own with all weight matrices but the embeddings filled in that way; the
    embeddings are the recipe's, so that all read the same. Without any, the recipe's own start. All see the same `sentences` of the
    validation split (where there is none, of the training data) and learn from the same batches. Raises `RecipeError`.
    """
    recipes = {start: load_recipe(recipe, [*overrides, *start_overrides(start)]) for start in starts}
    with _prepared(recipe, overrides) as experiment:
        batch = probe_batch(experiment, sentences)
        found: Activities = {}
        for name, one in (recipes or {"at the start": experiment.recipe}).items():
            model = _started(one, experiment)
            found[name] = layer_activities(model, batch)
            if steps:
                own = replace(
                    experiment, recipe=one, model=model, optimizer=build_optimizer(one.training.optimizer, model)
                )
                take_steps(own, steps)
                after = f"{name}, {steps} steps" if recipes else f"after {steps} steps"
                found[after] = layer_activities(model, batch)
        return found


def run_activities(
    folder: str, overrides: Sequence[str] = (), *, checkpoint: str | None = None, sentences: int = 64
) -> Activities:
    """What each layer of a run's model does, and what it did before the first step: the recipe's seed makes that model again."""
    run = load(folder, overrides, checkpoint=checkpoint)
    translator, recipe = run.translator, run.recipe
    corpus = open_split(recipe.data, "validation") or open_split(recipe.data, "train")
    assert corpus is not None
    examples = list(itertools.islice((one for one in corpus.read() if one.target), sentences))
    batch = translator.batch(examples, [translator.encode_target(one.target or "") for one in examples])
    first = initial_model(recipe, translator.source_tokenizer, translator.target_tokenizer).to(batch.source.device)
    return {
        "at the start": layer_activities(first, batch),
        run.checkpoint.name: layer_activities(translator.model, batch),
    }


def side_embeddings(
    run: Run,
    side: str,
    *,
    words: Sequence[str] = (),
    count: int = 60,
    neighbours: int = 5,
) -> EmbeddingMap:
    """The embeddings of a run's `side`, source or target (see `embedding_map`). RecipeError where that side has none."""
    tables = embedding_tables(run)
    if side not in tables:
        there = " and ".join(tables) or "neither side"
        raise RecipeError(f"the {side} of this model has no embeddings; {there} has")
    table, tokenizer = tables[side]
    return embedding_map(side, table, tokenizer, words=words, count=count, neighbours=neighbours)


def embedding_tables(run: Run) -> Mapping[str, tuple[torch.Tensor, Tokenizer]]:
    """The tables (V,D) of the sides that read symbols, each with its tokenizer; a feed-forward decoder reads none."""
    translator, model = run.translator, run.recipe.model
    found: dict[str, tuple[torch.Tensor, Tokenizer]] = {}
    if text_encoder(model.encoder) is not None:
        parameters = dict(translator.model.get_submodule("encoder").named_parameters())
        name = "embedding.weight" if "embedding.weight" in parameters else "text.embedding.weight"
        found["source"] = (parameters[name], translator.source_tokenizer)
    if hasattr(translator.model.decoder, "embedding"):
        found["target"] = (translator.model.decoder.embedding.weight, translator.target_tokenizer)
    return found


def probe_batch(experiment: Experiment, sentences: int) -> Batch:
    """So many sentences, from all over the validation split or, where there is none, the training data."""
    corpus = experiment.data.validation or experiment.data.train
    count = min(sentences, len(corpus))
    rows = np.linspace(0, len(corpus) - 1, count).round().astype(np.int64)
    return corpus.batch(rows).to(next(experiment.model.parameters()).device)


def take_steps(experiment: Experiment, steps: int) -> None:
    """Train `experiment.model` for the first `steps` steps of its recipe; nothing is kept on disk."""
    training = experiment.recipe.training
    objective, schedule = build_objective(training), build_schedule(training.schedule, experiment.total_steps)
    batches = _batches(experiment)
    for number in range(1, steps + 1):
        group = list(itertools.islice(batches, training.accumulation))
        rate = training.optimizer.learning_rate * schedule(number)
        train_step(experiment.model, experiment.optimizer, rate, group, objective, number=number)


def _batches(experiment: Experiment) -> Iterator[Batch]:
    for epoch in itertools.count():
        for rows in experiment.plan(epoch):
            yield load_batch(experiment.recipe, experiment.data, rows, epoch)


def _started(recipe: Recipe, experiment: Experiment) -> Seq2Seq:
    """The model of `recipe` before its first step, with the embeddings of the experiment's own."""
    data = experiment.data
    model = initial_model(recipe, data.source_tokenizer, data.target_tokenizer)
    given = dict(experiment.model.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("embedding.weight"):
                parameter.copy_(given[name])
    return model.to(next(experiment.model.parameters()).device)


@contextmanager
def _prepared(recipe: str, overrides: Sequence[str]) -> Iterator[Experiment]:
    """An experiment in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="seqcli-inspection-") as folder:
        yield prepare(load_recipe(recipe, overrides), Path(folder))
