"""Attention over an image: a panel a word, the picture under what was looked at; or every layer and head on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.labels import visible, widths_of
from seqcli.figures.picture import (
    MAP_COLOUR,
    check_picture,
    draw_picture,
    enlarged,
    largest,
    overlaid,
)
from seqcli.figures.scene import Scene, make_scene, scale_bar
from seqcli.figures.style import BODY, DARK, DPI, LIGHT, POINTS, SMALL, add_axes, add_title, cut_to_fit, drawing, paper
from seqcli.symbols import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 2.3  # square inches
SMALL_PANELS = 10.0, 0.35, 1.0  # inches: of all columns, and of one at least and at most
TITLE, GAP = 0.22, 0.14  # inches
EDGE, LAYER_EDGE = 6, 14  # dots between two small panels, and more between two layers
WIDEST, LANDSCAPE = 10.5, 1.4  # inches of a sheet; wider than high by this where it can be


def overlay_figure(
    image: NDArray[Any],
    weights: NDArray[Any],
    words: Sequence[str],
    *,
    context_weights: NDArray[Any] | None = None,
    context_words: Sequence[str] | None = None,
    boxes: Sequence[Box | None] | None = None,
    dark: bool = False,
    title: str | None = None,
    columns: int | None = None,
) -> Figure:
    """The picture as it is, then in grey for each of the T `words`, under its map of `weights (T,rows,columns)`.

    `image` is `uint8 (h,w,3)` or `(h,w)`. All maps share one scale, from 0 to the largest weight of a cell, which the bar names. Where
    a text was read beside the image, its words `context_words` (S) stand below every panel, marked by `context_weights (T,S)` on a
    scale of their own, and above it stands how much of the attention the image got. `boxes` (T) are outlined where there is one.
    `columns` panels stand beside each other; unless given, as many as make a sheet that is wider than high. ValueError for
    shapes that do not fit each other.
    """
    theme = DARK if dark else LIGHT
    with drawing(theme, [*words, *(context_words or ()), title or ""]):
        scene = make_scene(
            image,
            weights,
            words,
            area=PANEL,
            text_size=SMALL,
            context_weights=context_weights,
            context_words=context_words,
            boxes=boxes,
            theme=theme,
        )
        across, down = scene.width + GAP, TITLE + scene.height + GAP
        columns = columns or _columns(len(words) + 1, across, down)
        width, height = columns * across, math.ceil((len(words) + 1) / columns) * down
        figure = paper(width, height)
        for panel in range(len(words) + 1):
            row, column = divmod(panel, columns)
            place = panel - 1 if panel else None
            axes = scene.draw(figure, column * across, height - row * down - TITLE, place)
            if place is not None:
                _name_panel(axes, words[place], scene, place)
        scene.draw_scales(figure, min(columns, len(words) + 1) * across, height - TITLE)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def overlay_sheet(
    image: NDArray[Any],
    weights: NDArray[Any],
    words: Sequence[str],
    *,
    row_titles: Sequence[str] | None = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Every map of `weights (L,H,T,rows,columns)` on one sheet: a row a head of a layer, a column one of the T `words`.

    The words stand above the first row only, the titles of rows at the left: "layer 1, head 1", … unless given (L·H of them).
    All maps share one scale, from 0 to the largest weight of a cell. ValueError for shapes that do not fit each other.
    """
    row_titles = _checked_titles(image, weights, words, row_titles)
    theme = DARK if dark else LIGHT
    total, least, most = SMALL_PANELS
    across = max(least, min(total / len(words), most))
    picture = enlarged(image, across**2 * image.shape[0] / image.shape[1])
    with drawing(theme, [*words, *row_titles, title or ""]):
        figure = _draw_tiles(picture, weights)
        right, top = figure.get_size_inches()
        _label_edges(figure.axes[0], words, row_titles, weights.shape[1], picture)
        scale_bar(figure, MAP_COLOUR, largest(weights), "weight of a cell", right + 0.1, top)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _columns(panels: int, across: float, down: float) -> int:
    """How many panels stand beside each other: a sheet wider than high, no wider than it may be, its last row well filled."""
    most = max(1, min(panels, int(WIDEST / across)))
    wide = (each for each in range(1, most) if each * across >= LANDSCAPE * down * math.ceil(panels / each))
    rows = math.ceil(panels / next(wide, most))
    return math.ceil(panels / rows)


def _name_panel(axes: Axes, word: str, scene: Scene, place: int) -> None:
    """The word above its panel, in letters that fit; where a text was read too, the image's part of the attention at the right."""
    part = scene.image_part(place)
    (aside,) = widths_of([part], SMALL - 1)
    room = scene.width - (aside + 0.1 if part else 0.0)
    (wide,) = widths_of([visible(word)], BODY)
    axes.set_title(visible(word), loc="left", pad=3, size=min(BODY, BODY * room / max(wide, 1e-6)))
    axes.set_title(part, loc="right", pad=3, size=SMALL - 1, color=scene.theme.faint)


def _checked_titles(
    image: NDArray[Any], weights: NDArray[Any], words: Sequence[str], titles: Sequence[str] | None
) -> Sequence[str]:
    """The titles of the sheet's rows; ValueError for shapes that do not fit."""
    check_picture(image)
    if weights.ndim != 5 or weights.shape[2] != len(words) or weights.size == 0:
        found = f"weights of shape {weights.shape} with {len(words)} words"
        raise ValueError(f"{found}; they must be (layers,heads,words,rows,columns)")
    layers, heads = weights.shape[:2]
    if titles is None:
        return [f"layer {layer + 1}, head {head + 1}" for layer in range(layers) for head in range(heads)]
    if len(titles) != layers * heads:
        raise ValueError(f"{layers}×{heads} rows of maps, but {len(titles)} titles")
    return titles


def _draw_tiles(picture: NDArray[np.uint8], weights: NDArray[Any]) -> Figure:
    """A figure of all panels as one image, since axes for each of hundreds would take long."""
    most = largest(weights)
    panels = np.stack([overlaid(picture, layer, most) for layer in weights])
    tiled = _tiled(
        np.pad(panels, [(0, 0)] * 5 + [(0, 1)], constant_values=255)
    )  # all opaque, unlike what is between them
    figure = paper(tiled.shape[1] / DPI, tiled.shape[0] / DPI)
    axes = add_axes(figure, 0.0, 0.0, *figure.get_size_inches())
    draw_picture(axes, tiled)
    axes.spines[:].set_visible(False)
    return figure


def _tiled(panels: NDArray[Any]) -> NDArray[Any]:
    """All panels (L,H,T,h,w,C) as one array, a row a head and a column a word, with zeros between them."""
    panels = np.pad(panels, ((0, 0), (0, 0), (0, 0), (0, EDGE), (0, EDGE), (0, 0)))
    layers, heads, words, height, width, channels = panels.shape
    bands = panels.transpose(0, 1, 3, 2, 4, 5).reshape(layers, heads * height, words * width, channels)
    bands = np.pad(bands, ((0, 0), (0, LAYER_EDGE), (0, 0), (0, 0)))
    return bands.reshape(-1, words * width, channels)[: -EDGE - LAYER_EDGE, :-EDGE]


def _label_edges(
    axes: Axes, words: Sequence[str], row_titles: Sequence[str], heads: int, picture: NDArray[np.uint8]
) -> None:
    height, width = picture.shape[:2]
    labels = [visible(word) for word in words]
    # Words stand upright; as soon as one is wider than its column, all are turned.
    turned = any(wide > width / DPI for wide in widths_of(labels, SMALL))
    columns = np.arange(len(words)) * (width + EDGE) + (width - 1) / 2
    row = np.arange(len(row_titles))
    axes.xaxis.tick_top()
    axes.set_xticks(columns, labels, size=SMALL, rotation=90 if turned else 0)
    middles = row * (height + EDGE) + row // heads * LAYER_EDGE + (height - 1) / 2
    axes.set_yticks(middles, row_titles, size=min(SMALL, 0.8 * height / DPI * POINTS))
    axes.tick_params(length=0, pad=3)
