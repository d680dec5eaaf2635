"""`checkpoints/average`: the mean of the weights of several checkpoints (Vaswani et al. 2017, §6.1), and which they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqcli.errors import RecipeError, SeqcliError
from seqcli.evaluation.metrics import worth
from seqcli.metrics import read_records
from seqcli.recipe.schema import Recipe
from seqcli.run import CHECKPOINTS, METRICS, find_checkpoint, read_recipe
from seqcli.training.checkpoint import average_weights, read_state, save_weights, step_folders, step_of


def average_checkpoints(
    folder: Path, *, last: int | None = None, best: int | None = None, named: Sequence[str] = ()
) -> list[int]:
    """Average checkpoints of the run in `folder`; return their steps.

    Which is told in one of three ways: the `last` so many; the `best` so many of those whose step was validated, by the recipe's
    best_metric; or `named` by step, best or last. Raises `RecipeError` if they are not there, `SeqcliError` if one is damaged.
    """
    recipe, checkpoints = read_recipe(folder), folder / CHECKPOINTS
    if not step_folders(checkpoints):
        raise SeqcliError(f"{folder} has no checkpoint yet; `seqcli train` makes them")
    if named:
        chosen = _named_checkpoints(checkpoints, named)
    elif best is not None:
        chosen = _best_checkpoints(folder, recipe, best)
    else:
        chosen = _last_checkpoints(folder, recipe, last or 0)
    return save_average(checkpoints, chosen)


def save_average(checkpoints: Path, chosen: Sequence[Path]) -> list[int]:
    """Write the mean of the `chosen` checkpoints as `checkpoints/average`; return their steps."""
    steps = [_step(folder) for folder in chosen]
    save_weights(checkpoints / "average", average_weights(chosen), {"steps": steps})
    return steps


def due_checkpoints(checkpoints: Path, every: int, now: int) -> list[Path]:
    """The checkpoints that were due `every` so many steps, up to step `now`, oldest first."""
    return [folder for folder in step_folders(checkpoints) if step_of(folder) <= now and step_of(folder) % every == 0]


def regular_checkpoints(checkpoints: Path, every: int, now: int) -> list[Path]:
    """The checkpoints that an uninterrupted run which stands at step `now` would have too, oldest first: those that were due, and
    the last one."""
    due = due_checkpoints(checkpoints, every, now)
    return [folder for folder in step_folders(checkpoints) if folder in due or step_of(folder) == now]


def _last_checkpoints(folder: Path, recipe: Recipe, count: int) -> list[Path]:
    checkpoints = folder / CHECKPOINTS
    newest = step_of(step_folders(checkpoints)[-1])
    there = regular_checkpoints(checkpoints, recipe.training.checkpoint_every, newest)
    if len(there) < count:
        raise RecipeError(
            f"--last {count}: {folder} has {_counted(there)}; training.keep_checkpoints ({recipe.training.keep_checkpoints}) "
            "says how many stay"
        )
    return there[-count:]


def _best_checkpoints(folder: Path, recipe: Recipe, count: int) -> list[Path]:
    metric, scores = recipe.training.best_metric, _validation_scores(folder, recipe.training.best_metric)
    there = [one for one in step_folders(folder / CHECKPOINTS) if step_of(one) in scores]
    if len(there) < count:
        raise RecipeError(
            f"--best {count}: {folder} has {_counted(there)} whose step was validated; raise training.keep_checkpoints, and let "
            "training.validate_every and checkpoint_every fall on the same steps"
        )
    # of equal ones the earlier, as the loop has it
    ranked = sorted(there, key=lambda one: worth(metric, scores[step_of(one)]), reverse=True)
    return sorted(ranked[:count])


def _named_checkpoints(checkpoints: Path, names: Sequence[str]) -> list[Path]:
    unknown = [name for name in names if name not in ("best", "last") and not name.isdecimal()]
    if unknown:
        raise RecipeError(f"{unknown[0]!r} is no checkpoint to average; give best, last, or a step's number")
    chosen = [find_checkpoint(checkpoints, name) for name in names]
    steps = [_step(folder) for folder in chosen]
    doubled = [step for step in steps if steps.count(step) > 1]
    if doubled:
        raise RecipeError(f"step {doubled[0]} is named twice, but can count only once")
    if len(chosen) < 2:
        raise RecipeError(f"{names[0]} alone is no average; name at least two checkpoints")
    return chosen


def _validation_scores(folder: Path, metric: str) -> dict[int, float]:
    """The validation score of each step that has one."""
    path = folder / METRICS
    records = read_records(path) if path.is_file() else []
    return {record["step"]: record["scores"][metric] for record in records if metric in (record.get("scores") or {})}


def _step(folder: Path) -> int:
    """The step whose weights a checkpoint has; for `best` this stands in the checkpoint alone."""
    return int(read_state(folder)["step"])


def _counted(folders: Sequence[Path]) -> str:
    if not folders:
        return "no checkpoint"
    steps = ", ".join(str(step_of(folder)) for folder in folders)
    return f"{len(folders)} checkpoint{'s' if len(folders) > 1 else ''} ({steps})"
