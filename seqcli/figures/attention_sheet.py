"""Every layer and head on one sheet: a block for each kind of attention, a row a layer, a column a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from seqcli.figures.attention import (
    between,
    check_labels,
    colour_bar,
    draw_map,
    label_height,
    label_source,
    label_target,
)
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
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

GAP = 0.12  # inches between two maps
CAPTION = 0.27  # inches of two lines below a map
NARROWEST = 0.78  # inches from one captioned map to the next, for its caption
BETWEEN_BLOCKS = 0.18


@dataclass(frozen=True)
class Block:
    """One kind of attention: `weights (L,H,R,C)` between `rows` and `columns`, under a `title`.

    `captions (L,H)` are two lines below each map, what the head does, and its figures; either may be empty.
    """

    title: str
    weights: NDArray[Any]
    columns: Sequence[str]
    rows: Sequence[str]
    captions: Sequence[Sequence[tuple[str, str]]] | None = None
    row_titles: Sequence[str] | None = None
    column_titles: Sequence[str] | None = None

    @property
    def layer_titles(self) -> Sequence[str]:
        """One for each row of maps."""
        return self.row_titles or [f"layer {number + 1}" for number in range(self.weights.shape[0])]

    @property
    def head_titles(self) -> Sequence[str]:
        """One for each column of maps."""
        return self.column_titles or [f"head {number + 1}" for number in range(self.weights.shape[1])]


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
    block = Block("", weights, source, target, row_titles=row_titles, column_titles=col_titles)
    return sheet_of_kinds([block], title=title, dark=dark)


def sheet_of_kinds(
    blocks: Sequence[Block], *, title: str | None = None, note: str | None = None, dark: bool = False
) -> Figure:
    """All blocks below each other, their maps to one scale of size and colour; `note` stands below them all.

    ValueError if there is no block, or labels, titles or captions do not fit the weights.
    """
    if not blocks:
        raise ValueError("there is no kind of attention to draw")
    for block in blocks:
        _check(block)
    theme = DARK if dark else LIGHT
    longest = max(max(block.weights.shape[2:]) for block in blocks)
    cell = between(0.075, 3.0 / longest, 0.14)
    size = min(SMALL, cell * POINTS * 0.85)
    with drawing(theme, [*(text for block in blocks for text in _texts(block)), title or "", note or ""]):
        heights = [_height(block, cell) for block in blocks]
        heads = [_heading(block, size) for block in blocks]
        total = sum(heights) + sum(heads[1:]) + BETWEEN_BLOCKS * (len(blocks) - 1)
        across = max(block.weights.shape[1] * _pitch(block, cell) for block in blocks)
        figure = paper(across, total)
        top = total
        for block, height, heading in zip(blocks, heights, heads, strict=True):
            top -= heading if top < total else 0.0
            image = _draw_block(figure, block, top, cell, size, theme)
            top -= height + BETWEEN_BLOCKS
        if note:
            lowest = figure.axes[-blocks[-1].weights.shape[1]]
            _write_below(lowest, note, 0.2 + (CAPTION if blocks[-1].captions is not None else 0.0), theme.faint)
        colour_bar(figure, image, left=across, height=min(total, 2.0), top=total)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _check(block: Block) -> None:
    layers, heads = block.weights.shape[:2]
    if (len(block.layer_titles), len(block.head_titles)) != (layers, heads):
        given = f"titles for {len(block.layer_titles)}×{len(block.head_titles)}"
        raise ValueError(f"{layers}×{heads} maps, but {given}")
    if block.captions is not None and [len(layer) for layer in block.captions] != [heads] * layers:
        raise ValueError(f"{layers}×{heads} maps, but captions for {[len(layer) for layer in block.captions]}")
    check_labels(block.weights[0, 0], block.columns, block.rows)


def _texts(block: Block) -> list[str]:
    return [*block.rows, *block.columns, *block.layer_titles, *block.head_titles, block.title]


def _pitch(block: Block, cell: float) -> float:
    """From the left edge of one map to that of the next, in inches."""
    width = len(block.columns) * cell + GAP
    return max(width, NARROWEST + GAP) if block.captions is not None else width


def _step(block: Block, cell: float) -> float:
    """From the top of one map to that of the one below, in inches."""
    return len(block.rows) * cell + GAP + (CAPTION if block.captions is not None else 0.0)


def _height(block: Block, cell: float) -> float:
    return block.weights.shape[0] * _step(block, cell) - GAP


def _heading(block: Block, size: float) -> float:
    """The room above a block: the columns' labels, the heads' titles, and its own title."""
    titles: float = (3 + 6 + 1.4 * BODY + 6 + 1.4 * BODY) / POINTS
    return label_height(block.columns, size) + titles


def _draw_block(figure: Figure, block: Block, top: float, cell: float, size: float, theme: Theme) -> AxesImage:
    """Draw the maps of a block from `top` on downward, in inches; one of the images."""
    width, height = len(block.columns) * cell, len(block.rows) * cell
    layers, heads = block.weights.shape[:2]
    for layer in range(layers):
        for head in range(heads):
            bottom = top - layer * _step(block, cell) - height
            axes = add_axes(figure, head * _pitch(block, cell), bottom, width, height)
            image = draw_map(axes, block.weights[layer, head], theme)
            if layer == 0:
                label_source(axes, block.columns, size)
                axes.set_title(block.head_titles[head], pad=6)
            if head == 0:
                label_target(axes, block.rows, size)
                axes.set_ylabel(block.layer_titles[layer], labelpad=6, size=BODY, color=theme.ink)
            if layer == 0 and head == 0 and block.title:
                above = (_heading(block, size) - 1.2 * BODY / POINTS) * POINTS
                place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
                axes.annotate(block.title, (0, 1), (0, above), size=BODY + 1, weight="bold", **place)
            if block.captions is not None:
                _caption(axes, block.captions[layer][head], theme)
    return image


def _caption(axes: Axes, lines: tuple[str, str], theme: Theme) -> None:
    """Two lines below a map: what the head does, and its figures."""
    for text, below, ink in zip(lines, (0.12, 0.23), (theme.ink, theme.faint), strict=True):
        _write_below(axes, text, below, ink)


def _write_below(axes: Axes, text: str, below: float, ink: str) -> None:
    """Write small, flush with the left edge of `axes`, so many inches below it."""
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(text, (0, 0), (0, -below * POINTS), size=SMALL - 1, color=ink, **place)
