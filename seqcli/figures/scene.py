"""One panel of a picture that is looked at word by word: the picture, the map over it, and the text that was read beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.labels import RunningText, draw_text, set_text
from seqcli.figures.picture import (
    MAP_COLOUR,
    check_picture,
    draw_box,
    draw_picture,
    enlarged,
    largest,
    overlaid,
    see_through,
)
from seqcli.figures.style import DPI, SMALL, Theme, add_axes
from seqcli.symbols import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNDER = 0.06  # inches between the picture and the text below it
BAR, BAR_STEP = (0.09, 1.0), 0.75  # inches: the width and height of a scale, and from one to the next


@dataclass(frozen=True)
class Scene:
    """What all panels are drawn from: `picture (h,w,3)` in dots, `weights (T,rows,columns)`, and the words S of a text that was read.

    `text_weights (T,S)` and `boxes` (T) are None where there are none.
    """

    picture: NDArray[np.uint8]
    weights: NDArray[Any]
    text: RunningText | None
    text_weights: NDArray[Any] | None
    boxes: Sequence[Box | None] | None
    theme: Theme

    @property
    def width(self) -> float:
        """Of the picture and all below it, in inches."""
        return float(self.picture.shape[1] / DPI)

    @property
    def picture_height(self) -> float:
        """Of the picture alone, in inches."""
        return float(self.picture.shape[0] / DPI)

    @property
    def height(self) -> float:
        """Of the picture and the text below it, in inches."""
        return self.picture_height + (UNDER + self.text.height if self.text else 0.0)

    def draw(self, figure: Figure, left: float, top: float, place: int | None) -> Axes:
        """Draw the panel of word `place`, or the bare picture for None, with its upper left corner there; the picture's axes."""
        axes = add_axes(figure, left, top - self.picture_height, self.width, self.picture_height)
        if place is None:
            draw_picture(axes, self.picture)
        else:
            draw_picture(axes, overlaid(self.picture, self.weights[place], largest(self.weights)))
        box = self.boxes[place] if self.boxes and place is not None else None
        if box is not None:
            draw_box(axes, box)
        if self.text is not None:
            below = add_axes(figure, left, top - self.height, self.width, self.text.height)
            draw_text(below, self.text, [self.theme.ink] * len(self.text.words), self._marks(place))
        return axes

    def image_part(self, place: int) -> str:
        """How much of a word's attention the image got, where a text was read beside it; else nothing."""
        return f"image {self.weights[place].sum():.0%}" if self.text else ""

    def draw_scales(self, figure: Figure, left: float, top: float) -> None:
        """Draw what the colours mean, from 0 to the largest weight: of the picture's map and of the words below it."""
        scale_bar(figure, MAP_COLOUR, largest(self.weights), "weight of a cell", left, top)
        if self.text_weights is not None:
            most = largest(self.text_weights)
            scale_bar(figure, self.theme.mark, most, "weight of a word", left + BAR_STEP, top)

    def _marks(self, place: int | None) -> list[Any]:
        assert self.text is not None
        if place is None or self.text_weights is None:
            return ["none"] * len(self.text.words)
        return list(see_through(self.theme.mark)(self.text_weights[place] / largest(self.text_weights)))


def make_scene(
    image: NDArray[Any],
    weights: NDArray[Any],
    words: Sequence[str],
    *,
    area: float,
    text_size: float,
    context_weights: NDArray[Any] | None,
    context_words: Sequence[str] | None,
    boxes: Sequence[Box | None] | None,
    theme: Theme,
) -> Scene:
    """The scene on about `area` square inches, its text in `text_size` points. ValueError for shapes that do not fit. Called within `drawing`."""
    check_picture(image)
    check_words(weights, words, context_weights, context_words, boxes)
    picture = enlarged(image, area)
    text = set_text(context_words, text_size, picture.shape[1] / DPI) if context_words else None
    return Scene(picture, weights, text, context_weights if context_words else None, boxes, theme)


def check_words(
    weights: NDArray[Any],
    words: Sequence[str],
    context_weights: NDArray[Any] | None,
    context_words: Sequence[str] | None,
    boxes: Sequence[Box | None] | None,
) -> None:
    """ValueError unless there is a map, a row of `context_weights` and an entry of `boxes` for each of the words."""
    if weights.ndim != 3 or weights.shape[0] != len(words) or weights.size == 0:
        raise ValueError(f"weights of shape {weights.shape} with {len(words)} words; they must be (words,rows,columns)")
    if (context_weights is None) != (context_words is None):
        raise ValueError("context_weights and context_words go together; give both or neither")
    if context_weights is not None and context_words is not None:
        expected = (len(words), len(context_words))
        if context_weights.shape != expected:
            raise ValueError(f"context_weights of shape {context_weights.shape}; they must be {expected}")
    if boxes is not None and len(boxes) != len(words):
        raise ValueError(f"{len(boxes)} boxes with {len(words)} words; there is one for each, or None")


def scale_bar(figure: Figure, colour: str, most: float, label: str, left: float, top: float) -> None:
    """A bar of the colours from 0 to `most`, which stand beside it; `label` says of what."""
    width, height = BAR
    axes = add_axes(figure, left, top - height, width, height)
    steps = np.linspace(0.0, most, 256)[:, None]
    extent = (0.0, 1.0, 0.0, most)
    axes.imshow(steps, cmap=see_through(colour), vmin=0, vmax=most, aspect="auto", origin="lower", extent=extent)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_yticks([0.0, most], ["0", f"{most:.2g}"])
    axes.tick_params(labelsize=SMALL - 1, length=2)
    axes.set_ylabel(label, size=SMALL - 1, labelpad=1)
