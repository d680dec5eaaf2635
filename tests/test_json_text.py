"""JSON as others read it."""

from __future__ import annotations

import json
import math

from seqcli.json_text import json_text


def test_what_is_no_number_is_null() -> None:
    value = {"a": [1.5, math.nan, (math.inf, {"b": -math.inf})], "ü": True, "c": None}
    assert json_text(value) == '{"a": [1.5, null, [null, {"b": null}]], "ü": true, "c": null}'
    assert json_text(value, compact=True) == json_text(value).replace(": ", ":").replace(", ", ",")


def test_what_is_a_number_stays_to_the_last_digit() -> None:
    assert json.loads(json_text([0.1 + 0.2, 1e-300, 10**30])) == [0.1 + 0.2, 1e-300, 10**30]
