"""What a run has told so far: its latest record, its validations, its best scores, and its curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqcli.cli.console import figure
from seqcli.cli.sparkline import Curve

if TYPE_CHECKING:
    from seqcli.types import Progress

MOST_VALIDATIONS = 8


class History:
    """The records of a run, as much of them as is shown. `watched` is the score that names the best checkpoint."""

    def __init__(self, watched: str) -> None:
        self.watched = watched
        self.latest: Progress | None = None
        self.validations: list[Progress] = []
        self.best: dict[str, tuple[float, int]] = {}
        self.curves: dict[str, Curve] = {}
        self.score_curves: dict[str, Curve] = {}

    def keep(self, record: Progress) -> None:
        """Take in a record."""
        if record.event == "train":
            self.latest = record
            for name, value in (
                ("loss", record.loss),
                ("gradient norm", record.grad_norm),
                ("learning rate", record.learning_rate),
            ):
                self.curves.setdefault(name, Curve(logarithmic=name == "gradient norm")).add(value)
        elif record.event == "validation":
            self.validations = [*self.validations, record][-MOST_VALIDATIONS:]
            for name, score in record.scores.items():
                self.score_curves.setdefault(name, Curve(logarithmic=name == "perplexity")).add(score)
                if name not in self.best or _is_better(name, score, self.best[name][0]):
                    self.best[name] = (score, record.step)

    def score_names(self) -> list[str]:
        """The scores of the last validation, the watched one first."""
        return sorted(self.validations[-1].scores, key=lambda name: name != self.watched) if self.validations else []

    @property
    def samples(self) -> tuple[tuple[str, str, str], ...]:
        """Source, target and hypothesis of some examples, of the last validation."""
        return self.validations[-1].samples if self.validations else ()


def training_figures(record: Progress) -> list[tuple[str, str]]:
    """The averages of a training record, as they are shown."""
    return [
        ("loss", "–" if record.loss is None else figure(record.loss)),
        ("learning rate", f"{record.learning_rate or 0.0:.2e}"),
        ("gradient norm", figure(record.grad_norm or 0.0)),
        *([] if record.given is None else [("given symbols", f"{100 * record.given:.1f} %")]),
        ("tokens/s", f"{record.tokens_per_second or 0.0:,.0f}"),
        ("padding", f"{100 * (record.padding or 0.0):.1f} %"),
        *([("skipped steps", str(record.skipped))] if record.skipped else []),
        *([("spikes", str(record.spikes))] if record.spikes else []),
    ]


def _is_better(name: str, new: float, old: float) -> bool:
    from seqcli.evaluation.metrics import is_better

    return is_better(name, new, old)
