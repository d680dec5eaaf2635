"""Attention as a picture: one map of weights, or every layer and head on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.labels import letters_wide, visible
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
    _check(weights, source, target)
    theme = DARK if dark else LIGHT
    cell = _between(0.17, 6.0 / max(len(source), len(target)), 0.3)
    width, height = len(source) * cell, len(target) * cell
    with drawing(theme, [*source, *target, title or ""]):
        figure = paper(width, height)
        axes = add_axes(figure, 0.0, 0.0, width, height)
        image = _draw_map(axes, weights, theme)
        size = min(BODY + 1, cell * POINTS * 0.66)
        _label_source(axes, source, size)
        _label_target(axes, target, size)
        axes.set_xlabel("source", labelpad=4)
        axes.xaxis.set_label_position("top")
        axes.set_ylabel("target", labelpad=4)
        _colour_bar(figure, image, left=width + 0.12, height=min(height, 2.0), top=height)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def attention_sheet(
    weights: NDArray[Any],
    source: Sequence[str],
    target: Sequence[str],
    *,
    title: str | None = None,
    row_titles: Sequence[str] | None = None,
    col_titles: Sequence[str] | None = None,
    dark: bool = False,
) -> Figure:
    """Every map of `weights (L,H,T,S)` on one sheet: a row a layer, a column a head; symbols are named at the edges only.

    The titles are "layer 1", … and "head 1", … unless given. ValueError if the labels do not fit the weights.
    """
    layers, heads = weights.shape[:2]
    row_titles = row_titles or [f"layer {number + 1}" for number in range(layers)]
    col_titles = col_titles or [f"head {number + 1}" for number in range(heads)]
    if (len(row_titles), len(col_titles)) != (layers, heads):
        raise ValueError(f"{layers}×{heads} maps, but titles for {len(row_titles)}×{len(col_titles)}")
    _check(weights[0, 0], source, target)
    theme = DARK if dark else LIGHT
    cell = _between(0.075, 3.0 / max(len(source), len(target)), 0.14)
    width, height, gap = len(source) * cell, len(target) * cell, 0.12
    total = layers * (height + gap) - gap
    with drawing(theme, [*source, *target, title or "", *row_titles, *col_titles]):
        figure = paper(heads * (width + gap), total)
        size = min(SMALL, cell * POINTS * 0.85)
        for layer in range(layers):
            for head in range(heads):
                left, bottom = head * (width + gap), total - height - layer * (height + gap)
                axes = add_axes(figure, left, bottom, width, height)
                image = _draw_map(axes, weights[layer, head], theme)
                if layer == 0:
                    _label_source(axes, source, size)
                    axes.set_title(col_titles[head], pad=6)
                if head == 0:
                    _label_target(axes, target, size)
                    axes.set_ylabel(row_titles[layer], labelpad=6, size=BODY, color=theme.ink)
        _colour_bar(figure, image, left=heads * (width + gap), height=min(total, 2.0), top=total)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def merge_words(
    weights: NDArray[Any], target_spans: Sequence[tuple[int, int]], source_spans: Sequence[tuple[int, int]]
) -> NDArray[Any]:
    """Weights between words from `weights (…,T,S)` between their pieces; rows that summed to 1 still do.

    A span is the (start, stop) of one word's pieces. What a word is given is the sum over its source pieces; what it gives is
    the mean over its target pieces. ValueError unless the spans cover all positions, in order and once.
    """
    for spans, length in ((target_spans, weights.shape[-2]), (source_spans, weights.shape[-1])):
        starts, stops = [start for start, _ in spans], [stop for _, stop in spans]
        if [*starts, length] != [0, *stops] or any(start >= stop for start, stop in spans):
            raise ValueError(f"the spans {list(spans)} do not cover the positions 0 to {length}, in order and once")
    summed = np.add.reduceat(weights, [start for start, _ in source_spans], axis=-1)
    summed = np.add.reduceat(summed, [start for start, _ in target_spans], axis=-2)
    pieces = np.array([stop - start for start, stop in target_spans])
    return np.asarray(summed / pieces[:, None])


def _check(weights: NDArray[Any], source: Sequence[str], target: Sequence[str]) -> None:
    if weights.shape != (len(target), len(source)):
        raise ValueError(f"weights of shape {weights.shape} with {len(target)} target and {len(source)} source symbols")


def _between(low: float, value: float, high: float) -> float:
    return max(low, min(value, high))


def _draw_map(axes: Axes, weights: NDArray[Any], theme: Theme) -> AxesImage:
    image = axes.imshow(weights, cmap=weight_colours(theme), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.xaxis.tick_top()
    return image


def _label_source(axes: Axes, source: Sequence[str], size: float) -> None:
    labels = [visible(symbol) for symbol in source]
    # Letters stand upright; as soon as one label is wider than its column, all are turned.
    turned = any(letters_wide(label) > 2 for label in labels)
    axes.set_xticks(range(len(labels)), labels, size=size, rotation=90 if turned else 0)
    axes.tick_params(axis="x", length=0, pad=3)


def _label_target(axes: Axes, target: Sequence[str], size: float) -> None:
    axes.set_yticks(range(len(target)), [visible(symbol) for symbol in target], size=size)
    axes.tick_params(axis="y", length=0, pad=3)


def _colour_bar(figure: Figure, image: AxesImage, *, left: float, height: float, top: float) -> None:
    axes = add_axes(figure, left, top - height, 0.09, height)
    bar = figure.colorbar(image, cax=axes, ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.5)
    axes.tick_params(labelsize=SMALL - 1, length=2)
