"""Schedules of the learning rate: from the step, counted from 1, to the factor it is multiplied by."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def with_warmup(warmup: int, after: Schedule) -> Schedule:
    """Rise linearly from 0 over `warmup` steps, then follow `after`, whose steps are counted from the end of the warm-up."""
    return lambda step: step / warmup if step < warmup else after(step - warmup)


def constant() -> Schedule:
    """Always 1."""
    return lambda step: 1.0


def inverse_sqrt(warmup: int) -> Schedule:
    """√(warmup / step), counted so that it joins the warm-up at 1 (Vaswani et al. 2017, §5.3)."""
    return lambda step: math.sqrt(warmup / (warmup + step))


def cosine(steps: int, final: float) -> Schedule:
    """Half a cosine from 1 to `final` over `steps` (Loshchilov & Hutter 2017, eq. 5, one cycle)."""
    return lambda step: final + (1 - final) * (1 + math.cos(math.pi * min(step / steps, 1.0))) / 2


def linear(steps: int, final: float) -> Schedule:
    """A straight line from 1 to `final` over `steps`."""
    return lambda step: 1 - (1 - final) * min(step / steps, 1.0)


def exponential(factor: float, every: int, hold: int = 0) -> Schedule:
    """1 for `hold` steps, then `factor` once more after each `every` steps."""
    return lambda step: math.pow(factor, max(step - 1 - hold, 0) // every)
