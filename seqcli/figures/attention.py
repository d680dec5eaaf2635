"""Attention as a picture: a map of weights, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from seqcli.figures.labels import letters_wide, visible, widths_of
from seqcli.figures.style import (
    BODY,
    DARK,
    LIGHT,
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
    from matplotlib.image import AxesImage


def attention_figure(
    weights: NDArray[Any],
    source: Sequence[str],
    target: Sequence[str],
    *,
    title: str | None = None,
    dark: bool = False,
) -> Figure:
    """One map of `weights (T,S)`: a row a target symbol, a column a source symbol, each cell from 0 to 1.

    `source (S)` stands above, `target (T)` at the left; a space is drawn as ␣. ValueError if the labels do not fit the weights.
    """
    check_labels(weights, source, target)
    theme = DARK if dark else LIGHT
    cell = between(0.17, 6.0 / max(len(source), len(target)), 0.3)
    width, height = len(source) * cell, len(target) * cell
    with drawing(theme, [*source, *target, title or ""]):
        figure = paper(width, height)
        axes = add_axes(figure, 0.0, 0.0, width, height)
        image = draw_map(axes, weights, theme)
        size = min(BODY + 1, cell * POINTS * 0.66)
        label_source(axes, source, size)
        label_target(axes, target, size)
        axes.set_xlabel("source", labelpad=4)
        axes.xaxis.set_label_position("top")
        axes.set_ylabel("target", labelpad=4)
        colour_bar(figure, image, left=width + 0.12, height=min(height, 2.0), top=height)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


Named = tuple[str, NDArray[Any], Sequence[str], Sequence[str]]
"""A map with its name, weights (T,S), source (S) and target (T)."""
PAGE = 14.0
"""Inches: where maps side by side would be wider, they go on below."""


def attention_beside(maps: Sequence[Named], *, title: str | None = None, dark: bool = False) -> Figure:
    """Several maps side by side, as of two models or two scores for one sentence: each a title, weights (T,S), source (S), target (T).

    All are drawn to the same scale; each has its own symbols, which may differ. What has no room in one line of 14 inches stands
    in others below. ValueError if there is none, or labels do not fit.
    """
    if not maps:
        raise ValueError("there is no map to draw")
    for _, weights, source, target in maps:
        check_labels(weights, source, target)
    theme = DARK if dark else LIGHT
    longest = max(max(weights.shape) for _, weights, _, _ in maps)
    cell = between(0.17, 6.0 / longest, 0.3)
    size = min(BODY + 1, cell * POINTS * 0.66)
    names = [name for name, *_ in maps]
    with drawing(theme, [*(text for _, _, source, target in maps for text in (*source, *target)), *names, title or ""]):
        lines = _lines(maps, cell, size)
        below = [cell * max(len(target) for _, _, _, target in line) for line in lines]
        above = max(label_height(source, size) for _, _, source, _ in maps) * POINTS + 8
        between_lines = (above + 2.5 * BODY) / POINTS
        total = top = sum(below) + between_lines * (len(lines) - 1)
        figure = paper(1.0, total)
        ends = []
        for line, deep in zip(lines, below, strict=True):
            image, end = _draw_line(figure, line, top, cell, size, above, theme)
            ends.append(end)
            top -= deep + between_lines
        colour_bar(figure, image, left=max(ends) - 0.13, height=min(below[0], 2.0), top=total)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _room(named: Named, cell: float, size: float) -> float:
    """Inches from the left edge of a map's labels to where the next begins."""
    name, _, source, target = named
    return label_width(target, size) + max(cell * len(source), *widths_of([name], BODY)) + 0.25


def _lines(maps: Sequence[Named], cell: float, size: float) -> list[list[Named]]:
    """The maps in lines of no more than PAGE inches, one at least in each."""
    lines: list[list[Named]] = [[]]
    used = 0.0
    for named in maps:
        wide = _room(named, cell, size)
        if lines[-1] and used + wide > PAGE:
            lines.append([])
            used = 0.0
        lines[-1].append(named)
        used += wide
    return lines


def _draw_line(
    figure: Figure, line: Sequence[Named], top: float, cell: float, size: float, above: float, theme: Theme
) -> tuple[AxesImage, float]:
    """Maps side by side, `top` inches from the bottom, their names `above` points higher: the last one, and where the next would begin."""
    left = 0.0
    for named in line:
        name, weights, source, target = named
        width, height = cell * len(source), cell * len(target)
        start = left + label_width(target, size)
        axes = add_axes(figure, start, top - height, width, height)
        image = draw_map(axes, weights, theme)
        label_source(axes, source, size)
        label_target(axes, target, size)
        axes.annotate(name, (0, 1), (0, above), xycoords="axes fraction", textcoords="offset points", size=BODY)
        left += _room(named, cell, size)
    return image, left


def check_labels(weights: NDArray[Any], source: Sequence[str], target: Sequence[str]) -> None:
    """ValueError unless there is a label for each row and column."""
    if weights.shape != (len(target), len(source)):
        raise ValueError(f"weights of shape {weights.shape} with {len(target)} target and {len(source)} source symbols")


def between(low: float, value: float, high: float) -> float:
    """`value`, no less than `low` and no more than `high`."""
    return max(low, min(value, high))


def draw_map(axes: Axes, weights: NDArray[Any], theme: Theme) -> AxesImage:
    """The weights as cells from 0 to 1, without ticks."""
    image = axes.imshow(weights, cmap=weight_colours(theme), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.xaxis.tick_top()
    return image


def turned(labels: Sequence[str]) -> bool:
    """Letters stand upright above their columns; as soon as one label is wider than its column, all are turned."""
    return any(letters_wide(label) > 2 for label in labels)


def label_width(labels: Sequence[str], size: float) -> float:
    """The widest of the labels as they are drawn, in inches."""
    return max(widths_of([visible(label) for label in labels], size))


def label_height(source: Sequence[str], size: float) -> float:
    """The room that the labels above a map need, in inches."""
    upright = 1.2 * size / POINTS
    return label_width(source, size) if turned([visible(symbol) for symbol in source]) else upright


def label_source(axes: Axes, source: Sequence[str], size: float) -> None:
    """Write the source's symbols above the columns."""
    labels = [visible(symbol) for symbol in source]
    axes.set_xticks(range(len(labels)), labels, size=size, rotation=90 if turned(labels) else 0)
    axes.tick_params(axis="x", length=0, pad=3)


def label_target(axes: Axes, target: Sequence[str], size: float) -> None:
    """Write the target's symbols left of the rows."""
    axes.set_yticks(range(len(target)), [visible(symbol) for symbol in target], size=size)
    axes.tick_params(axis="y", length=0, pad=3)


def colour_bar(figure: Figure, image: AxesImage, *, left: float, height: float, top: float) -> None:
    """What the colours mean, from 0 to 1."""
    axes = add_axes(figure, left, top - height, 0.09, height)
    bar = figure.colorbar(image, cax=axes, ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.5)
    axes.tick_params(labelsize=SMALL - 1, length=2)
