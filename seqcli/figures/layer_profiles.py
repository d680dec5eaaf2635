"""Layers side by side: one number of each, a line a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqcli.figures.powers import number_powers
from seqcli.figures.style import LINES, SMALL, Theme, add_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from seqcli.analysis.activations import LayerActivity

NUMBERED = 8
"""Layers whose names stand below a panel; of more, every second, third and so on."""
SATURATED, DEAD = "saturated share", "share of rectified zeros"
AFTER = ", "
"""Between a start and the steps that a model has taken from it, in its name."""
SMALLEST = 1e-12
"""Gradients below are drawn at this size: logarithms end somewhere."""


def draw_profiles(
    figure: Figure, models: Mapping[str, Sequence[LayerActivity]], total: float, top: float, theme: Theme
) -> None:
    """How large activations and gradients are in each layer, and how many are saturated, a line a model.

    They stand below `top`, their key above them, and are `total` wide together, both in inches.
    """
    width = (total - 2 * 0.6) / 3
    beside = max(1, int(total / (0.5 + 0.065 * max(map(len, models)))))
    top -= 0.16 * -(-len(models) // beside)
    for place, (name, logarithmic) in enumerate(_profiles(models).items()):
        axes = add_axes(figure, place * (width + 0.6), top - 1.25, width, 1.25)
        _draw_profile(axes, name, models, theme)
        if logarithmic:
            axes.set_yscale("log")
            # whole powers of ten, so that there are two at least to read
            low, high = (np.log10(end) for end in (axes.dataLim.y0, axes.dataLim.y1))
            axes.set_ylim(0.8 * 10 ** np.floor(low), 1.25 * 10 ** max(np.ceil(high), np.floor(low) + 1))
            number_powers(axes, 4)
        else:
            axes.set_ylim(-0.03, 1.03)
        if place == 0:
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.19), borderaxespad=0, ncols=beside, handlelength=1.6)


def _profiles(models: Mapping[str, Sequence[LayerActivity]]) -> dict[str, bool]:
    """The panels below, and whether their scales are logarithmic; only those that some layer has a number for."""
    layers = [layer for each in models.values() for layer in each]
    found = {"size of activations (rms)": True, "size of gradients (rms)": True}
    if any(layer.saturated is not None for layer in layers):
        found[SATURATED] = False
    elif any(layer.dead is not None for layer in layers):
        found[DEAD] = False
    return found


def _draw_profile(axes: Axes, name: str, models: Mapping[str, Sequence[LayerActivity]], theme: Theme) -> None:
    looks = [*LINES[:-1], theme.ink]
    # what has taken steps has the colour of its start, and dashes
    starts = list(dict.fromkeys(model.partition(AFTER)[0] for model in models))
    for number, (model, layers) in enumerate(models.items()):
        start = starts.index(model.partition(AFTER)[0])
        axes.plot(
            range(len(layers)),
            [_profile(layer, name) for layer in _by_chain(layers)],
            "--" if AFTER in model else ("-", ":")[start // len(looks) % 2],
            color=looks[start % len(looks)],
            # lines that lie on each other: the upper ones are thinner
            linewidth=2.8 - 1.8 * number / max(1, len(models) - 1),
            marker="o",
            markersize=2.5,
            label=model,
        )
    labels = [layer.name.replace("layer ", "") for layer in _by_chain(next(iter(models.values())))]
    axes.set_title(name, loc="left", size=SMALL + 0.5, color=theme.faint)
    axes.set_xticks(range(len(labels)), _sparse(labels), rotation=40, ha="right", rotation_mode="anchor")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2, pad=2, labelsize=SMALL - 1)
    axes.grid(axis="y", linewidth=0.4, alpha=0.4)


def _by_chain(layers: Sequence[LayerActivity]) -> list[LayerActivity]:
    """Layers of one kind side by side, so that a line goes along them and not to and fro."""
    chains = list(dict.fromkeys(layer.chain for layer in layers))
    return sorted(layers, key=lambda layer: chains.index(layer.chain))


def _profile(layer: LayerActivity, name: str) -> float:
    if name in (SATURATED, DEAD):
        share = layer.saturated if name == SATURATED else layer.dead
        return float("nan") if share is None else share
    spread = layer.activations if "activations" in name else layer.gradients
    return max(spread.rms, SMALLEST)


def _sparse(labels: Sequence[str]) -> list[str]:
    """Every so manieth label, the first and the last among them."""
    every = -(-len(labels) // NUMBERED)
    return [label if place % every == 0 or place == len(labels) - 1 else "" for place, label in enumerate(labels)]
