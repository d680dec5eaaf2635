"""`metrics.jsonl`: what is written is read again."""

from __future__ import annotations

import json
from pathlib import Path

from seqcli.training.records import Records, records_until
from seqcli.types import Progress

TRAIN = Progress("train", 10, 0, 2.5, 1e-3, 0.7, 100.0, 0.1)
VALIDATION = Progress("validation", 20, 1, scores={"loss": 2.0}, samples=(("a", "b", "c"),))


def test_records_come_back_up_to_a_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert records_until(path, 20) == []
    with Records(path, 0) as records:
        records.write(TRAIN)
        records.write(VALIDATION)
    assert records_until(path, 20) == [TRAIN, VALIDATION]
    assert records_until(path, 19) == [TRAIN]


def test_what_is_not_known_is_not_written_and_fields_of_other_versions_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Records(path, 0) as records:
        records.write(TRAIN)
    written = json.loads(path.read_text())
    assert set(written) == {
        *("event", "step", "epoch", "loss", "learning_rate", "grad_norm", "tokens_per_second", "padding")
    }
    path.write_text(json.dumps({**written, "sample": ["a", "b", "c"]}) + "\n")
    assert records_until(path, 20) == [TRAIN]
