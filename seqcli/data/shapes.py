"""Scenes of coloured shapes on white, made at run time: their objects, where they may lie, and how they are drawn.

`shape_captions` describes such scenes, `shape_questions` asks about them; what is where in the picture is known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqcli.data.builtin import split_of
from seqcli.data.corpus import Split
from seqcli.errors import DataError
from seqcli.symbols import Box

if TYPE_CHECKING:
    from PIL import ImageDraw

VERSION = 1
"""Part of every digest: to be raised when the same parameters give other scenes or other pixels."""

COLOURS = {
    "red": (224, 32, 32),
    "green": (32, 160, 48),
    "blue": (32, 72, 224),
    "yellow": (248, 216, 16),
    "purple": (144, 40, 176),
    "orange": (248, 136, 16),
    "gray": (128, 128, 128),
}
BACKGROUND = (255, 255, 255)

SIZES = {"small": 0.08, "large": 0.15}
"""Half the width of an object, as a share of the picture's."""

SMALLEST_PICTURE = 32
"""In fewer pixels a small star is no longer a star."""

GRID = 4
"""Objects lie on a grid of so many lines a pixel; the picture is drawn that much larger, then averaged down."""

GAP = 1 / 64
"""What is at least between two objects, and between an object and the edge, as a share of the picture's width."""


@dataclass(frozen=True)
class SceneObject:
    """One object: what it is called by, and its centre (`x`, `y`) and `radius`, half its width, in pixels from the top left."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float

    def distance(self, other: SceneObject) -> float:
        """From centre to centre, in pixels."""
        return math.hypot(self.x - other.x, self.y - other.y)


@dataclass(frozen=True)
class Scene:
    """A square picture of `size` pixels a side, and the objects in it, none of which overlap."""

    objects: tuple[SceneObject, ...]
    size: int

    @property
    def key(self) -> str:
        """A text that is the same for scenes that look the same."""
        objects = (f"{one.shape} {one.colour} {one.size} {one.x} {one.y}" for one in self.objects)
        return f"{self.size}: {', '.join(sorted(objects))}"

    def box(self, one: SceneObject) -> Box:
        """Where `one` of its objects is: left, top, right and bottom as shares of the picture. All shapes fill their box."""
        edges = (one.x - one.radius, one.y - one.radius, one.x + one.radius, one.y + one.radius)
        left, top, right, bottom = (edge / self.size for edge in edges)
        return left, top, right, bottom


def scenes_of(split: Split, seed: int, draw: Callable[[Random], Scene]) -> Iterator[Scene]:
    """Those scenes of `draw`, without end, that belong to a split.

    Which split a scene is in follows from what is in it, so that the splits never meet.
    """
    random = Random(f"{seed} {split}")
    while True:
        scene = draw(random)
        if split_of(scene.key, seed) == split:
            yield scene


def check_picture_size(kind: str, size: int) -> None:
    """Raise `DataError` unless the shapes of a picture of `size` pixels a side can be told apart."""
    if size < SMALLEST_PICTURE:
        raise DataError(
            f"{kind}: shapes cannot be told apart in a picture of {size} pixels; give a size of {SMALLEST_PICTURE} or more"
        )


def radius_of(word: str, size: int) -> float:
    """Half the width in pixels, on the grid, of an object that is called `word` in a picture of `size` pixels."""
    return round(SIZES[word] * size * GRID) / GRID


def draw_places(random: Random, radii: Sequence[float], size: int) -> list[tuple[float, float]]:
    """Centres for a few objects of `radii`, in pixels, whose boxes keep their distance from each other and from the edge."""
    while True:
        places: list[tuple[float, float]] = []
        for radius in radii:
            place = _free_place(random, radius, list(zip(places, radii, strict=False)), size)
            if place is None:  # the others lie in its way: all are placed anew
                break
            places.append(place)
        else:
            return places


def _free_place(
    random: Random, radius: float, taken: Sequence[tuple[tuple[float, float], float]], size: int
) -> tuple[float, float] | None:
    """A centre that is far enough from those that are `taken`, each with its radius; None if it is not found soon."""
    gap = GAP * size
    lowest = math.ceil((radius + gap) * GRID)
    for _ in range(100):
        x, y = random.randint(lowest, size * GRID - lowest) / GRID, random.randint(lowest, size * GRID - lowest) / GRID
        if all(max(abs(x - left), abs(y - top)) >= radius + other + gap for (left, top), other in taken):
            return x, y
    return None


def draw_scene(scene: Scene) -> NDArray[np.uint8]:
    """The pixels of a scene, uint8 (3,h,w). Edges are smooth: every pixel is the mean of `GRID`×`GRID` smaller ones."""
    from PIL import Image, ImageDraw

    side = scene.size * GRID
    image = Image.new("RGB", (side, side), BACKGROUND)
    pen = ImageDraw.Draw(image)
    for one in scene.objects:
        _draw_object(pen, one)
    return np.ascontiguousarray(np.asarray(image.reduce(GRID)).transpose(2, 0, 1))


def _draw_object(pen: ImageDraw.ImageDraw, one: SceneObject) -> None:
    """Draw an object, magnified. Pillow numbers pixels, and paints the last one too: an edge at c lies in pixel c - 1/2."""
    x, y, radius = (GRID * length for length in (one.x, one.y, one.radius))
    if one.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius - 1, y + radius - 1), COLOURS[one.colour])
        return
    reach = radius - 0.5
    corners = [(round(x - 0.5 + reach * right), round(y - 0.5 + reach * down)) for right, down in OUTLINES[one.shape]]
    pen.polygon(corners, COLOURS[one.colour])


def _star() -> tuple[tuple[float, float], ...]:
    """A five-pointed star, its tips and dents in turn, stretched to fill its box."""
    dent = math.cos(math.radians(72)) / math.cos(math.radians(36))  # of the pentagram, whose edges are straight lines
    angles = [math.radians(36 * corner - 90) for corner in range(10)]
    corners = [(math.cos(a) * r, math.sin(a) * r) for a, r in zip(angles, [1.0, dent] * 5, strict=True)]
    rights, downs = [right for right, _ in corners], [down for _, down in corners]
    return tuple(
        (_stretched(right, min(rights), max(rights)), _stretched(down, min(downs), max(downs)))
        for right, down in corners
    )


def _stretched(value: float, lowest: float, highest: float) -> float:
    """`value` on the scale that goes from -1 at `lowest` to 1 at `highest`."""
    return 2 * (value - lowest) / (highest - lowest) - 1


OUTLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "triangle": ((0, -1), (1, 1), (-1, 1)),
    "diamond": ((0, -1), (1, 0), (0, 1), (-1, 0)),
    "star": _star(),
}
"""The corners of the shapes that have some, to the right and down from the centre, in radii."""
