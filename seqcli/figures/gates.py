"""Gates over a sentence as maps of units and steps, and over many sentences as saturation plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.labels import letters_wide, visible, widths_of
from seqcli.figures.style import (
    DARK,
    LIGHT,
    LINES,
    POINTS,
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

    from seqcli.analysis.gates import GateMap, UnitSaturation

MAP_HEIGHT, SHARE_HEIGHT, UNDER, ACROSS = 1.5, 0.5, 0.08, 0.55  # inches
SQUARE = 1.6
KEEPS = {"update": " (open: the state stays)", "forget": " (open: the cell stays)"}
"""What being open means where the gate's name would mislead."""


def gates_figure(maps: Sequence[GateMap], *, title: str | None = None, dark: bool = False) -> Figure:
    """Each gate of each layer: a map with a row a unit, from the most open at the top to the most shut, and a column a symbol.

    Below each map the mean over the units, and the shares of units that are open (above 0.9) and shut (below 0.1). A row of maps is
    a layer in one direction. ValueError if there are no maps.
    """
    if not maps:
        raise ValueError("there are no gates to draw")
    theme = DARK if dark else LIGHT
    rows = _by_layer(maps)
    longest = max(len(one.symbols) for one in maps)
    cell = max(0.1, min(0.22, 3.2 / longest))
    with drawing(theme, [symbol for one in maps for symbol in one.symbols] + [title or ""]):
        labels = {visible(symbol) for one in maps for symbol in one.symbols}
        room = max([0.15, *widths_of([label for label in labels if _turned(label)], SMALL + 1)])
        pitch = MAP_HEIGHT + SHARE_HEIGHT + UNDER + 0.42 + room
        width = max(1.9, longest * cell)
        figure = paper(max(map(len, rows)) * (width + ACROSS), len(rows) * pitch)
        for row, layer in enumerate(rows):
            for column, one in enumerate(layer):
                top = (len(rows) - row) * pitch
                _draw_gate(figure, one, column * (width + ACROSS), top, cell, theme, first=column == 0)
        _draw_scale(figure, max(map(len, rows)) * (width + ACROSS) - ACROSS + 0.15, len(rows) * pitch, theme)
        _key(figure.axes[1], theme)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _by_layer(maps: Sequence[Any]) -> list[list[Any]]:
    rows: dict[tuple[str, int, bool], list[Any]] = {}
    for one in maps:
        rows.setdefault((one.side, one.layer, one.backward), []).append(one)
    return list(rows.values())


def _draw_gate(
    figure: Figure, one: GateMap, left: float, top: float, cell: float, theme: Theme, *, first: bool
) -> None:
    width = len(one.symbols) * cell
    order = np.argsort(-one.values.mean(axis=1), kind="stable")
    axes = add_axes(figure, left, top - MAP_HEIGHT, width, MAP_HEIGHT)
    axes.imshow(one.values[order], cmap=weight_colours(theme), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    name = one.name if first else one.gate
    axes.set_title(name + KEEPS.get(one.gate, ""), loc="left", size=SMALL + 1, pad=4)
    axes.set_xticks([])
    axes.set_yticks([])
    if first:
        axes.set_ylabel(f"{len(order)} units", labelpad=3)
    below = add_axes(figure, left, top - MAP_HEIGHT - UNDER - SHARE_HEIGHT, width, SHARE_HEIGHT)
    places = np.arange(len(one.symbols))
    for values, colour, style in _lines(one, theme):
        below.plot(places, values, style, color=colour, linewidth=1.1, clip_on=False)
    below.set_xlim(-0.5, len(places) - 0.5)
    below.set_ylim(0, 1)
    below.set_yticks([0, 0.5, 1], ["0", "", "1"] if first else ["", "", ""])
    below.spines[["top", "right"]].set_visible(False)
    below.tick_params(axis="y", length=2, labelsize=SMALL - 1)
    labels = [visible(symbol) for symbol in one.symbols]
    below.set_xticks(places, labels, size=min(SMALL + 1, cell * POINTS * 0.8))
    for mark, label in zip(below.get_xticklabels(), labels, strict=True):
        mark.set_rotation(90 if _turned(label) else 0)
    below.tick_params(axis="x", length=0, pad=3)


def _turned(label: str) -> bool:
    """Letters stand upright, words are turned."""
    return letters_wide(label) > 2


def _lines(one: GateMap, theme: Theme) -> list[tuple[NDArray[Any], str, str]]:
    return [(one.mean, theme.ink, "-"), (one.open, LINES[1], "-"), (one.shut, LINES[4 if theme is DARK else 0], "--")]


def _key(axes: Axes, theme: Theme) -> None:
    """Above everything: what the lines below the maps are."""
    from matplotlib.lines import Line2D

    looks: list[tuple[str, str, Literal["-", "--"]]] = [
        ("mean", theme.ink, "-"),
        ("share of units open (> 0.9)", LINES[1], "-"),
        ("share of units shut (< 0.1)", LINES[4 if theme is DARK else 0], "--"),
    ]
    key = [Line2D([], [], color=colour, linestyle=style, linewidth=1.3, label=name) for name, colour, style in looks]
    above = 1 + (UNDER + MAP_HEIGHT + 0.3) / SHARE_HEIGHT
    axes.legend(
        handles=key, loc="lower left", bbox_to_anchor=(-0.02, above), borderaxespad=0, ncols=3, handlelength=1.6
    )


def _draw_scale(figure: Figure, left: float, top: float, theme: Theme) -> None:
    axes = add_axes(figure, left, top - 1.0, 0.09, 1.0)
    axes.imshow(np.linspace(1, 0, 256)[:, None], cmap=weight_colours(theme), vmin=0, vmax=1, aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([0, 127.5, 255], ["1 open", "0.5", "0 shut"])
    axes.yaxis.tick_right()
    axes.tick_params(length=2, labelsize=SMALL - 1)


def saturation_figure(gates: Sequence[UnitSaturation], *, title: str | None = None, dark: bool = False) -> Figure:
    """Each gate of each layer as a square with a dot a unit: across, at what share of steps it is open; up, at what share it is shut
    (Karpathy et al. 2015, figure 3). Dots near the origin are of units that are never saturated. ValueError if there are none.
    """
    if not gates:
        raise ValueError("there are no gates to draw")
    theme = DARK if dark else LIGHT
    rows = _by_layer(gates)
    pitch = SQUARE + 0.8
    with drawing(theme, [title or ""]):
        figure = paper(max(map(len, rows)) * (SQUARE + 0.3), len(rows) * pitch)
        for row, layer in enumerate(rows):
            for column, one in enumerate(layer):
                axes = add_axes(figure, column * (SQUARE + 0.3), (len(rows) - 1 - row) * pitch, SQUARE, SQUARE)
                _draw_square(axes, one, theme, first=column == 0)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _draw_square(axes: Axes, one: UnitSaturation, theme: Theme, *, first: bool) -> None:
    colour = LINES[4 if theme is DARK else 0]
    axes.plot([0, 1], [1, 0], color=theme.faint, linewidth=0.6)
    axes.scatter(one.open, one.shut, s=9, color=colour, alpha=0.5, linewidths=0, clip_on=False, zorder=3)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"] if first else ["", "", ""])
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2, labelsize=SMALL - 1)
    axes.set_title(f"{one.name if first else one.gate}\nmean {one.mean:.2f}", loc="left", size=SMALL + 0.5, pad=4)
    axes.set_xlabel("share of steps open", labelpad=2)
    if first:
        axes.set_ylabel("share of steps shut", labelpad=2)
