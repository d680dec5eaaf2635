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
from seqcli.build.training import build_average, build_optimizer
from seqcli.build.translator import build_translator
from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import RecipeError
from seqcli.experiment import Experiment, first_steps, initial_model, prepare, walking
from seqcli.recipe.load import load_recipe
from seqcli.recipe.model import Model, text_encoder
from seqcli.recipe.schema import Recipe
from seqcli.run import RECIPE, Run, held_out, load
from seqcli.training.checkpoint import Position
from seqcli.training.team import Team
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
    with _prepared(load_recipe(subject, overrides)) as experiment:
        data, recipe = experiment.data, experiment.recipe
        translator = build_translator(recipe, experiment.model.eval(), data.source_tokenizer, data.target_tokenizer)
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
    validation split (where there is none, of the training data) and learn from the same batches. Raises `RecipeError`, also where the recipe
    has not so many steps.
    """
    own = load_recipe(recipe, overrides)
    models = {start: load_recipe(recipe, [*overrides, *start_overrides(start)]).model for start in starts}
    with _prepared(walking(own, steps)) as experiment:
        batch = probe_batch(experiment, sentences)
        found: Activities = {}
        for name, section in (models or {"at the start": own.model}).items():
            one = _started(experiment, section, name)
            found[name] = layer_activities(one.model, batch)
            if steps:
                for _ in first_steps(one, steps, recipe):
                    pass
                after = f"{name}, {steps} steps" if models else f"after {steps} steps"
                found[after] = layer_activities(one.model, batch)
        return found


def run_activities(
    folder: str, overrides: Sequence[str] = (), *, checkpoint: str | None = None, sentences: int = 64
) -> Activities:
    """What each layer of a run's model does, and what it did before the first step: the recipe's seed makes that model again."""
    run = load(folder, overrides, checkpoint=checkpoint)
    translator, recipe = run.translator, run.recipe
    corpus = held_out(recipe.data)
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


def _started(experiment: Experiment, section: Model, name: str) -> Experiment:
    """The experiment, in a folder of its own, with the model of `section` before its first step, and its own model's embeddings."""
    recipe, data, training = (
        experiment.recipe.model_copy(update={"model": section}),
        experiment.data,
        experiment.recipe.training,
    )
    model = initial_model(recipe, data.source_tokenizer, data.target_tokenizer)
    given = dict(experiment.model.named_parameters())
    with torch.no_grad():
        for place, parameter in model.named_parameters():
            if place.endswith("embedding.weight"):
                parameter.copy_(given[place])
    model = model.to(next(experiment.model.parameters()).device)
    return replace(
        experiment,
        recipe=recipe,
        folder=experiment.folder / name,
        model=model,
        optimizer=build_optimizer(training.optimizer, model),
        average=build_average(training, model),
        # a team keeps what computes its model's loss
        team=Team(),
        position=Position(),
    )


@contextmanager
def _prepared(recipe: Recipe) -> Iterator[Experiment]:
    """An experiment in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="seqcli-inspection-") as folder:
        yield prepare(recipe, Path(folder))
