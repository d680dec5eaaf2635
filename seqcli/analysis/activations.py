"""Weights, pre-activations, activations and gradients of every layer, and of every step, in one pass over a batch.

What they should be is known. A layer keeps the variance of the signal, forwards and backwards, when its weights have variance
2/(inputs + outputs) (Glorot & Bengio 2010, §4.2.1), with rectifiers 2/inputs (He et al. 2015, §2.2); an orthogonal matrix keeps
even the length of each vector (Saxe et al. 2014, §3). Weights too small let it die out, too large ones saturate tanh and sigmoid,
whose slope is then near 0 (LeCun et al. 1998, "Efficient BackProp", §4.4–4.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.analysis.symmetry import Symmetry, symmetry
from seqcli.analysis.watching import Place, side_by_side, watch
from seqcli.models.seq2seq import Seq2Seq
from seqcli.symbols import PAD
from seqcli.types import Batch

PERCENTILES = (5, 25, 50, 75, 95)
SAMPLE = 20000
"""Numbers kept of each distribution, to be drawn."""
SATURATED: dict[str, tuple[float, float]] = {"sigmoid": (0.1, 0.9), "tanh": (-0.9, 0.9)}
"""Below the one and above the other a unit is saturated: the sigmoid's bounds are those of Karpathy et al. 2015, §4.2; tanh's slope is
there below 0.19 of the 1 that it has at 0."""


@dataclass(frozen=True)
class Spread:
    """Where some numbers lie: mean, standard deviation, root mean square, the 5th, 25th, 50th, 75th and 95th percentile; `sample` is
    an even choice of at most 20,000 of them."""

    mean: float
    deviation: float
    rms: float
    percentiles: tuple[float, ...]
    sample: NDArray[np.float32]

    def as_json(self) -> dict[str, Any]:
        """Without the sample."""
        return {
            "mean": self.mean,
            "deviation": self.deviation,
            "rms": self.rms,
            "percentiles": dict(zip(map(str, PERCENTILES), self.percentiles, strict=True)),
        }


@dataclass(frozen=True)
class Steps:
    """The same of each step by itself, over all sentences that are so long and all units, (T,) each; `percentiles (T,5)` are those of
    the activations."""

    sentences: NDArray[np.int64]
    activations: NDArray[np.float64]
    gradients: NDArray[np.float64]
    saturated: NDArray[np.float64] | None
    percentiles: NDArray[np.float64]

    def as_json(self) -> dict[str, Any]:
        """Lists of numbers, an entry a step."""
        return {
            "sentences": self.sentences.tolist(),
            "activations_rms": self.activations.tolist(),
            "gradients_rms": self.gradients.tolist(),
            "saturated": None if self.saturated is None else self.saturated.tolist(),
            "activations_percentiles": self.percentiles.tolist(),
        }


@dataclass(frozen=True)
class LayerActivity:
    """What one layer, or one gate of it, does. `chain` and `depth` say where it stands among its like.

    `weights` are those that come into its units, `pre` what its nonlinearity is given, `gradients` those of a sentence's summed loss
    by the pre-activation (where there is none, by the activation). `saturated` is the share of activations beyond `SATURATED` (of an
    LSTM's or GRU's state: of its gates, candidate and cell), `dead` that of rectified zeros. `forward` is the variance (the mean square)
    of the activations over that of the layer below, `backward` that of the gradients in the layer below over its own: 1 where the
    signal is kept. None where something is not there.
    """

    name: str
    chain: str
    depth: int
    nonlinearity: str
    weights: Spread | None
    pre: Spread | None
    activations: Spread
    gradients: Spread
    saturated: float | None
    dead: float | None
    symmetry: Symmetry | None
    steps: Steps | None
    forward: float | None = None
    backward: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        spreads = {"weights": self.weights, "pre_activations": self.pre}
        return {
            "layer": self.name,
            "nonlinearity": self.nonlinearity,
            **{name: None if one is None else one.as_json() for name, one in spreads.items()},
            "activations": self.activations.as_json(),
            "gradients": self.gradients.as_json(),
            "saturated": self.saturated,
            "dead": self.dead,
            "forward": self.forward,
            "backward": self.backward,
            "units": None if self.symmetry is None else self.symmetry.units,
            "distinct_units": None if self.symmetry is None else self.symmetry.distinct,
            "unit_distance": None if self.symmetry is None else self.symmetry.distance,
            "steps": None if self.steps is None else self.steps.as_json(),
        }


def layer_activities(model: Seq2Seq, batch: Batch) -> list[LayerActivity]:
    """Watch every layer of `model` while it learns nothing from `batch`: one pass and its gradients, without dropout.

    The layers come in the order of the pass. The model is left in the mode, and with the weights and gradients, that it had.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad(), watch(model) as places:
            loss = model.loss(batch)
        wanted = [tensor for place in places.values() for tensor in place.pre or place.post]
        gradients = iter(torch.autograd.grad(loss, wanted, allow_unused=True))
        found = []
        for place in places.values():
            slopes = [_or_zero(next(gradients), tensor) for tensor in place.pre or place.post]
            found.append(_activity(place, slopes, _mask(place, batch)))
    finally:
        model.train(was_training)
    return _with_gains([_with_gates(layer, found) for layer in found])


def _or_zero(gradient: Tensor | None, of: Tensor) -> Tensor:
    return torch.zeros_like(of) if gradient is None else gradient


def _mask(place: Place, batch: Batch) -> Tensor | None:
    """Which steps of which sentences are real, (B,T); None where all are."""
    return {"source": batch.source_mask, "target": batch.labels != PAD}.get(place.reads)


@torch.no_grad()
def _activity(place: Place, slopes: list[Tensor], mask: Tensor | None) -> LayerActivity:
    post, gradient = side_by_side(place.post).float(), side_by_side(slopes).float()
    pre = side_by_side(place.pre).float() if place.pre else None
    if mask is None:
        mask = torch.ones(post.shape[:2], dtype=torch.bool, device=post.device)
    # a packed sequence ends with its longest row, whatever padding the batch has behind it
    mask = mask[:, : post.shape[1]]
    beyond = saturation(post, place.nonlinearity)
    return LayerActivity(
        place.name,
        place.chain,
        place.depth,
        place.nonlinearity,
        None if place.incoming is None else spread(place.incoming[0]),
        None if pre is None else spread(pre[mask]),
        spread(post[mask]),
        spread(gradient[mask]),
        None if beyond is None else float(beyond[mask].float().mean()),
        float((post[mask] == 0).float().mean()) if place.nonlinearity == "relu" else None,
        None if place.incoming is None else symmetry(*place.incoming),
        _steps(post, gradient, beyond, mask) if place.reads else None,
    )


def saturation(activations: Tensor, nonlinearity: str) -> Tensor | None:
    """Which activations of a tanh or sigmoid are saturated; None for another nonlinearity."""
    if nonlinearity not in SATURATED:
        return None
    low, high = SATURATED[nonlinearity]
    return (activations < low) | (activations > high)


@torch.no_grad()
def spread(numbers: Tensor) -> Spread:
    """Where `numbers` lie, of whatever shape; computed in float64."""
    flat = numbers.detach().flatten().double().cpu().numpy()
    sample = flat[:: -(-len(flat) // SAMPLE)].astype(np.float32)
    percentiles = tuple(float(each) for each in np.percentile(flat, PERCENTILES))
    return Spread(float(flat.mean()), float(flat.std()), float(np.sqrt(np.mean(flat**2))), percentiles, sample)


def _steps(post: Tensor, gradient: Tensor, beyond: Tensor | None, mask: Tensor) -> Steps:
    """Each step by itself, as far as some sentence goes."""
    rows = [step for step in range(mask.shape[1]) if mask[:, step].any()]
    real = [mask[:, step] for step in rows]

    def rms(values: Tensor) -> NDArray[np.float64]:
        means = [values[some, step].double().square().mean().sqrt() for step, some in zip(rows, real, strict=True)]
        return torch.stack(means).cpu().numpy()

    shares = None
    if beyond is not None:
        share = [beyond[some, step].double().mean() for step, some in zip(rows, real, strict=True)]
        shares = torch.stack(share).cpu().numpy()
    percentiles = [
        np.percentile(post[some, step].cpu().numpy(), PERCENTILES) for step, some in zip(rows, real, strict=True)
    ]
    counts = np.array([int(some.sum()) for some in real], dtype=np.int64)
    return Steps(counts, rms(post), rms(gradient), shares, np.array(percentiles, dtype=np.float64))


def _with_gates(layer: LayerActivity, layers: Sequence[LayerActivity]) -> LayerActivity:
    """An LSTM's or GRU's state, which is no nonlinearity of its own, with the saturated share of all that it is made from."""
    stack = layer.chain.removesuffix(" hidden")
    if layer.saturated is not None or stack == layer.chain:
        return layer
    parts = [one for one in layers if one.depth == layer.depth and one.chain.rpartition(" ")[0] == stack]
    shares = [one.saturated for one in parts if one.saturated is not None]
    return replace(layer, saturated=sum(shares) / len(shares))


def _with_gains(layers: Sequence[LayerActivity]) -> list[LayerActivity]:
    """The layers, each with what it does to the variance of the one below it in its chain."""
    by_place = {(layer.chain, layer.depth): layer for layer in layers}
    found = []
    for layer in layers:
        below = by_place.get((layer.chain, layer.depth - 1))
        if below is not None:
            layer = replace(
                layer,
                forward=_ratio(layer.activations.rms, below.activations.rms),
                backward=_ratio(below.gradients.rms, layer.gradients.rms),
            )
        found.append(layer)
    return found


def _ratio(a: float, b: float) -> float | None:
    return (a / b) ** 2 if b > 0 else None


def shown_layers(layers: Sequence[LayerActivity]) -> list[LayerActivity]:
    """Of recurrent layers the states alone, without the gates behind them; of others all."""
    chains = {layer.chain for layer in layers}
    states = {chain.removesuffix(" hidden") for chain in chains if chain.endswith(" hidden")}
    return [layer for layer in layers if layer.chain.rsplit(" ", 1)[0] not in states or layer.chain.endswith(" hidden")]
