"""From a recipe to a run directory: prepare, train, keep the records."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from seqcli.averaging import due_checkpoints, regular_checkpoints, save_average
from seqcli.build.batches import choose_batch_tokens, load_batch, plan_epoch, with_batch_tokens
from seqcli.build.data import PreparedData, image_shape, prepare_data
from seqcli.build.loggers import build_loggers, refuse_missing_packages
from seqcli.build.model import build_model
from seqcli.build.training import (
    build_average,
    build_limits,
    build_objective,
    build_optimizer,
    build_plateau,
    build_schedule,
    build_spikes,
)
from seqcli.build.translator import build_translator, search_settings
from seqcli.data.batching import Rows
from seqcli.data.tokenizer import Tokenizer, same_symbols
from seqcli.environment import environment
from seqcli.errors import RecipeError, SeqcliError
from seqcli.evaluation.evaluate import evaluate
from seqcli.evaluation.metrics import worth
from seqcli.identity import fingerprint, refuse_changes, refuse_other_data, refuse_other_start
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.loggers import Loggers as LoggersSection
from seqcli.recipe.model import text_encoder
from seqcli.recipe.schema import Recipe
from seqcli.run import (
    CHECKPOINTS,
    DATA,
    ENVIRONMENT,
    METRICS,
    RECIPE,
    SENT,
    find_checkpoint,
    read_recipe,
    use_machine,
)
from seqcli.storage import write_file
from seqcli.training.checkpoint import (
    Position,
    finish_replacing,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    step_folder,
    step_folders,
    step_of,
    weights_of,
)
from seqcli.training.loggers import Loggers
from seqcli.training.loop import Hooks, Sample, done, fit
from seqcli.training.memory import BatchChoice, keep_freed_memory
from seqcli.training.moving_average import MovingAverage
from seqcli.training.optim import Optimizer
from seqcli.training.precision import refuse_missing
from seqcli.training.records import Records, records_until
from seqcli.training.team import Team, join_team
from seqcli.types import Batch, Progress

SHOWN_ORIGINS = 5
"""How many examples a message names."""


@dataclass
class Experiment:
    """Everything a training run works with; made by `prepare`."""

    recipe: Recipe
    folder: Path
    data: PreparedData
    model: Seq2Seq
    optimizer: Optimizer
    average: MovingAverage | None
    team: Team
    position: Position
    passed_over: list[str] = field(default_factory=list)
    """What is wrong with each newer checkpoint than the one that the run goes on from."""
    batch_choice: BatchChoice | None = None
    """What `training.batch_tokens: auto` has come to, if it was decided now."""

    @cached_property
    def steps_an_epoch(self) -> int:
        """Optimizer steps that one pass over all data takes (one of them; others may differ by a few)."""
        return self._steps_of(self._introductory_epochs)

    @cached_property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run, as far as they are known beforehand."""
        training, first = self.recipe.training, self._introductory_epochs
        if training.steps is not None:
            return training.steps
        epochs = training.epochs or 0
        return sum(map(self._steps_of, range(min(first, epochs)))) + max(0, epochs - first) * self.steps_an_epoch

    @property
    def _introductory_epochs(self) -> int:
        curriculum = self.recipe.training.curriculum
        return 0 if curriculum is None else curriculum.epochs

    def _steps_of(self, epoch: int) -> int:
        return -(-len(self.plan(epoch)) // self.recipe.training.accumulation)

    @property
    def done(self) -> bool:
        """Whether the run is as long as its recipe says, or patience is out."""
        return done(self.position, build_limits(self.recipe.training))

    def plan(self, epoch: int) -> list[Rows]:
        """The batches of an epoch."""
        return plan_epoch(self.recipe, self.data, epoch)

    def train(
        self,
        stop: Callable[[], bool] = lambda: False,
        save_now: Callable[[], bool] = lambda: False,
        note: Callable[[str], None] = lambda message: None,
        warn: Callable[[str], None] = warnings.warn,
    ) -> Iterator[Progress]:
        """Train, or go on training, and keep checkpoints and records; yield each record.

        Ends early once `stop()` is true; keeps a checkpoint after a step whenever `save_now()` is. `note` and `warn` are told of
        the loggers: where they send the records, and which has failed.
        """
        training = self.recipe.training
        keep_freed_memory()
        # a run that is finished keeps what it was made with, whoever asks for it again
        if self.team.leads and not self.done:
            write_run_files(self)
        with self._keeping(note, warn) as keep:
            progress = fit(
                self.model,
                self.optimizer,
                build_schedule(training.schedule, self.total_steps),
                training.optimizer.learning_rate,
                self.plan,
                partial(load_batch, self.recipe, self.data),
                self.position,
                build_limits(training),
                build_objective(training),
                Hooks(self._validator(), self._watched, self._save, stop, save_now, self._describe, self._rewind),
                build_plateau(training.schedule),
                self.average,
                self.team,
                build_spikes(training),
            )
            for record in progress:
                # a checkpoint shows in its folder; where a run was interrupted is not to be seen in its records
                if record.event != "checkpoint":
                    keep(record)
                yield record
        if not self.team.leads:
            return
        # a run that was killed between its last checkpoint and this has not done it
        self._prune()
        if self.done:
            self._average()

    @contextmanager
    def _keeping(
        self, note: Callable[[str], None], warn: Callable[[str], None]
    ) -> Iterator[Callable[[Progress], None]]:
        """What keeps a record, in `metrics.jsonl` and with the loggers; of a team, the leader alone does."""
        if not self.team.leads:
            yield lambda record: None
            return
        makers = {} if self.done else build_loggers(self.recipe, self.folder, self.position.step)
        with (
            Records(self.folder / METRICS, self.position.step) as records,
            Loggers(makers, self.folder / SENT, note, warn) as loggers,
        ):

            def keep(record: Progress) -> None:
                records.write(record)
                loggers.log(record)

            yield keep

    def records(self) -> list[Progress]:
        """What the run has told up to where it stands, from `metrics.jsonl`."""
        return records_until(self.folder / METRICS, self.position.step)

    def _validator(self) -> Callable[[], tuple[dict[str, float], tuple[Sample, ...]]] | None:
        """What scores the model on the validation split, if there is one."""
        validation = self.data.validation
        if validation is None:
            return None
        # only the leader validates
        examples = [validation.example(row) for row in range(len(validation))] if self.team.leads else []
        translator = build_translator(
            self.recipe, self.team.plain(self.model), self.data.source_tokenizer, self.data.target_tokenizer
        )
        section, settings = self.recipe.evaluation, search_settings(self.recipe)
        names = list(dict.fromkeys([*section.metrics, self.recipe.training.best_metric]))

        sampled = spread(len(examples), section.samples)

        def validate() -> tuple[dict[str, float], tuple[Sample, ...]]:
            result = evaluate(translator, examples, names, settings, bleu_tokenize=section.bleu_tokenize)
            shown = [examples[row] for row in sampled]
            if result.hypotheses:
                written = [result.hypotheses[row] for row in sampled]
            else:
                found = translator.translate(shown, replace(settings, beam_size=1, diverse_groups=1))
                written = [next((one.text for one in each), "") for each in found]
            scores = {name: metric.value for name, metric in result.metrics.items()}
            return scores, tuple(
                (one.source or one.origin, one.target or "", text) for one, text in zip(shown, written, strict=True)
            )

        return validate

    def _watched(self, scores: dict[str, float]) -> float:
        name = self.recipe.training.best_metric
        return worth(name, scores[name])

    def _describe(self, group: Sequence[Batch]) -> str:
        """Where the examples of some batches come from; they are also written to a file, whole."""
        examples = [self.data.train.example(row) for batch in group for row in batch.index.tolist()]
        path = self.folder / "not-a-number.jsonl"
        if self.team.leads:
            lines = (json.dumps(asdict(replace(one, image=None)), ensure_ascii=False) for one in examples)
            write_file(path, "".join(f"{line}\n" for line in lines).encode())
        more = ", …" if len(examples) > SHOWN_ORIGINS else ""
        return f"{', '.join(example.origin for example in examples[:SHOWN_ORIGINS])}{more} (all in {path})"

    def _save(self, kind: str, position: Position) -> None:
        checkpoints = self.folder / CHECKPOINTS
        if kind == "best":
            about = {"step": position.step, self.recipe.training.best_metric: abs(position.best or 0.0)}
            save_weights(checkpoints / "best", weights_of(self.team.plain(self.model)), about)
            return
        newest = step_folder(checkpoints, position.step)
        save_checkpoint(newest, self.model, self.optimizer, position, self.average, writes=self.team.leads)
        if self.team.leads:
            self._prune()

    def _rewind(self) -> int | None:
        """Weights, optimizer and moving average as the last checkpoint that was due has them; its step, if there is one."""
        # no other ones, and no newer ones, which are damaged: a run that was not interrupted has them not
        due = due_checkpoints(self.folder / CHECKPOINTS, self.recipe.training.checkpoint_every, self.position.step)
        if not due:
            return None
        load_checkpoint(due[-1], self.model, self.optimizer, self.average)
        return step_of(due[-1])

    def _prune(self) -> None:
        """Remove the checkpoints that nobody needs any more."""
        checkpoints, training = self.folder / CHECKPOINTS, self.recipe.training
        kept = self._regular_checkpoints()[-max(training.keep_checkpoints, training.average) :]
        for old in step_folders(checkpoints):
            if old not in (*kept, step_folder(checkpoints, self.position.step)):
                shutil.rmtree(old, ignore_errors=True)

    def _regular_checkpoints(self) -> list[Path]:
        """The checkpoints that an uninterrupted run would have too."""
        every = self.recipe.training.checkpoint_every
        return regular_checkpoints(self.folder / CHECKPOINTS, every, self.position.step)

    def _average(self) -> None:
        count = self.recipe.training.average
        folders = self._regular_checkpoints()[-count:]
        if count > 1 and len(folders) > 1:
            save_average(self.folder / CHECKPOINTS, folders)


def prepare(recipe: Recipe, folder: Path) -> Experiment:
    """Read and encode the data, build the model, and, where `folder` holds a run of this recipe, take up its last checkpoint."""
    refuse_missing_packages(recipe.loggers)
    resuming = (folder / RECIPE).is_file()
    if resuming:
        before = read_recipe(folder)
        if recipe.training.batch_tokens == "auto":
            recipe = with_batch_tokens(recipe, before.training.batch_tokens)
        refuse_changes(recipe, before, folder)
    device = use_machine(recipe)
    reader = text_encoder(recipe.model.encoder)
    lstm = "lstm" in (reader and reader.kind, recipe.model.decoder.kind)
    refuse_missing(recipe.training.precision, device, lstm=lstm)
    team = join_team(recipe.seed)
    symbols = _symbols(recipe, folder, resuming)
    with team.leader_first():
        data = prepare_data(recipe, symbols)
    if resuming:
        refuse_other_data(data, folder)
    # a run that has checkpoints no longer needs the one that it was begun with
    begun = bool(step_folders(folder / CHECKPOINTS))
    model = initial_model(recipe, data.source_tokenizer, data.target_tokenizer, begun=begun).to(device)
    choice = None
    if recipe.training.batch_tokens == "auto":
        probed = build_optimizer(recipe.training.optimizer, model)
        choice = team.share(lambda: choose_batch_tokens(recipe, data, model, probed))
        recipe = with_batch_tokens(recipe, choice.batch_tokens)
    if recipe.training.sharding == "full":
        team.shard(model)
    optimizer = build_optimizer(recipe.training.optimizer, model)
    average = build_average(recipe.training, model)
    experiment = Experiment(recipe, folder, data, model, optimizer, average, team, Position(), batch_choice=choice)
    with team.leader_first():
        _take_up_newest(experiment)
    return experiment


def _symbols(recipe: Recipe, folder: Path, resuming: bool) -> Path | None:
    """The run whose symbols training takes: none, or of a run that is fine-tuned the one it begins with, and itself once it is there.
    Raises `RecipeError` where that one has another model or other symbols."""
    if recipe.training.start_from is None:
        return None
    if resuming:
        return folder
    start = Path(recipe.training.start_from)
    refuse_other_start(recipe, start)
    return start


def initial_model(
    recipe: Recipe, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer, *, begun: bool = False
) -> Seq2Seq:
    """The model of a recipe before its first step, the same each time: its weights are drawn from the recipe's seed, or those of the run
    that `training.start_from` names. If it is `begun`, and other weights will be put in, that run is not read."""
    torch.manual_seed(recipe.seed)
    model = build_model(
        recipe.model,
        source_tokenizer.size,
        target_tokenizer.size,
        image_shape=image_shape(recipe.source),
        copies=same_symbols(source_tokenizer, target_tokenizer) if recipe.model.copying else None,
    )
    if recipe.training.start_from is not None and not begun:
        load_weights(find_checkpoint(Path(recipe.training.start_from) / CHECKPOINTS, "auto"), model)
    return model


def _take_up_newest(experiment: Experiment) -> None:
    """Go on from the newest checkpoint that is whole, if there is any at all; raise `SeqcliError` if none of them is."""
    checkpoints = experiment.folder / CHECKPOINTS
    finish_replacing(checkpoints)
    for folder in reversed(step_folders(checkpoints)):
        try:
            experiment.position = load_checkpoint(folder, experiment.model, experiment.optimizer, experiment.average)
            return
        except SeqcliError as error:
            experiment.passed_over.append(str(error))
    if experiment.passed_over:
        raise SeqcliError(
            f"no checkpoint of {experiment.folder} can be used: {'; '.join(experiment.passed_over)}. "
            "--fresh starts anew in a directory beside it"
        )


def walking(recipe: Recipe, last: int) -> Recipe:
    """The recipe as it is trained to look at its first steps, up to `last`: with a record of each step, and without what would only take time,
    or tell others of it."""
    training = recipe.training
    watched = training.schedule.kind == "plateau" or training.early_stopping is not None
    changes: dict[str, object] = {"log_every": 1}
    if not watched:
        changes["validate_every"] = last + 1
    return recipe.model_copy(update={"training": training.model_copy(update=changes), "loggers": LoggersSection()})


def first_steps(experiment: Experiment, last: int, name: str) -> Iterator[Progress]:
    """Train an experiment that was prepared as `walking` has it, up to step `last`; yield the record of each step.

    Raises `RecipeError` where the recipe, of that `name`, has fewer.
    """
    if last > experiment.total_steps:
        raise RecipeError(
            f"{name} trains {experiment.total_steps:,} steps, so there is no step {last:,}; raise training.steps"
        )
    with closing(experiment.train()) as records:  # type: ignore[type-var]
        for record in records:
            if record.event == "train":
                yield record
                if record.step >= last:
                    return


def write_run_files(experiment: Experiment) -> None:
    """The files that make the run directory self-contained. Raises `StorageError` if it cannot be written."""
    folder, device = experiment.folder, next(experiment.model.parameters()).device
    experiment.data.source_tokenizer.save(folder, "source")
    experiment.data.target_tokenizer.save(folder, "target")
    write_file(folder / DATA, (json.dumps(fingerprint(experiment.data), indent=1) + "\n").encode())
    write_file(folder / ENVIRONMENT, (json.dumps(environment(device), indent=1) + "\n").encode())
    # last, because a folder with a recipe counts as a run
    write_file(folder / RECIPE, dump_recipe(experiment.recipe).encode())


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` rows, evenly far from each other, the first one among them."""
    wanted = min(wanted, count)
    return [count * place // wanted for place in range(wanted)]
