"""The gates of LSTMs and GRUs: what each lets through at every symbol of a sentence, and how often each unit is wide open or shut.

A gate is a number from 0, shut, to 1, open, for each unit and step. Karpathy et al. 2015 ("Visualizing and understanding recurrent
networks", §4.2) call it left-saturated below 0.1 and right-saturated above 0.9: a unit whose forget gate is always right-saturated
keeps its cell for ever, one whose gates are never saturated mixes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.analysis.activations import SATURATED
from seqcli.analysis.watching import Place, side_by_side, watch
from seqcli.errors import SeqcliError
from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.translator import Translator
from seqcli.symbols import BOS, EOS, PAD, Example

SHUT, OPEN = SATURATED["sigmoid"]
SENTENCES = 64
"""Examples that are watched side by side."""


@dataclass(frozen=True)
class Gate:
    """One gate of one layer, whose number counts from 1."""

    side: str
    layer: int
    backward: bool
    gate: str

    @property
    def name(self) -> str:
        """As in "encoder layer 1 backward update"."""
        return f"{self.side} layer {self.layer}{' backward' if self.backward else ''} {self.gate}"

    @property
    def about(self) -> dict[str, Any]:
        """Which it is, as JSON says it."""
        return {"side": self.side, "layer": self.layer, "backward": self.backward, "gate": self.gate}


@dataclass(frozen=True)
class GateMap(Gate):
    """One gate of one layer over a sentence: `values (D,T)`, a row a unit, a column a step, in the order of the symbols that are read.

    A `backward` layer reads the last symbol first; its columns stand in the same order all the same.
    """

    symbols: tuple[str, ...]
    values: NDArray[np.float32]

    @property
    def mean(self) -> NDArray[np.float32]:
        """Over the units, (T,)."""
        means: NDArray[np.float32] = self.values.mean(axis=0)
        return means

    @property
    def shut(self) -> NDArray[np.float64]:
        """The share of units below 0.1 at each step, (T,)."""
        return np.asarray((self.values < SHUT).mean(axis=0))

    @property
    def open(self) -> NDArray[np.float64]:
        """The share of units above 0.9 at each step, (T,)."""
        return np.asarray((self.values > OPEN).mean(axis=0))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and strings, the units' values not among them."""
        numbers = {"mean": self.mean.tolist(), "shut": self.shut.tolist(), "open": self.open.tolist()}
        return {**self.about, "symbols": list(self.symbols), "units": len(self.values), **numbers}


@dataclass(frozen=True)
class UnitSaturation(Gate):
    """One gate of one layer over many sentences: the share of `steps` at which each unit is `shut` and `open`, (D,) each."""

    steps: int
    mean: float
    shut: NDArray[np.float64]
    open: NDArray[np.float64]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        numbers = {"steps": self.steps, "mean": self.mean, "shut": self.shut.tolist(), "open": self.open.tolist()}
        return {**self.about, **numbers}


def gate_maps(translator: Translator, examples: Sequence[Example], settings: SearchSettings) -> list[list[GateMap]]:
    """Every gate of the model over each example: while the encoder reads the source, and the decoder its target.

    The target is the example's own, or, where it has none, the best hypothesis that a search finds. Raises `SeqcliError` for a model
    without gates.
    """
    return [_maps_of(translator, example, settings) for example in examples]


def _maps_of(translator: Translator, example: Example, settings: SearchSettings) -> list[GateMap]:
    source = translator.encode(example)
    target = _target_ids(translator, example, settings)
    symbols = {
        "source": tuple(translator.source_tokenizer.tokens(source)),
        # the decoder's steps by what they read, not by what they write
        "target": tuple(translator.target_tokenizer.tokens([BOS, *target[:-1]])),
    }
    found = []
    for place, values, _ in _watched(translator, [example], [target]):
        read = symbols[place.reads]
        of_units = values[0, : len(read)].T.float().cpu().numpy()
        found.append(GateMap(*_gate(place), read[: of_units.shape[1]], of_units))
    return found


def unit_saturation(translator: Translator, examples: Sequence[Example]) -> list[UnitSaturation]:
    """How often each unit of every gate is shut and open while the model reads the examples' sources and their own targets.

    Raises `SeqcliError` for a model without gates, or where there is nothing to read.
    """
    if not examples:
        raise SeqcliError("there is no example to watch the gates on")
    sums: dict[tuple[str, int, bool, str], list[torch.Tensor]] = {}
    for start in range(0, len(examples), SENTENCES):
        some = examples[start : start + SENTENCES]
        targets = [translator.encode_target(example.target or "") for example in some]
        for place, values, mask in _watched(translator, some, targets):
            real = values[mask]
            counts = [(real < SHUT).sum(dim=0), (real > OPEN).sum(dim=0), real.double().sum(), mask.sum()]
            kept = sums.setdefault(_gate(place), [torch.zeros_like(count) for count in counts])
            for total, count in zip(kept, counts, strict=True):
                total += count
    return [
        UnitSaturation(*gate, int(steps), float(total / steps / len(shut)), _share(shut, steps), _share(opened, steps))
        for gate, (shut, opened, total, steps) in sums.items()
    ]


def _share(counts: torch.Tensor, steps: torch.Tensor) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = (counts.double() / steps).cpu().numpy()
    return shares


def _watched(
    translator: Translator, examples: Sequence[Example], targets: Sequence[Sequence[int]]
) -> Iterator[tuple[Place, torch.Tensor, torch.Tensor]]:
    """Each gate of a pass over the examples, its values (B,T,D), and which steps are real (B,T)."""
    model = translator.model
    model.eval()
    batch = translator.batch(examples, targets)
    with torch.no_grad(), watch(model) as places:
        model(batch)
    gates = [place for place in places.values() if place.part and place.nonlinearity == "sigmoid"]
    if not gates:
        raise SeqcliError(
            "this model has no gates: LSTMs and GRUs have them, a tanh RNN, a feed-forward network and a Transformer do not"
        )
    for place in gates:
        mask = batch.source_mask if place.reads == "source" else batch.labels != PAD
        yield place, side_by_side(place.post), mask


def _gate(place: Place) -> tuple[str, int, bool, str]:
    return ("encoder" if place.reads == "source" else "decoder", place.depth + 1, place.backward, place.part)


def _target_ids(translator: Translator, example: Example, settings: SearchSettings) -> list[int]:
    if example.target is not None:
        return translator.encode_target(example.target)
    found = translator.translate([example], settings)[0]
    return list(found[0].ids) if found and found[0].ids else [EOS]
