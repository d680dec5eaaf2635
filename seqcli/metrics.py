"""Reading `metrics.jsonl`, the records of a run, one a line. No torch here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqcli.errors import DataError


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a `metrics.jsonl`, in order. A last line that was not finished is left out: the run may be going on.

    DataError for a file that cannot be read, and for any other line that is not a record.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            if line:
                records.append(record_of(line))
        except ValueError as error:
            # Every finished line ends in a line break, so nothing is expected after the last one.
            if number < len(lines):
                raise DataError(f"{path}:{number}: this line is not a record of a run: {error}") from error
    return records


def record_of(line: str | bytes) -> dict[str, Any]:
    """The record that a line holds. ValueError where that is none."""
    record = json.loads(line)
    if not isinstance(record, dict) or not isinstance(record.get("step"), int) or "event" not in record:
        raise ValueError("it needs an event and a step")
    return record
