"""Attention over an image as an animation: a frame a word, while the sentence is written below the picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import RecipeError
from seqcli.figures.labels import RunningText, draw_text, set_text
from seqcli.figures.picture import MAP_COLOUR, see_through
from seqcli.figures.scene import Scene, make_scene
from seqcli.figures.style import BODY, DARK, LIGHT, SMALL, add_axes, add_title, cut_to_fit, drawing, paper
from seqcli.storage import write_file
from seqcli.symbols import Box

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

FRAME, LAST_FRAME = 800, 2400  # milliseconds
AREA = 7.0  # square inches of the picture
WORDS = BODY + 3  # points
BELOW = 0.12  # inches between the picture and the sentence


def save_animation(
    path: Path,
    image: NDArray[Any],
    weights: NDArray[Any],
    words: Sequence[str],
    *,
    context_weights: NDArray[Any] | None = None,
    context_words: Sequence[str] | None = None,
    boxes: Sequence[Box | None] | None = None,
    dark: bool = False,
    title: str | None = None,
) -> Path:
    """Write a GIF of T frames, one for each of `words`, and return its path; arguments as in `overlay_figure`.

    A frame shows the picture in grey under the word's map, and below it the sentence as far as it is written, the word marked. It
    stays for 0.8 seconds, the last for 2.4, then all starts again. The same arguments give the same bytes. RecipeError for
    another ending, ValueError for shapes that do not fit, StorageError if the file cannot be written.
    """
    if path.suffix.lower() != ".gif":
        raise RecipeError(f"{path}: an animation is written as .gif; its name must end in it")
    frames = animation(
        image,
        weights,
        words,
        context_weights=context_weights,
        context_words=context_words,
        boxes=boxes,
        dark=dark,
        title=title,
    )
    write_file(path, frames)
    return path


def animation(
    image: NDArray[Any],
    weights: NDArray[Any],
    words: Sequence[str],
    *,
    context_weights: NDArray[Any] | None = None,
    context_words: Sequence[str] | None = None,
    boxes: Sequence[Box | None] | None = None,
    dark: bool = False,
    title: str | None = None,
) -> bytes:
    """What `save_animation` writes."""
    theme = DARK if dark else LIGHT
    with drawing(theme, [*words, *(context_words or ()), title or ""]):
        scene = make_scene(
            image,
            weights,
            words,
            area=AREA,
            text_size=SMALL + 1,
            context_weights=context_weights,
            context_words=context_words,
            boxes=boxes,
            theme=theme,
        )
        sentence = set_text(words, WORDS, scene.width)
        frames = [_pixels(_frame(scene, sentence, place, title)) for place in range(len(words))]
    return _gif(frames)


def _frame(scene: Scene, sentence: RunningText, place: int, title: str | None) -> Figure:
    """All frames have the same things in the same places, so all have one size; what is not written yet has no colour."""
    height = scene.height + BELOW + sentence.height
    figure = paper(scene.width, height)
    axes = scene.draw(figure, 0.0, height, place)
    axes.set_title(scene.image_part(place), loc="right", pad=3, size=SMALL, color=scene.theme.faint)
    below = add_axes(figure, 0.0, 0.0, scene.width, sentence.height)
    inks = [scene.theme.ink if word <= place else "none" for word in range(len(sentence.words))]
    mark = see_through(MAP_COLOUR)(0.5)
    draw_text(below, sentence, inks, [mark if word == place else "none" for word in range(len(inks))])
    scene.draw_scales(figure, scene.width + 0.14, height)
    if title:
        add_title(figure, title)
    cut_to_fit(figure)
    return figure


def _pixels(figure: Figure) -> Image:
    """The figure as an image of the 256 colours that leave none far from its own; no dithering, which would flicker."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    dots = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    colours = Image.fromarray(np.ascontiguousarray(dots))
    return colours.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)


def _gif(frames: Sequence[Image]) -> bytes:
    content = io.BytesIO()
    durations = [FRAME] * (len(frames) - 1) + [LAST_FRAME]
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return content.getvalue()
