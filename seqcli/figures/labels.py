"""Labels: what white space and lone marks look like, how wide a label is, and running text with a colour behind each word."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqcli.figures.style import DPI, POINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VISIBLE = str.maketrans({" ": "␣", "\t": "⇥", "\n": "↵"})


def visible(symbol: str) -> str:
    """The symbol with its white space drawn, and a combining mark that stands alone on a dotted circle."""
    mark_alone = symbol and unicodedata.category(symbol[0])[0] == "M"
    return ("\N{DOTTED CIRCLE}" if mark_alone else "") + symbol.translate(VISIBLE)


def letters_wide(label: str) -> int:
    """How wide a label is, in Latin letters: two for a letter of East Asia, none for an accent."""
    return sum(
        0 if unicodedata.category(each)[0] == "M" else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in label
    )


@dataclass(frozen=True)
class RunningText:
    """Words set in lines: each with its place and width in inches from the upper left corner, and the points of its letters."""

    words: tuple[str, ...]
    left: tuple[float, ...]
    line: tuple[int, ...]
    width: tuple[float, ...]
    size: float

    @property
    def line_height(self) -> float:
        """From one line to the next, in inches."""
        return 1.5 * self.size / POINTS

    @property
    def height(self) -> float:
        """Of all lines, in inches."""
        return (self.line[-1] + 1) * self.line_height if self.line else 0.0


def set_text(words: Sequence[str], size: float, width: float) -> RunningText:
    """Break `words` into lines no wider than `width` inches; letters are smaller than `size` where a word would not fit.

    From right to left where the first letter says so (Arabic, Hebrew). Called within `drawing`, whose fonts are measured.
    """
    shown = tuple(visible(word) for word in words)
    size = min([size, *(size * width / wide for wide in widths_of(shown, size))])
    widths, space = widths_of(shown, size), 0.35 * size / POINTS
    left: list[float] = []
    line: list[int] = []
    x, y = 0.0, 0
    for wide in widths:
        if x and x + wide > width + 1e-6:
            x, y = 0.0, y + 1
        left.append(x)
        line.append(y)
        x += wide + space
    if _right_to_left(shown):
        left = [width - x - wide for x, wide in zip(left, widths, strict=True)]
    return RunningText(shown, tuple(left), tuple(line), tuple(widths), size)


def widths_of(labels: Sequence[str], size: float) -> list[float]:
    """How wide each label is when set in `size` points, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(dpi=DPI)
    FigureCanvasAgg(figure)
    return [figure.text(0, 0, label, size=size).get_window_extent().width / DPI for label in labels]


def draw_text(axes: Axes, text: RunningText, inks: Sequence[Any], marks: Sequence[Any]) -> None:
    """Write `text` into `axes` as wide and high as it is, each word in its colour of `inks` on its colour of `marks`."""
    from matplotlib.patches import Rectangle

    axes.axis("off")
    axes.set_xlim(0, axes.get_window_extent().width / axes.figure.dpi)
    axes.set_ylim(text.height, 0)
    beside = 0.175 * text.size / POINTS
    places = zip(text.words, text.left, text.line, text.width, inks, marks, strict=True)
    for word, left, line, width, ink, mark in places:
        top, high = (line + 0.06) * text.line_height, 0.88 * text.line_height
        behind = Rectangle((left - beside, top), width + 2 * beside, high, facecolor=mark, linewidth=0, clip_on=False)
        axes.add_patch(behind)
        base = (line + 0.72) * text.line_height
        axes.text(left, base, word, size=text.size, color=ink, verticalalignment="baseline")


def _right_to_left(words: Sequence[str]) -> bool:
    directions = [unicodedata.bidirectional(each) for word in words for each in word]
    return next((each != "L" for each in directions if each in ("L", "R", "AL")), False)
