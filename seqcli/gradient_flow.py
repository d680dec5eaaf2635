"""How gradients flow in a run, or in a recipe: at initialisation and over training."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqcli.analysis.flow import Clipping, GradientFlow, GradientHistory
from seqcli.analysis.gradients import measure_gradients
from seqcli.build.translator import build_translator
from seqcli.errors import RecipeError
from seqcli.experiment import Experiment, first_steps, initial_model, prepare, walking
from seqcli.metrics import read_records
from seqcli.recipe.schema import Recipe
from seqcli.run import CHECKPOINTS, METRICS, load, measured_batch
from seqcli.training.checkpoint import load_weights, step_folder, step_folders, step_of
from seqcli.types import Batch

EXAMPLES = 16
SHOWN_STEPS = 4
"""Of more checkpoints than this, so many are looked at, evenly spaced, the first and the last among them."""


def run_history(
    folder: str | Path,
    overrides: Sequence[str] = (),
    *,
    steps: Sequence[int] | None = None,
    length: int | None = None,
    examples: int = EXAMPLES,
    label: str | None = None,
) -> GradientHistory:
    """The gradient flow of a run from its initialisation, which its seed gives back, over the checkpoints that it has kept.

    `steps` are all of these, or some, if not given; see `training.keep_checkpoints`. What was clipped is told by its records.
    RecipeError where there is no run, or no checkpoint of a step; DataError where there are no examples of that `length`.
    """
    run = load(folder, overrides)
    checkpoints, recipe = run.folder / CHECKPOINTS, run.recipe
    kept = [step_of(found) for found in step_folders(checkpoints)]
    missing = sorted(set(steps or ()) - {0, *kept})
    if missing:
        raise RecipeError(
            f"{folder} has kept no checkpoint of step {missing[0]}; it has {', '.join(map(str, [0, *kept]))} "
            "(training.keep_checkpoints says how many stay)"
        )
    batch = measured_batch(recipe, run.translator, length=length, examples=examples)
    model, flows = run.translator.model, []
    for step in sorted(set(steps)) if steps is not None else _thinned([0, *kept]):
        if step:
            load_weights(step_folder(checkpoints, step), model)
        else:
            start = initial_model(recipe, run.translator.source_tokenizer, run.translator.target_tokenizer)
            model.load_state_dict(start.state_dict())
        flows.append(measure_gradients(model, batch, step=step))
    return GradientHistory(label or run.folder.name, tuple(flows), recorded_clipping(run.folder, recipe))


def recorded_clipping(folder: Path, recipe: Recipe) -> Clipping | None:
    """The lengths of the gradient before clipping that a run has recorded, each the mean of `training.log_every` steps."""
    records = [record for record in read_records(folder / METRICS) if record.get("grad_norm") is not None]
    if not records:
        return None
    training = recipe.training
    return Clipping(
        np.array([record["step"] for record in records]),
        np.array([record["grad_norm"] for record in records], dtype=float),
        training.clip_norm,
        training.log_every,
    )


def recipe_history(
    recipe: Recipe,
    *,
    steps: Sequence[int] = (0,),
    length: int | None = None,
    examples: int = EXAMPLES,
    label: str,
) -> GradientHistory:
    """The gradient flow of a recipe's model before the first of `steps` and after each of them; it is trained as far as that, and not kept.

    Training is what `seqcli train` does, but nothing is validated on the way where nothing depends on it. RecipeError for a step beyond
    the recipe's last; DataError where there are no examples of that `length`.
    """
    wanted, norms = sorted(set(steps)), list[float]()
    with tempfile.TemporaryDirectory(prefix="seqcli-gradients-") as folder:
        experiment = prepare(walking(recipe, wanted[-1]), Path(folder))
        batch = _batch(experiment, length, examples)
        flows = [_measured(experiment, batch)] if 0 in wanted else []
        if wanted[-1] == 0:
            return GradientHistory(label, tuple(flows), None)
        for record in first_steps(experiment, wanted[-1], label):
            norms.append(float("nan") if record.grad_norm is None else record.grad_norm)
            if experiment.position.step in wanted:
                flows.append(_measured(experiment, batch))
    every = np.arange(1, len(norms) + 1)
    return GradientHistory(label, tuple(flows), Clipping(every, np.array(norms), recipe.training.clip_norm, 1))


def _batch(experiment: Experiment, length: int | None, examples: int) -> Batch:
    data = experiment.data
    translator = build_translator(experiment.recipe, experiment.model, data.source_tokenizer, data.target_tokenizer)
    return measured_batch(experiment.recipe, translator, length=length, examples=examples)


def _measured(experiment: Experiment, batch: Batch) -> GradientFlow:
    return measure_gradients(experiment.model, batch, step=experiment.position.step)


def _thinned(steps: Sequence[int]) -> list[int]:
    """At most `SHOWN_STEPS` of the steps, evenly spaced, with the first and the last."""
    if len(steps) <= SHOWN_STEPS:
        return list(steps)
    return [steps[round(place)] for place in np.linspace(0, len(steps) - 1, SHOWN_STEPS)]
