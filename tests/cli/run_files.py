"""What a run directory holds, as far as two runs that did the same have it alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MEASURED_ANEW = ("tokens_per_second", "seconds", "peak_bytes")
"""The fields of `Progress` that depend on the machine and its mood: two runs of one recipe differ in these alone."""


def records(run: Path) -> list[dict[str, Any]]:
    """The records of a run, without what is measured anew each time."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_bytes().split(b"\n") if line]
    return [{name: value for name, value in line.items() if name not in MEASURED_ANEW} for line in lines]


def everything(run: Path) -> dict[str, bytes]:
    """The files of a run but for its records, which tell how fast it was, and the key `run`."""
    left_out = ("metrics.jsonl", "recipe.yaml")
    files = [file for file in run.rglob("*") if file.is_file() and file.name not in left_out]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}
