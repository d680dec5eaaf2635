"""What a server counts, in the text format that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histograms of times."""
SOURCES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Upper bounds of the histogram of batches."""

Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number for each set of labels that only grows. Threads may add to it."""

    kind = "counter"

    def __init__(self, name: str, about: str) -> None:
        self.name, self.about = name, about
        self._values: dict[Labels, float] = {}
        self._lock = Lock()

    def add(self, value: float = 1.0, /, **labels: str) -> None:
        """Add to the number under these labels."""
        key = tuple(labels.items())
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + value

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """All lines: the name, the labels, and the number."""
        with self._lock:
            found = list(self._values.items())
        yield from ((self.name, labels, value) for labels, value in found)


class Gauge:
    """A number that is looked up when it is asked for."""

    kind = "gauge"

    def __init__(
        self, name: str, about: str, read: Callable[[], float], labels: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.about = name, about
        self._read = read
        self._labels = tuple((labels or {}).items())

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """Its one line."""
        yield self.name, self._labels, self._read()


class Histogram:
    """How many of some values lie at or below each bound, their number and their sum. Threads may add to it."""

    kind = "histogram"

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        self.name, self.about, self.bounds = name, about, (*bounds, math.inf)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = Lock()

    def add(self, value: float, /, **labels: str) -> None:
        """Put a value into its bucket."""
        key = tuple(labels.items())
        with self._lock:
            self._counts.setdefault(key, [0] * len(self.bounds))[bisect_left(self.bounds, value)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + value

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """The buckets, each with all below it, and the number and the sum of the values."""
        with self._lock:
            found = [(labels, list(counts), self._sums[labels]) for labels, counts in self._counts.items()]
        for labels, counts, total in found:
            below = 0
            for bound, count in zip(self.bounds, counts, strict=True):
                below += count
                yield f"{self.name}_bucket", (*labels, ("le", _number(bound))), float(below)
            yield f"{self.name}_count", labels, float(below)
            yield f"{self.name}_sum", labels, total


class Metrics:
    """All that a server counts; `show` adds what others hold, the length of the queue say."""

    def __init__(self) -> None:
        self.requests = Counter("seqcli_requests_total", "Requests answered, by route and status.")
        self.refused = Counter("seqcli_connections_refused_total", "Connections closed for what they sent, by reason.")
        self.seconds = Histogram("seqcli_request_seconds", "From a request's header to the end of its answer.", SECONDS)
        self.batches = Histogram("seqcli_batch_sources", "Sources that went through the model side by side.", SOURCES)
        self.batch_seconds = Histogram("seqcli_batch_seconds", "What the model took for a batch.", SECONDS)
        self.sources = Counter("seqcli_sources_total", "Sources translated.")
        self.tokens = Counter("seqcli_target_tokens_total", "Symbols of the best hypotheses, the end counted.")
        self._shown: list[Counter | Gauge | Histogram] = [
            self.requests,
            self.refused,
            self.seconds,
            self.batches,
            self.batch_seconds,
            self.sources,
            self.tokens,
        ]

    def show(self, name: str, about: str, read: Callable[[], float], **labels: str) -> None:
        """Show a number that `read` looks up."""
        self._shown.append(Gauge(name, about, read, labels))

    def text(self) -> str:
        """All of it, a line a number."""
        lines = []
        for each in self._shown:
            lines += [f"# HELP {each.name} {each.about}", f"# TYPE {each.name} {each.kind}"]
            lines += [f"{name}{_braces(labels)} {_number(value)}" for name, labels, value in each.samples()]
        return "\n".join(lines) + "\n"


def _braces(labels: Labels) -> str:
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{shown}}}" if shown else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
