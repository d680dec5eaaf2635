"""How scheduled sampling begins with the given symbols and goes on to the model's own (Bengio et al. 2015, "Scheduled sampling for sequence
prediction with recurrent neural networks", §2.4).

ε of a step, the share of symbols that are read as given, follows from the step's number alone, so that a run that is resumed need not keep it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from seqcli.nn.scheduled_sampling import Pick

Decay = Callable[[int], float]


@dataclass(frozen=True)
class ScheduledSampling:
    """Only given symbols for `hold` steps; then the share of them falls by `decay`, whose steps are counted from there, but never below `least`."""

    decay: Decay
    pick: Pick = "sample"
    hold: int = 0
    least: float = 0.0

    def given(self, step: int) -> float:
        """ε of a step, counted from 1: the share of symbols that are read as given."""
        return 1.0 if step <= self.hold else max(self.least, self.decay(step - self.hold))


def linear(half_after: float) -> Decay:
    """A straight line from 1 to 0: the paper's k - c·i with k = 1, and c so that it is ½ after so many steps."""
    return lambda step: max(0.0, 1 - step / (2 * half_after))


def exponential(half_after: float) -> Decay:
    """The paper's kⁱ, with k so that it is ½ after so many steps."""
    return lambda step: math.pow(0.5, step / half_after)


def inverse_sigmoid(half_after: float) -> Decay:
    """The paper's k / (k + exp(i/k)), with k so that it is ½ after so many steps: k·ln k = `half_after`."""
    log_k = _product_logarithm(half_after)
    k = math.exp(log_k)
    # the exponential of more is no float
    return lambda step: 1 / (1 + math.exp(min(step / k - log_k, 700.0)))


def _product_logarithm(product: float) -> float:
    """The x ≥ 0 for which x·eˣ is the `product` (Lambert's W), by Newton's method, from above, where it falls to it step by step."""
    x = math.log1p(product)
    while (error := x - product * math.exp(-x)) > 1e-12 * x:
        x -= error / (1 + x)
    return x
