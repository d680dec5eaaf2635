"""The files that a tokenizer is saved in: JSON with a digest, written whole or not at all, and never a pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from seqcli.errors import DataError
from seqcli.storage import write_file


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a tokenizer's JSON file, with a digest by which `read_record` notices damage."""
    text = json.dumps({**record, "digest": record_digest(record)}, ensure_ascii=False, indent=1)
    write_file(path, text.encode())


def read_record(path: Path) -> dict[str, Any]:
    """A tokenizer's JSON file; raises `DataError` if it is missing or not as it was written."""
    try:
        record = json.loads(path.read_bytes())
        digest = record.pop("digest")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: the file is damaged ({error})") from error
    if digest != record_digest(record):
        raise DataError(f"{path}: the file is damaged, or was changed by hand (its digest does not fit)")
    assert isinstance(record, dict)
    return record


def record_digest(record: dict[str, Any]) -> str:
    """A digest of a tokenizer's record."""
    text = json.dumps(record, ensure_ascii=True, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
