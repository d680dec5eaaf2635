"""Runs against each other: their scores on one test set with tests of the differences, and what differs in their recipes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from seqcli.data.corpus import Split
from seqcli.errors import DataError, RecipeError, printable
from seqcli.evaluation.comparison import FEWEST_FOR_5_PERCENT, PairedTest, moved_most, paired_tests
from seqcli.evaluation.evaluate import MODEL_METRICS, Evaluation, references_of
from seqcli.evaluation.metrics import INTERVAL_SEED
from seqcli.recipe.difference import flattened
from seqcli.run import Run
from seqcli.symbols import Example

RESAMPLES, TRIALS = 1000, 10000
"""As many as sacrebleu draws unless told."""
OF_THE_FOLDER = "run"
"""The key of a recipe that only says where its run is."""


@dataclass(frozen=True)
class Comparison:
    """Some runs on one split; the first is what the others are tested against.

    `evaluations` has one for each of `names`; `tests` those of each other run, by its name; `recipe` what differs between the recipes, by
    dotted key and run, without runs that have no such key; `notes` what a reader of the scores should know.
    """

    split: str
    names: list[str]
    evaluations: list[Evaluation]
    tests: dict[str, list[PairedTest]]
    recipe: dict[str, dict[str, Any]]
    notes: list[str]

    def moved(self, metric: str, number: int) -> list[MovedSentence]:
        """The `number` sentences of each other run whose own score in a metric of texts is farthest from the first run's."""
        first, *others = self.evaluations
        return [
            MovedSentence(
                name,
                each.row + 1,
                first.examples[each.row].source or first.examples[each.row].origin,
                first.references[each.row],
                (first.hypotheses[each.row], other.hypotheses[each.row]),
                (each.before, each.after),
            )
            for name, other in zip(self.names[1:], others, strict=True)
            for each in moved_most(first.counts[metric], other.counts[metric], number)
        ]


@dataclass(frozen=True)
class MovedSentence:
    """A sentence that `run` translates better or worse than the first run: its number in the split, from 1, its source (or where an image
    is from), what would be right, and what the first run and this one wrote and how each is scored by itself."""

    run: str
    number: int
    source: str
    references: list[str]
    outputs: tuple[str, str]
    scores: tuple[float, float]

    @property
    def difference(self) -> float:
        """By how much this run's score is above the first's."""
        return self.scores[1] - self.scores[0]

    def as_json(self) -> dict[str, Any]:
        """A dictionary of plain numbers and strings."""
        return {**asdict(self), "difference": self.difference}


def compare(
    runs: Sequence[Run],
    split: Split = "test",
    *,
    metrics: Sequence[str] | None = None,
    beam_size: int | None = None,
    resamples: int = RESAMPLES,
    trials: int = TRIALS,
    seed: int = INTERVAL_SEED,
) -> Comparison:
    """Score all runs on a split, and test each against the first (see `evaluation.comparison.paired_tests`).

    `metrics` are those of the first run's recipe if not given. `resamples` are those of the intervals and of the paired bootstrap, drawn
    from `seed`; `trials` those of approximate randomisation. DataError where the runs' examples, or the forms their references are
    compared in, are not the same; RecipeError where a metric does not count the same thing in all, or there are fewer than two runs.
    """
    names = run_names(runs)
    if len(runs) < 2:
        raise RecipeError("there is nothing to compare; give two runs or more")
    refuse_other_data(runs, split)
    wanted = list(metrics or runs[0].recipe.evaluation.metrics)
    evaluations = [
        run.evaluate(split, metrics=wanted, beam_size=beam_size, intervals=resamples, seed=seed) for run in runs
    ]
    first, *others = evaluations
    for run, name, other in zip(runs[1:], names[1:], others, strict=True):
        _refuse_other_counting((names[0], name), (runs[0], run), (first, other))
    tests = {
        name: paired_tests(first.counts, other.counts, resamples=resamples, trials=trials, seed=seed)
        for name, other in zip(names[1:], others, strict=True)
    }
    recipes = {name: run.recipe.model_dump() for name, run in zip(names, runs, strict=True)}
    return Comparison(split, names, evaluations, tests, recipe_differences(recipes), list(_notes(runs, wanted, tests)))


def refuse_other_data(runs: Sequence[Run], split: Split) -> None:
    """Raise `DataError` unless all runs have the same examples in a split, and the same form in which references are compared."""
    names = run_names(runs)
    first = list(runs[0].corpus(split).read())
    for run, name in zip(runs[1:], names[1:], strict=True):
        _refuse_other_examples(split, (names[0], name), (first, run.corpus(split).read()))
        _refuse_other_forms((names[0], name), (runs[0], run), first)


def run_names(runs: Sequence[Run]) -> list[str]:
    """What the runs are called: their folders as they were given. RecipeError where two are the same."""
    names = [str(run.folder) for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{name} is given twice; a run differs from itself in nothing")
    return names


def recipe_differences(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is not the same in all `recipes` (each a nested dictionary, by its run's name): dotted key → run → value.

    A run whose recipe has no such key is left out there. Keys stand in the order in which the recipes have them; the name of a run's
    folder is no difference.
    """
    flat = {name: flattened(recipe) for name, recipe in recipes.items()}
    keys = dict.fromkeys(key for leaves in flat.values() for key in leaves if key != OF_THE_FOLDER)
    values = {key: {name: leaves[key] for name, leaves in flat.items() if key in leaves} for key in keys}
    return {
        key: there
        for key, there in values.items()
        if len(there) < len(recipes) or any(value != next(iter(there.values())) for value in there.values())
    }


def _refuse_other_examples(
    split: str, names: tuple[str, str], examples: tuple[Iterable[Example], Iterable[Example]]
) -> None:
    for number, (one, other) in enumerate(zip_longest(*examples), start=1):
        if one is None or other is None:
            longer, shorter = (names[1], names[0]) if one is None else names
            raise DataError(
                f"{names[0]} and {names[1]} have different {split} data: {shorter} has {number - 1:,} examples, {longer} has more"
            )
        if _content(one) != _content(other):
            texts = " and ".join(
                repr(printable((each.source or each.target or each.origin)[:60])) for each in (one, other)
            )
            raise DataError(f"{names[0]} and {names[1]} have different {split} data: their example {number} is {texts}")


def _content(example: Example) -> tuple[object, ...]:
    """What an example is, wherever it came from."""
    image = example.image
    if isinstance(image, np.ndarray):
        image = hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
    return example.source, example.target, example.features, example.references, image


def _refuse_other_forms(names: tuple[str, str], runs: tuple[Run, Run], examples: Sequence[Example]) -> None:
    """A target learnt in lower case is scored against references in lower case, which no other score can be compared with."""
    tokenizers = [run.translator.target_tokenizer for run in runs]
    for example in examples:
        one, other = (references_of(example, tokenizer)[0] for tokenizer in tokenizers)
        if one != other:
            raise DataError(
                f"{names[0]} and {names[1]} put their references into different forms, {one[:60]!r} and {other[:60]!r}, so their scores "
                "cannot be compared; train both with the same target.tokenizer.lowercase and normalization"
            )


def _refuse_other_counting(
    names: tuple[str, str], runs: tuple[Run, Run], evaluations: tuple[Evaluation, Evaluation]
) -> None:
    one, other = evaluations
    for metric in one.counts:
        signatures = [each.metrics[metric].signature for each in evaluations]
        kinds = {run.translator.target_tokenizer.digest for run in runs}
        if signatures[0] != signatures[1]:
            raise RecipeError(
                f"{metric} counts different things in {names[0]} ({signatures[0]}) and {names[1]} ({signatures[1]}); set "
                "evaluation.bleu_tokenize, or choose other metrics with --metrics"
            )
        if metric == "per" and len(kinds) > 1:
            raise RecipeError(
                f"per counts symbols, and those of {names[0]} and {names[1]} are not the same; choose other metrics with --metrics"
            )


def _notes(runs: Sequence[Run], metrics: Sequence[str], tests: Mapping[str, list[PairedTest]]) -> Iterator[str]:
    depend = [name for name in metrics if name in MODEL_METRICS]
    if depend and len({run.translator.target_tokenizer.digest for run in runs}) > 1:
        yield f"{', '.join(depend)}: the target vocabularies are not the same, so these cannot be compared"
    for name, found in tests.items():
        few = [test.metric for test in found if 0 < test.differ < FEWEST_FOR_5_PERCENT]
        if few:
            yield (
                f"{name}: fewer than {FEWEST_FOR_5_PERCENT} sentences are scored differently by {', '.join(few)}; "
                "so few cannot be told from chance, whatever the p-values"
            )
