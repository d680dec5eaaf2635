"""`metrics.jsonl`: what is written is read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from seqcli.errors import DataError
from seqcli.metrics import read_records
from seqcli.training.records import Records, records_until
from seqcli.types import Progress

TRAIN = Progress("train", 10, 0, 2.5, 1e-3, 0.7, 100.0, 0.1)
VALIDATION = Progress("validation", 20, 1, scores={"loss": 2.0}, samples=(("a", "b", "c"),))
RUN = [json.loads(json.dumps(asdict(record))) for record in (TRAIN, VALIDATION)]


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


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_records_are_read_up_to_a_line_that_is_not_finished(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(record) for record in RUN)
    path = tmp_path / "metrics.jsonl"
    assert read_records(written(path, text + "\n")) == RUN
    assert read_records(written(path, text)) == RUN
    for cut in range(1, 20):
        assert read_records(written(path, text[:-cut])) == RUN[:-1]
    assert read_records(written(path, "")) == []


@pytest.mark.parametrize("damaged", ["{", "[1]", "3", '{"step": 1}', '{"event": "train", "step": "1"}', "\0\0"])
def test_a_damaged_line_is_named(damaged: str, tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.jsonl", f"{json.dumps(RUN[0])}\n{damaged}\n{json.dumps(RUN[1])}\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl:2: "):
        read_records(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_records(tmp_path / "metrics.jsonl")
