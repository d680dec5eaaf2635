"""`seqcli train`: from a recipe to a run directory."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli.arguments import Overrides, Quiet, split_overrides
from seqcli.cli.launch import inside_team
from seqcli.cli.signals import collected

if TYPE_CHECKING:
    from seqcli.cli.training_view import TrainingView
    from seqcli.experiment import Experiment
    from seqcli.recipe.schema import Recipe

VERIFIED = 10
"""Steps of each half that --verify-resume compares."""


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|DATA...",
            help="A recipe file, or the name of a shipped recipe; or files of pairs (.tsv, .csv, .jsonl, .parquet), for which one is chosen.",
        ),
    ],
    overrides: Overrides = None,
    for_data: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME", help="The recipe for files of pairs, rather than the one that seems to suit."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the data, build the model, print a summary, and stop.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew in a directory beside a run that is there already.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify-resume", help=f"Try out whether an interruption changes the run ({2 * VERIFIED} steps), and stop."
        ),
    ] = False,
    devices: Annotated[
        int,
        typer.Option("--devices", min=1, help="How many GPUs of this machine, or processes on CPUs, share each batch."),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary of --dry-run as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model. The same command again goes on where it stopped.

    The run directory is runs/<name of the recipe, or of the file>, or what the key `run` says. Ctrl-C saves a checkpoint and stops, a second Ctrl-C
    stops at once; SIGUSR1 saves a checkpoint and goes on.
    """
    from seqcli.cli.console import note, notes, print_json, warn
    from seqcli.cli.work_view import WorkView
    from seqcli.errors import RecipeError

    if as_json and not dry_run:
        raise RecipeError("--json goes with --dry-run; what a run tells stands in its metrics.jsonl")
    # of several processes that share the work, one speaks
    notes.quiet = quiet or int(os.environ.get("RANK", "0")) > 0
    resolved, name, seen = _resolved(recipe, overrides or [], for_data)
    folder = Path(resolved.run or f"runs/{name}")
    several = devices > 1 and not inside_team() and not dry_run
    if seen and not several:  # of several processes the first will say it
        note(seen)
    if verify:
        _verify(resolved)
        return
    command = [argument for argument in sys.argv[1:] if argument != "--fresh"]
    if fresh:
        folder = _unused(folder)
        command.append(f"run={folder}")
    if several:
        _launch(command, devices)
        return
    with WorkView("reading the data"):
        from seqcli.experiment import prepare

        experiment = prepare(resolved, folder)
    _tell_left_out(experiment)
    for problem in experiment.passed_over:
        warn(f"{problem}; going on from the checkpoint before it")
    _tell_batch(experiment)
    if dry_run:
        from seqcli.cli.summary import print_summary, summary_as_json

        if as_json:
            print_json(summary_as_json(experiment))
        else:
            print_summary(experiment)
        return

    start, total = experiment.position.step, experiment.total_steps
    note(f"{'going on with' if start else 'training'} {folder}" + (f" at step {start}" if start else ""))
    with (
        collected() as received,
        _view(experiment) as view,
        _death_of_others_told(experiment.team.size),
    ):
        for record in experiment.train(
            lambda: _tick(view, experiment) or bool(received.stop), received.take_save, note, warn
        ):
            view.show(record)
    experiment.team.leave()
    step = experiment.position.step
    if not experiment.done:
        note(f"stopped at step {step}; a checkpoint is saved; to go on: {shlex.join(['seqcli', *command])}")
        raise typer.Exit(128 + (received.stop or [signal.SIGTERM])[0])
    if step == start:
        note(f"already at step {step} of {total}; to train longer, raise training.steps or training.epochs")
    note(f"done: {step} steps; next: seqcli eval {folder}")


def _resolved(recipe: str, overrides: list[str], for_data: str | None) -> tuple[Recipe, str, str]:
    """The recipe that is meant, or chosen for files of pairs; the name of its run; and what there is to say of the choice."""
    from seqcli.data.files import is_table
    from seqcli.errors import RecipeError
    from seqcli.recipe.load import load_recipe, recipe_name

    if not is_table(recipe):
        more, _ = split_overrides(overrides)
        if more and Path(recipe).is_file() and not recipe.endswith((".yaml", ".yml")):
            raise RecipeError(
                f"{recipe} and {more[0]}: two files, of one language each, are named in the data of a recipe: seqcli train "
                f"translation/bpe-transformer 'data={{kind: text, train: {{source: {recipe}, target: {more[0]}}}, hold_out: 0.1}}'"
            )
        if for_data is not None:
            raise RecipeError(
                f"--recipe {for_data} is for files of pairs, but {recipe} is a recipe itself; give one of them"
            )
        return load_recipe(recipe, overrides), recipe_name(recipe), ""
    from seqcli.build.choice import choose

    more, overrides = split_overrides(overrides)
    for one in more:
        if not is_table(one):
            raise RecipeError(
                f"{one}: is neither a file of pairs (.tsv, .csv, .jsonl, .parquet) nor an override (key.path=value)"
            )
    chosen = choose([recipe, *more], overrides, for_data)
    return chosen.recipe, chosen.name, chosen.told


def _launch(command: list[str], devices: int) -> None:
    """Train in several processes. Raises `SeqcliError`, with the exit code of the one that was the first, if one of them dies."""
    from seqcli.cli.launch import launch
    from seqcli.errors import SeqcliError

    code, problem = launch(command, devices)
    if problem:
        error = SeqcliError(f"{problem}; the others were ended. The same command goes on from the last checkpoint")
        error.exit_code = code
        raise error
    if code:
        raise typer.Exit(code)


def _verify(recipe: Recipe) -> None:
    """Say whether a run in two halves is the same as a straight one, and which tensor is the first that is not."""
    from seqcli.cli.console import note
    from seqcli.cli.work_view import WorkView
    from seqcli.errors import SeqcliError

    with WorkView(f"training {2 * VERIFIED} steps straight, and {VERIFIED} and {VERIFIED}"):
        from seqcli.verification import verify_resume

        differing = verify_resume(recipe, VERIFIED)
    if differing:
        raise SeqcliError(
            f"a run that was interrupted is another one: {len(differing)} tensors differ, the first is {differing[0]}"
        )
    note(f"{2 * VERIFIED} steps, straight and interrupted after {VERIFIED}: the same to the last bit")


def _view(experiment: Experiment) -> TrainingView:
    """The view of a run, with what it has gone through already."""
    from seqcli.cli.training_view import TrainingView

    training, validated = experiment.recipe.training, experiment.data.validation is not None
    view = TrainingView(
        experiment.folder.name,
        experiment.total_steps,
        experiment.position.step,
        watched=training.best_metric,
        validate_every=(training.validate_every or experiment.steps_an_epoch) if validated else None,
        checkpoint_every=training.checkpoint_every,
        may_end_early=training.early_stopping is not None,
    )
    view.recall(experiment.records())
    return view


def _tick(view: TrainingView, experiment: Experiment) -> bool:
    """Move the progress bar at every step; the loop asks at each whether to stop."""
    view.advance(experiment.position.step)
    return False


def _unused(folder: Path) -> Path:
    """`folder`, or the first of folder-2, folder-3, … that is not there."""
    candidates = [folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 10000))]
    return next(candidate for candidate in candidates if not candidate.exists())


def _tell_left_out(experiment: Experiment) -> None:
    """Examples that are not used, so that nothing is lost in silence."""
    from seqcli.cli.console import warn

    for name, corpus in (("training", experiment.data.train), ("validation", experiment.data.validation)):
        if corpus is None:
            continue
        report = corpus.report
        for count, origins, why in (
            (report.empty, report.empty_origins, "an empty side"),
            (report.too_long, report.too_long_origins, "more symbols than max_length"),
        ):
            if count:
                more = ", …" if count > len(origins) else ""
                warn(f"{count} {name} examples have {why} and are left out ({', '.join(origins)}{more})")
        if report.corrupt:
            more = "; …" if report.corrupt_different > len(report.corrupt_images) else ""
            warn(
                f"{report.corrupt} {name} examples are left out, since {report.corrupt_different} images cannot be read "
                f"({'; '.join(report.corrupt_images)}{more})"
            )


def _tell_batch(experiment: Experiment) -> None:
    """What `training.batch_tokens: auto` has come to."""
    from seqcli.cli.console import note

    choice = experiment.batch_choice
    if choice is not None:
        peak, free = (f"{amount / 2**30:.1f} GB" for amount in (choice.predicted_bytes, choice.free_bytes))
        note(f"batches of {choice.batch_tokens:,} symbols (auto): about {peak} of memory at most, of {free} free")


@contextmanager
def _death_of_others_told(size: int) -> Iterator[None]:
    """In a team, what torch raises when a process can no longer be reached, as a sentence."""
    try:
        yield
    except RuntimeError as error:
        from seqcli.errors import SeqcliError, is_out_of_memory

        if size == 1 or is_out_of_memory(error):
            raise
        reason = str(error).splitlines()[0]
        raise SeqcliError(
            f"another process of this run has ended or cannot be reached ({reason}); the same command goes on from the last checkpoint"
        ) from error
