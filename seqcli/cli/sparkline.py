"""Curves drawn with characters: a row, or a few, of blocks of eight heights."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
REMEMBERED = 512
"""Points of a curve that are kept; twice as many become their means in pairs."""


class Curve:
    """A series that grows, of bounded memory: every point is the mean of as many values as any other."""

    def __init__(self, *, logarithmic: bool = False) -> None:
        self.logarithmic = logarithmic
        self.points: list[float] = []
        self.waiting: list[float] = []
        self.each = 1
        self.low, self.high = math.inf, -math.inf

    def add(self, value: float | None) -> None:
        """Append a value; None and what is no number leave a gap."""
        known = math.nan if value is None or not math.isfinite(value) else value
        if not math.isnan(known):
            self.low, self.high = min(self.low, known), max(self.high, known)
        self.waiting.append(known)
        if len(self.waiting) < self.each:
            return
        self.points.append(_mean(self.waiting))
        self.waiting.clear()
        if len(self.points) == 2 * REMEMBERED:
            self.points = means(self.points, REMEMBERED)
            self.each *= 2

    def draw(self, width: int, rows: int = 1) -> list[str]:
        """The curve in `rows` lines of at most `width` characters, oldest values left."""
        scaled = [_scaled(point, self.logarithmic) for point in means(self.points, width)]
        return sparkline(scaled, rows)


def sparkline(values: Sequence[float], rows: int = 1) -> list[str]:
    """Bars, one a value, between the least value (the lowest block) and the greatest (`rows` full ones); NaN leaves a gap."""
    known = [value for value in values if not math.isnan(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    steps = rows * len(BLOCKS) - 1
    levels = [
        0 if math.isnan(value) else 1 + round(steps * (value - low) / (high - low) if high > low else 0.0)
        for value in values
    ]
    lines = []
    for row in reversed(range(rows)):
        heights = [min(max(level - row * len(BLOCKS), 0), len(BLOCKS)) for level in levels]
        lines.append("".join(BLOCKS[height - 1] if height else " " for height in heights))
    return lines


def means(values: Sequence[float], count: int) -> list[float]:
    """At most `count` values: neighbours are replaced by their mean, NaN not counted."""
    if len(values) <= count:
        return list(values)
    edges = [len(values) * place // count for place in range(count + 1)]
    return [_mean(values[start:end]) for start, end in zip(edges, edges[1:], strict=False)]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _scaled(value: float, logarithmic: bool) -> float:
    if not logarithmic or math.isnan(value):
        return value
    return math.log(value) if value > 0 else math.nan
