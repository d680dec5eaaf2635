"""Two systems on one test set: by how much their scores differ, whether that is chance, and which sentences make the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.evaluation.counting import Counts
from seqcli.evaluation.metrics import BLEU_UP_TO, higher_is_better
from seqcli.evaluation.significance import approximate_randomisation, paired_bootstrap

OF_SACREBLEU = ("bleu", *BLEU_UP_TO, "chrf", "ter")
FEWEST_FOR_5_PERCENT = 6
"""Of n outputs that differ, all gain in the same system with a chance of 2 in 2^n; from 6 on that is below 0.05."""


@dataclass(frozen=True)
class PairedTest:
    """How a system differs from another on a metric: `difference` is its score less the other's, and the p-values say how likely one so large
    is by chance. Both are None where no sentence is scored differently. `differ` is the number of sentences that are."""

    metric: str
    difference: float
    bootstrap: float | None
    randomisation: float | None
    differ: int

    def as_json(self) -> dict[str, Any]:
        """A dictionary of plain numbers and strings."""
        return {
            "metric": self.metric,
            "difference": self.difference,
            "bootstrap_p": self.bootstrap,
            "randomisation_p": self.randomisation,
            "sentences_scored_differently": self.differ,
        }


def paired_tests(
    baseline: Mapping[str, Counts], other: Mapping[str, Counts], *, resamples: int, trials: int, seed: int
) -> list[PairedTest]:
    """The tests of `other` against `baseline` for each metric, from their counts of the same items (see `counting.count`).

    For BLEU, chrF and TER the p-values are those of `sacrebleu --paired-bs` and `--paired-ar` with the same seed and numbers. Those of all
    other metrics have few values, so a trial that is just as far apart counts too.
    """
    return [
        paired_test(name, one, other[name], resamples=resamples, trials=trials, seed=seed)
        for name, one in baseline.items()
    ]


def paired_test(name: str, one: Counts, other: Counts, *, resamples: int, trials: int, seed: int) -> PairedTest:
    """The test for one metric; see `paired_tests`."""
    pair = one.counts, other.counts, one.value
    return PairedTest(
        name,
        other.value(other.counts.sum(axis=0)) - one.value(one.counts.sum(axis=0)),
        paired_bootstrap(*pair, resamples=resamples, seed=seed),
        approximate_randomisation(*pair, trials=trials, seed=seed, ties=name not in OF_SACREBLEU),
        int((one.counts != other.counts).any(axis=1).sum()),
    )


@dataclass(frozen=True)
class Moved:
    """A sentence, by its row, with its score in the one system and in the other."""

    row: int
    before: float
    after: float


def moved_most(before: Counts, after: Counts, number: int) -> list[Moved]:
    """The `number` sentences whose own score in a metric differs most between two systems, the farthest first.

    Those that have not moved are left out; of sentences that moved alike the first comes first.
    """
    scores = before.items(), after.items()
    far = np.abs(scores[1] - scores[0])
    order = np.argsort(-far, kind="stable")[:number]
    return [Moved(int(row), float(scores[0][row]), float(scores[1][row])) for row in order if far[row] > 0]


def best_first(name: str, counts: Counts, closeness: NDArray[np.float64], lengths: Sequence[int]) -> NDArray[np.intp]:
    """The rows from the best sentence to the worst in the metric `name`.

    Many are equally good in a metric that has few values: of these the one of more `closeness` (a score of another metric, more being better)
    comes first, and then the longer, since it was harder.
    """
    worth = counts.items() * (1 if higher_is_better(name) else -1)
    return np.lexsort((-np.asarray(lengths), -closeness, -worth))
