"""The gradient by every state of every layer of one model, as sheets of layers and positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.analysis.flow import Chain, GradientFlow, GradientHistory, log_mean
from seqcli.errors import DataError
from seqcli.figures.style import (
    DARK,
    LIGHT,
    SMALL,
    Theme,
    add_axes,
    cut_to_fit,
    drawing,
    paper,
    weight_colours,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWEST = 1e-30
"""A scale reaches no further down: what is below is nothing for float32 either, once it is added to a weight."""
GRADIENT = r"$\Vert\,\partial\,\mathrm{loss}_T\,/\,\partial h_t\,\Vert$"


def layers_figure(history: GradientHistory, *, dark: bool = False) -> Figure:
    """The gradient by every state of every layer of one model, layer × position, a row of sheets for each step of training.

    One scale for all: dark is long (on dark paper: bright). States that no gradient reaches are left empty.
    """
    theme = DARK if dark else LIGHT
    chains = [chain for flow in history.flows for chain in flow.chains]
    if not chains:
        raise DataError("there is nothing to draw: no model was measured")
    levels = np.concatenate([log_mean(chain.gradient) for chain in chains]) * np.log10(2)
    scale = (max(float(levels[np.isfinite(levels)].min()), np.log10(LOWEST)), float(levels[np.isfinite(levels)].max()))
    with drawing(theme, [history.label]):
        figure = _draw_sheets(history, scale, theme)
        cut_to_fit(figure)
    return figure


def _draw_sheets(history: GradientHistory, scale: tuple[float, float], theme: Theme) -> Figure:
    """Rows of sheets, a step each: the source's layers at the left, the target's at the right, the lowest layer at the bottom."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    cell = 0.16
    tallest = max(len(_layers(flow, side)) for flow in history.flows for side in ("encoder", "decoder"))
    wide = max(flow.source_length + flow.target_length for flow in history.flows) * cell + 1.2
    high = tallest * 1.6 * cell
    height = len(history.flows) * (high + 0.75)
    figure, top = paper(wide + 1.0, height), height
    for flow in history.flows:
        left = 0.0
        for side, name in (("encoder", "source"), ("decoder", "target")):
            layers = _layers(flow, side)
            if not layers:
                continue
            length = len(layers[0].steps_back)
            axes = add_axes(figure, left, top - len(layers) * 1.6 * cell, length * cell, len(layers) * 1.6 * cell)
            image = _draw_sheet(axes, layers, scale, theme, named=left == 0.0)
            axes.set_xlabel(f"position in the {name}, 1 to {length}")
            if left == 0.0:
                step = "at initialisation" if flow.step == 0 else f"after {flow.step:,} steps"
                axes.set_title(f"{history.label}, {step}", loc="left")
            left += length * cell + 0.85
        if flow is history.flows[0]:
            bar = figure.colorbar(image, cax=add_axes(figure, left - 0.55, top - 1.0, 0.09, 1.0))
            bar.set_label(GRADIENT, size=SMALL - 1, parse_math=True)
            bar.ax.yaxis.set_major_locator(MaxNLocator(4))
            bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda power, place: f"{10.0**power:.1g}"))
            bar.ax.tick_params(labelsize=SMALL - 1, length=2)
            bar.outline.set_linewidth(0.6)
        top -= high + 0.75
    return figure


def _layers(flow: GradientFlow, side: str) -> list[Chain]:
    return [chain for chain in flow.chains if chain.side == side]


def _draw_sheet(axes: Axes, layers: Sequence[Chain], scale: tuple[float, float], theme: Theme, *, named: bool) -> Any:
    """Layers as rows, positions as columns; the picture that a colour bar is made from."""
    levels: NDArray[np.float64] = np.stack([log_mean(chain.gradient) for chain in layers]) * np.log10(2)
    shown = np.ma.masked_invalid(levels)
    image = axes.imshow(shown, cmap=weight_colours(theme), vmin=scale[0], vmax=scale[1], aspect="auto", origin="lower")
    names = [f"{chain.layer}{' ←' if chain.backward else ''}" if chain.layer else "embeddings" for chain in layers]
    axes.set_yticks(range(len(layers)), names)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    if named:
        axes.set_ylabel("layer")
    # seen where no gradient comes
    axes.patch.set(hatch="////", edgecolor=theme.faint, linewidth=0)
    return image
