"""How far back a gradient reaches, as plain numbers: chains of states, how fast the gradient fades along them, and clipping.

The gradient of the last loss by a state t steps before it is a product of t Jacobians, one a step. If each shortens it by about the same
factor, its length falls (vanishes) or grows (explodes) exponentially with t (Hochreiter 1991; Bengio et al. 1994, theorem 4; Pascanu
et al. 2013, §2.1), so that on a logarithmic scale it is a straight line, and one number tells it all: the half-life.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HELD = 2.0
"""A chain whose gradient changes by less than this factor from one end to the other is said to hold it."""


@dataclass(frozen=True)
class Chain:
    """The states of one layer of one side in one direction, and what the loss of the last target step feels of each of them.

    `steps_back (T,)` is how many steps lie between a state and that of the last target step, along the chain that the recurrences
    make of source and target. `gradient (N,T)` are the lengths ‖∂loss_T/∂h_t‖ for N examples; `jacobian (M,T)` the spectral norms
    ‖∂h_T/∂h_t‖, h_T being the top layer's last state, for M of them. Layer 0 is what the first layer of a Transformer reads.
    """

    side: Literal["encoder", "decoder"]
    layer: int
    backward: bool
    steps_back: NDArray[np.int64]
    gradient: Floats
    jacobian: Floats

    @property
    def name(self) -> str:
        """As in `encoder layer 2, backward`."""
        return f"{self.side} layer {self.layer}{', backward' if self.backward else ''}"

    @property
    def fade(self) -> Fade:
        """How fast the gradient fades along the chain."""
        return fade([self])


@dataclass(frozen=True)
class Fade:
    """What becomes of a length from one step to the one before: it is multiplied by 2 to the power of `slope`, below 0 if it vanishes.

    `whole` is the power of 2 for the whole chain.
    """

    slope: float
    whole: float

    @property
    def half_life(self) -> float:
        """Steps after which half is left; infinite if it does not fall, 0 if there is nothing before the last step."""
        if math.isinf(self.slope):
            return 0.0
        return -1 / self.slope if self.slope < 0 else math.inf

    @property
    def holds(self) -> bool:
        """Whether it is about as long at one end as at the other."""
        return abs(self.whole) < math.log2(HELD)

    @property
    def words(self) -> str:
        """As one says it: `halves every 3.2 steps`, `doubles every 5.0`, `holds`, `gone at once`."""
        if math.isinf(self.slope):
            return "gone at once"
        if self.holds:
            return "holds"
        return f"{'halves' if self.slope < 0 else 'doubles'} every {abs(1 / self.slope):.3g}"


def fade(chains: Sequence[Chain]) -> Fade:
    """The slope that fits the logarithm of the gradient's length (its mean over the examples) best along all `chains`, each at its own level.

    Least squares; that each chain has a level of its own keeps what lies between two of them, a bridge or an attention, out of the slope.
    States that no gradient reaches are left out; where it reaches one alone, or none, the slope is -∞.
    """
    products = squares = span = 0.0
    for chain in chains:
        level = log_mean(chain.gradient)
        reached = np.isfinite(level)
        if reached.sum() < 2:
            continue
        steps, level = chain.steps_back[reached].astype(float), level[reached]
        steps = steps - steps.mean()
        products += float(steps @ level)
        squares += float(steps @ steps)
        span += float(np.ptp(steps))
    if squares == 0.0:
        return Fade(-math.inf, -math.inf)
    slope = products / squares
    return Fade(slope, slope * span)


def log_mean(lengths: Floats) -> Floats:
    """The logarithm to base 2 of the geometric mean over examples, (N,T) → (T,); -∞ where one of them is 0, NaN where there are no examples."""
    if not len(lengths):
        return np.full(lengths.shape[1], np.nan)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(lengths).mean(axis=0))


@dataclass(frozen=True)
class RecurrentMatrix:
    """The matrix from state to state of one gate of a layer: its spectral radius, the largest |eigenvalue|, and its largest singular value.

    That a radius (strictly, a singular value) below 1 is enough to vanish, and one above 1 necessary to explode, is
    Pascanu et al. 2013, §2.1, for a tanh RNN.
    """

    name: str
    gate: str
    radius: float
    norm: float


@dataclass(frozen=True)
class GradientFlow:
    """One model, as it is after `step` steps of training, on examples with as many symbols: S source and T target, EOS counted.

    `kind` says in words what it is, `loss` is the mean of the loss of the last target step in nats.
    """

    kind: str
    step: int
    source_length: int
    target_length: int
    examples: int
    loss: float
    chains: tuple[Chain, ...]
    matrices: tuple[RecurrentMatrix, ...]

    def main(self, side: str) -> Chain | None:
        """The chain that stands for a side: the top layer of a recurrence, reading forward; what a Transformer's first layer reads."""
        found = [chain for chain in self.chains if chain.side == side and not chain.backward]
        if not found:
            return None
        return found[0] if found[0].layer == 0 else found[-1]

    @property
    def mains(self) -> list[Chain]:
        """Those of the encoder and the decoder, where they have one."""
        return [chain for chain in map(self.main, ("encoder", "decoder")) if chain is not None]

    @property
    def radius(self) -> float | None:
        """The largest spectral radius of all recurrent matrices; None where there are none."""
        return max((matrix.radius for matrix in self.matrices), default=None)

    @property
    def first_by_last(self) -> float:
        """How much of the gradient by the last state is felt by the first: ‖∂loss_T/∂h_1‖ / ‖∂loss_T/∂h_T‖."""
        level = np.concatenate([log_mean(chain.gradient) for chain in self.mains])
        steps = np.concatenate([chain.steps_back for chain in self.mains])
        return float(2.0 ** (level[steps.argmax()] - level[steps.argmin()]))

    def as_json(self) -> dict[str, Any]:
        """A dictionary of plain numbers and strings; what is infinite is null."""
        halves = {chain.side: _finite(chain.fade.half_life) for chain in self.mains}
        return {
            "kind": self.kind,
            "step": self.step,
            "source_length": self.source_length,
            "target_length": self.target_length,
            "examples": self.examples,
            "loss": self.loss,
            "half_life": {**halves, "both": _finite(fade(self.mains).half_life)},
            "first_by_last": _finite(self.first_by_last),
            "chains": [_chain_json(chain) for chain in self.chains],
            "matrices": [vars(matrix) for matrix in self.matrices],
        }


@dataclass(frozen=True)
class Clipping:
    """The lengths of the whole gradient before clipping, at some steps, and the `limit` to which longer ones are shortened, None for none.

    `every` is how many steps each length is the mean of.
    """

    steps: NDArray[np.int64]
    norms: Floats
    limit: float | None
    every: int

    @property
    def share(self) -> float:
        """The share of the lengths that are above the limit."""
        if self.limit is None or not len(self.norms):
            return 0.0
        return float((self.norms > self.limit).mean())


@dataclass(frozen=True)
class GradientHistory:
    """A model from its initialisation through its training: `flows` in the order of their steps, and what was clipped on the way."""

    label: str
    flows: tuple[GradientFlow, ...]
    clipping: Clipping | None

    def as_json(self) -> dict[str, Any]:
        """A dictionary of plain numbers and strings."""
        found: dict[str, Any] = {"label": self.label, "flows": [flow.as_json() for flow in self.flows]}
        if self.clipping is not None:
            clipping = self.clipping
            found["clipping"] = {
                "limit": clipping.limit,
                "every": clipping.every,
                "share": clipping.share,
                "steps": clipping.steps.tolist(),
                "norms": clipping.norms.tolist(),
            }
        return found


def _chain_json(chain: Chain) -> dict[str, Any]:
    return {
        "side": chain.side,
        "layer": chain.layer,
        "backward": chain.backward,
        "steps_back": chain.steps_back.tolist(),
        "gradient": _powers(chain.gradient),
        "jacobian": _powers(chain.jacobian),
        "slope": _finite(chain.fade.slope),
        "half_life": _finite(chain.fade.half_life),
        "fade": chain.fade.words,
    }


def _powers(lengths: Floats) -> list[float]:
    return [float(value) for value in 2.0 ** log_mean(lengths)] if len(lengths) else []


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
