"""`metrics.jsonl` as training keeps it: every record of a run, one a line, and none of after where it stands."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from seqcli.errors import StorageError
from seqcli.metrics import record_of
from seqcli.storage import write_file
from seqcli.types import Progress


class Records:
    """The records of a run that stands at `step`. What was written after that step, before a run was cut off, is dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        try:
            lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
            write_file(path, b"".join(line for line in lines if _belongs(line, step)))
            self.file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error

    def write(self, record: Progress) -> None:
        """Append a record, without what it does not know. Raises `StorageError`."""
        known = {name: value for name, value in asdict(record).items() if value not in (None, {}, ())}
        try:
            self.file.write(json.dumps(known, ensure_ascii=False) + "\n")
            self.file.flush()
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be written ({error.strerror or error})") from error

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def records_until(path: Path, step: int) -> list[Progress]:
    """The records up to `step`; none if there is no such file. Fields that are not known, of another version, are passed over."""
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    known = {field.name for field in fields(Progress)}
    parsed = (record_of(line) for line in lines if _belongs(line, step))
    return [Progress(**{name: _tuples(value) for name, value in one.items() if name in known}) for one in parsed]


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _belongs(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and record_of(line)["step"] <= step
    except ValueError:
        return False
