"""How far a score can be trusted: the bootstrap over the items of a test set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def bootstrap_interval(
    counts: NDArray[Any], score: Callable[[NDArray[Any]], float], *, resamples: int, seed: int
) -> tuple[float, float]:
    """The 95 % percentile interval of `score` when the items of the test set are drawn anew, with replacement.

    `counts (N,C)` holds what a metric counts, one row an item; `score` turns the sum of rows, (C,), into the metric's value.
    The draws are those of sacrebleu (Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation",
    section 3) for the same seed, so that half the interval's width is the ± that sacrebleu prints.
    """
    draw = np.random.default_rng(seed)
    items = len(counts)
    values = []
    for _ in range(resamples):
        times_drawn = np.bincount(draw.integers(items, size=items), minlength=items)
        values.append(score(times_drawn @ counts))
    values.sort()
    tail = resamples // 40
    return values[tail], values[resamples - 1 - tail]
