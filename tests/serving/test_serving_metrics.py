"""The text that Prometheus reads, parsed by a reader of its own that follows the exposition format's grammar."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from seqcli.serving.metrics import Histogram, Metrics

LINE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>[0-9.e+-]+|\+Inf|NaN)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every number by its name and labels; each line must be a comment or follow the grammar."""
    found = {}
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE")
            if word == "TYPE":
                assert name not in kinds
                kinds[name] = rest
            continue
        match = LINE.fullmatch(line)
        assert match, line
        labels = match["labels"] or ""
        pairs = LABEL.findall(labels)
        assert LABEL.sub("", labels) == ""
        assert re.sub("_(bucket|sum|count)$", "", match["name"]) in kinds or match["name"] in kinds
        unescaped = [(name, re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)) for name, value in pairs]
        key = (match["name"], tuple(unescaped))
        assert key not in found
        found[key] = float(match["value"].replace("Inf", "inf"))
    return found


def test_counts_by_labels() -> None:
    metrics = Metrics()
    metrics.requests.add(route="/translate", status="200")
    metrics.requests.add(route="/translate", status="200")
    metrics.requests.add(route="/translate", status="422")
    metrics.tokens.add(17)
    metrics.show("seqcli_info", "What.", lambda: 1, run='a "b"\\c\nd')
    found = parsed(metrics.text())
    assert found["seqcli_requests_total", (("route", "/translate"), ("status", "200"))] == 2
    assert found["seqcli_requests_total", (("route", "/translate"), ("status", "422"))] == 1
    assert found["seqcli_target_tokens_total", ()] == 17
    assert found["seqcli_info", (("run", 'a "b"\\c\nd'),)] == 1


@given(st.lists(st.floats(0, 100)), st.lists(st.floats(0.1, 50), min_size=1, max_size=6, unique=True).map(sorted))
def test_buckets_hold_all_at_or_below_their_bound(values: list[float], bounds: list[float]) -> None:
    histogram = Histogram("seconds", "Some.", bounds)
    for value in values:
        histogram.add(value)
    samples = list(histogram.samples())
    if not values:
        assert samples == []
        return
    buckets = [value for name, _, value in samples if name == "seconds_bucket"]
    assert buckets == [sum(value <= bound for value in values) for bound in (*bounds, math.inf)]
    assert [value for name, _, value in samples if name == "seconds_count"] == [len(values)]
    assert math.isclose(next(value for name, _, value in samples if name == "seconds_sum"), sum(values))
