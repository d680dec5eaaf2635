"""What a report has to say of a run, gathered once: its files as they are, its scores, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqcli.errors import SeqcliError
from seqcli.evaluation.evaluate import Evaluation
from seqcli.metrics import read_records
from seqcli.report.card import DataCard, read_card
from seqcli.run import ENVIRONMENT, METRICS, RECIPE, Run

MOST_RECORDS = 1500
"""So many records of a kind are in the page at most, evenly spaced, so that a long run does not make it large."""


@dataclass(frozen=True)
class Cost:
    """What training took, from all records: `seconds` without validation and checkpoints, and the most bytes in use, None where the records are
    of a version that did not write them; the median of the target symbols a second, and the mean share of padding."""

    steps: int
    epochs: int
    seconds: float | None
    peak_bytes: int | None
    tokens_per_second: float | None
    padding: float | None
    skipped: int
    spikes: int
    rewinds: int
    parameters: int


@dataclass(frozen=True)
class RunFacts:
    """One run: its `recipe` and `environment` as its files have them, its `records` (at most
    `MOST_RECORDS` of a kind; `all_records` is how many there are), its data, its scores, or why there are none, and its cost."""

    name: str
    run: Run
    recipe: str
    environment: dict[str, Any]
    records: list[dict[str, Any]]
    all_records: int
    card: DataCard
    cost: Cost
    evaluation: Evaluation | None
    unscored: str

    def of_event(self, event: str) -> list[dict[str, Any]]:
        """The records of one kind."""
        return [record for record in self.records if record["event"] == event]


def gather(name: str, run: Run, evaluation: Evaluation | str) -> RunFacts:
    """The facts of a run; `evaluation` is its scores, or why there are none."""
    records = read_records(run.folder / METRICS) if (run.folder / METRICS).is_file() else []
    return RunFacts(
        name,
        run,
        (run.folder / RECIPE).read_text(encoding="utf-8"),
        _environment(run),
        thinned(records, MOST_RECORDS),
        len(records),
        read_card(run),
        cost_of(records, sum(parameter.numel() for parameter in run.translator.model.parameters())),
        None if isinstance(evaluation, str) else evaluation,
        evaluation if isinstance(evaluation, str) else "",
    )


def cost_of(records: Sequence[dict[str, Any]], parameters: int) -> Cost:
    """What all the records of a run say of its time and memory."""

    def values(name: str) -> list[float]:
        return [record[name] for record in records if record["event"] == "train" and record.get(name) is not None]

    return Cost(
        steps=max((record["step"] for record in records), default=0),
        epochs=max((record["epoch"] for record in records), default=0),
        seconds=sum(values("seconds")) if values("seconds") else None,
        peak_bytes=int(max(values("peak_bytes"))) if values("peak_bytes") else None,
        tokens_per_second=float(np.median(values("tokens_per_second"))) if values("tokens_per_second") else None,
        padding=float(np.mean(values("padding"))) if values("padding") else None,
        skipped=int(sum(values("skipped"))),
        spikes=int(sum(values("spikes"))),
        rewinds=sum(record["event"] == "rewind" for record in records),
        parameters=parameters,
    )


def thinned(records: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most `most` records of each event, evenly spaced, the last among them; all in their order."""
    kept: set[int] = set()
    for event in {record["event"] for record in records}:
        places = [place for place, record in enumerate(records) if record["event"] == event]
        kept.update(places[round(at)] for at in np.linspace(0, len(places) - 1, min(most, len(places))))
    return [records[place] for place in sorted(kept)]


def _environment(run: Run) -> dict[str, Any]:
    path = run.folder / ENVIRONMENT
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SeqcliError(f"{path} is damaged: {error}") from error
    return found
