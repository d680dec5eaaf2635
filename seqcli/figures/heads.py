"""Heads in figures: for each kind of attention, a row a layer and a column a head, how widely, how far, and what for they look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.analysis.attention_kinds import KINDS, TITLES, KindName
from seqcli.analysis.heads import Head
from seqcli.figures.labels import widths_of
from seqcli.figures.style import (
    BODY,
    DARK,
    LIGHT,
    SMALL,
    Theme,
    add_axes,
    add_title,
    cut_to_fit,
    drawing,
    paper,
    weight_colours,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 0.68, 0.36  # inches
LEFT, BETWEEN, ABOVE = 0.3, 0.35, 0.55  # inches: between panels, between kinds, and above a kind's panels
ENTROPY = "entropy, share of the largest"
DISTANCE = {"encoder": "mean distance", "decoder": "mean distance", "cross": "mean distance from the diagonal"}
REMOVAL = "rise of the loss without it"


def heads_figure(heads: Sequence[Head], *, title: str | None = None, dark: bool = False) -> Figure:
    """The figures of each head as a number on its colour, with the word for what it does: entropy as a share of the largest there could be, mean
    distance in symbols or cells, and, where it was measured, by how much the loss rises without it (nats a symbol).

    Colours are from 0 to 1 for entropy, else from 0 to the largest number of the panel. ValueError without heads.
    """
    if not heads:
        raise ValueError("there are no heads to draw")
    theme = DARK if dark else LIGHT
    kinds = [name for name in KINDS if any(head.kind == name for head in heads)]
    grids = {name: _grid(heads, name) for name in kinds}
    heights = [ABOVE + len(grids[name]) * CELL[1] + BETWEEN for name in kinds]
    with drawing(theme, [title or ""]):
        figure = paper(1.0, sum(heights))
        top = sum(heights)
        for name, height in zip(kinds, heights, strict=True):
            _draw_kind(figure, name, grids[name], top - ABOVE, theme)
            top -= height
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _grid(heads: Sequence[Head], name: KindName) -> list[list[Head]]:
    """The heads of one kind, a list for each layer."""
    same = [head for head in heads if head.kind == name]
    return [[head for head in same if head.layer == layer] for layer in sorted({head.layer for head in same})]


def _draw_kind(figure: Figure, name: KindName, grid: list[list[Head]], top: float, theme: Theme) -> None:
    far = [[head.distance for head in layer] for layer in grid]
    rises = [[head.removal for head in layer] for layer in grid]
    panels: list[tuple[str, list[list[Any]], float | None, list[list[str]]]] = [
        (ENTROPY, [[head.evenness for head in layer] for layer in grid], 1.0, _patterns(grid)),
        *([(DISTANCE[name], far, None, _blank(grid))] if far[0][0] is not None else []),
        *([(REMOVAL, rises, None, _dead(grid))] if rises[0][0] is not None else []),
    ]
    across, down = CELL
    width, height = across * len(grid[0]), down * len(grid)
    pitch = max(width, *widths_of([label for label, *_ in panels], SMALL)) + LEFT
    for place, (label, values, most, words) in enumerate(panels):
        axes = add_axes(figure, place * pitch, top - height, width, height)
        _draw_panel(axes, np.array(values, dtype=np.float64), most, words, theme)
        where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(label, (0, 0), (0, -11), size=SMALL, **where)
        axes.set_xticks(range(len(grid[0])), [str(head + 1) for head in range(len(grid[0]))])
        axes.set_yticks(range(len(grid)), [f"layer {layer + 1}" if not place else "" for layer in range(len(grid))])
        axes.tick_params(length=0, pad=3)
        if place == 0:
            axes.annotate(f"{TITLES[name]}, heads", (0, 1), (0, 18), size=BODY, weight="bold", **where)


def _draw_panel(
    axes: Axes, values: NDArray[np.float64], most: float | None, words: list[list[str]], theme: Theme
) -> None:
    """Each number in its cell, above its word."""
    end = most or max(float(values.max()), 1e-9)
    colours = weight_colours(theme)
    axes.imshow(values, cmap=colours, vmin=0, vmax=end, aspect="auto", interpolation="nearest")
    axes.xaxis.tick_top()
    for (layer, head), value in np.ndenumerate(values):
        # the scale goes from paper to ink, so that what is written on its upper half is of paper
        ink = theme.paper if value > 0.5 * end else theme.ink
        word = words[layer][head]
        axes.text(
            head, layer - (0.16 if word else 0.0), _number(value), size=SMALL, color=ink, ha="center", va="center"
        )
        axes.text(head, layer + 0.24, word, size=SMALL - 1, color=ink, ha="center", va="center")


def _number(value: float) -> str:
    """With as many places as one reads; what would be read as nothing is 0."""
    return f"{value:.2f}" if abs(value) >= 0.095 or round(value, 4) == 0 else f"{value:.4f}"


def _patterns(grid: list[list[Head]]) -> list[list[str]]:
    return [["" if head.pattern == "mixed" else head.pattern for head in layer] for layer in grid]


def _dead(grid: list[list[Head]]) -> list[list[str]]:
    return [["dead" if head.dead else "" for head in layer] for layer in grid]


def _blank(grid: list[list[Head]]) -> list[list[str]]:
    return [["" for _ in layer] for layer in grid]
