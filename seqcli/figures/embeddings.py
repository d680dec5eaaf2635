"""Words at their places: embeddings on their first two principal components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.labels import visible, widths_of
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
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from seqcli.analysis.embeddings import EmbeddingMap

SIDE, APART = 4.6, 0.75  # inches: a map, and what is between two
LETTERS = SMALL + 1


def embeddings_figure(maps: Sequence[EmbeddingMap], *, title: str | None = None, dark: bool = False) -> Figure:
    """A map a side: each word a dot at its place on the two principal components, both to the same scale, with its name beside it.

    The axes say what share of the variance they have. Where names would overlap, the word that comes first keeps its own, and the
    other is a dot. ValueError if there are no maps.
    """
    if not maps:
        raise ValueError("there are no embeddings to draw")
    theme = DARK if dark else LIGHT
    with drawing(theme, [word for one in maps for word in one.words] + [title or ""]):
        figure = paper(len(maps) * (SIDE + APART), SIDE)
        for place, one in enumerate(maps):
            _draw_map(add_axes(figure, place * (SIDE + APART), 0.0, SIDE, SIDE), one, theme)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _draw_map(axes: Axes, one: EmbeddingMap, theme: Theme) -> None:
    centre, reach = _frame(one.points)
    axes.set_xlim(centre[0] - reach, centre[0] + reach)
    axes.set_ylim(centre[1] - reach, centre[1] + reach)
    axes.axhline(0, color=theme.faint, linewidth=0.4, alpha=0.6)
    axes.axvline(0, color=theme.faint, linewidth=0.4, alpha=0.6)
    axes.scatter(
        one.points[:, 0], one.points[:, 1], s=7, color=LINES[4 if theme is DARK else 0], linewidths=0, zorder=3
    )
    labels = [visible(word) for word in one.words]
    inches = (one.points - centre + reach) / (2 * reach) * SIDE
    for label, spot in zip(labels, place_labels(inches, widths_of(labels, LETTERS), LETTERS / POINTS), strict=True):
        if spot is not None:
            x, y = spot / SIDE * 2 * reach + centre - reach
            axes.text(x, y, label, size=LETTERS, ha="left", va="baseline", zorder=4)
    axes.set_title(f"{one.side}: {len(one.words):,} of {one.vocabulary:,} symbols", loc="left", pad=6)
    axes.set_xlabel(f"first component, {one.explained[0]:.1%} of the variance")
    axes.set_ylabel(f"second component, {one.explained[1]:.1%}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2, labelsize=SMALL - 1)
    axes.locator_params(nbins=5)


def _frame(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The centre of what is shown, and how far it reaches on either side, the same across and up."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float((high - low).max()) * 0.55 or 1.0


def place_labels(
    points: NDArray[np.float64], widths: Sequence[float], height: float
) -> list[NDArray[np.float64] | None]:
    """Where each label starts on its base line, in inches: right, left, above or below of its point, whichever is free first of dots
    and of the labels before; None where none is."""
    boxes: list[tuple[float, float, float, float]] = [(x - 0.02, y - 0.02, x + 0.02, y + 0.02) for x, y in points]
    taken: list[tuple[float, float, float, float]] = []
    found: list[NDArray[np.float64] | None] = []
    for number, ((x, y), width) in enumerate(zip(points, widths, strict=True)):
        corners = [
            (x + 0.04, y - height * 0.35),
            (x - 0.04 - width, y - height * 0.35),
            (x - width / 2, y + 0.05),
            (x - width / 2, y - 0.05 - height * 0.75),
        ]
        others = [*taken, *(box for place, box in enumerate(boxes) if place != number)]
        free = [corner for corner in corners if not _hits(_box(corner, width, height), others)]
        found.append(np.array(free[0]) if free else None)
        if free:
            taken.append(_box(free[0], width, height))
    return found


def _box(corner: tuple[float, float], width: float, height: float) -> tuple[float, float, float, float]:
    return (corner[0], corner[1] - height * 0.2, corner[0] + width, corner[1] + height * 0.8)


def _hits(box: tuple[float, float, float, float], others: Sequence[tuple[float, float, float, float]]) -> bool:
    return any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in others)
