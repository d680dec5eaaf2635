"""JSON as others read it: numbers that are none are null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(value: object, *, compact: bool = False) -> str:
    """A value as JSON on one line, `compact` without spaces. NaN and the infinities, for which JSON has no word, become null."""
    how: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":") if compact else None}
    try:
        return json.dumps(value, **how)
    except ValueError:  # rare, so the usual value is not walked through
        return json.dumps(_finite(value), **how)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
