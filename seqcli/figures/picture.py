"""A picture under a map of weights: the map made smooth, the picture at its size on paper, and the colours of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.style import DPI
from seqcli.symbols import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap

# Orange is far from every grey, light or dark. What is below stays to be seen at full weight.
MAP_COLOUR, MOST_OPAQUE = "#FF6200", 0.85
LIGHTEST, DARKEST = 245, 55  # of the grey picture under a map: neither paper nor ink
STEPS = 4096  # of opacity; it grows fastest near 0, where fewer would be seen as contours
PIXELATED = 3  # an image of which each pixel is drawn this many dots wide, or wider, is drawn in squares
WIDEST, HIGHEST = 4.0, 2.5  # inches


def upsample(grid_weights: NDArray[Any], height: int, width: int) -> NDArray[np.float64]:
    """Maps of `grid_weights (…,rows,columns)` made smooth, (…,height,width): each still sums to what it summed to.

    Bilinear: a cell's weight is spread as a tent over its neighbourhood, as high as 1 at the cell's centre and 0 at its neighbours',
    and each pixel gets what of the tent is above it. What would fall off an edge is folded back, so that nothing is lost and
    an even map stays even. The sizes need be no multiples of the grid's.
    """
    *_, rows, columns = grid_weights.shape
    return np.asarray(_spread(rows, height) @ grid_weights @ _spread(columns, width).T, dtype=np.float64)


def _spread(cells: int, size: int) -> NDArray[np.float64]:
    """The share of each cell's weight that each pixel gets, (size,cells); a column sums to 1."""
    edges = np.linspace(0.0, cells, size + 1)[:, None]
    centres = np.arange(cells) + 0.5
    folded = (centres, -centres, 2 * cells - centres)
    return np.asarray(sum(np.diff(_below_tent(edges - each), axis=0) for each in folded))


def _below_tent(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area left of `place` below a tent of height 1 that stands from -1 to 1."""
    inside = np.clip(place, -1.0, 1.0)
    return np.asarray(0.5 + inside - inside * np.abs(inside) / 2)


def cell_weights(grid_weights: NDArray[Any], height: int, width: int) -> NDArray[np.float64]:
    """The smooth map (…,height,width) in units of the grid: at the centre of a cell it is that cell's weight."""
    *_, rows, columns = grid_weights.shape
    cells_of_a_pixel = rows * columns / (height * width)
    return np.asarray(upsample(grid_weights, height, width) / cells_of_a_pixel)


def check_picture(image: NDArray[Any]) -> None:
    """ValueError unless `image` is pixels `uint8`, (h,w,3) in colour or (h,w) in grey."""
    if image.dtype != np.uint8 or image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"an image of {image.dtype} {image.shape}; it must be uint8 and (h,w,3) or (h,w)")


def enlarged(image: NDArray[np.uint8], area: float) -> NDArray[np.uint8]:
    """The picture (h',w',3) at the dots that it has on about `area` square inches, no side longer than a sheet bears.

    Each pixel of a small image becomes a square of whole dots, so that it stays crisp; a large one is resampled.
    """
    from PIL import Image

    colour = np.ascontiguousarray(np.broadcast_to(image[..., None], (*image.shape, 3)) if image.ndim == 2 else image)
    height, width = image.shape[:2]
    factor = DPI * min(math.sqrt(area / (width * height)), WIDEST / width, HIGHEST / height)
    if factor >= PIXELATED:
        return colour.repeat(int(factor), axis=0).repeat(int(factor), axis=1)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(colour).resize(size, Image.Resampling.LANCZOS))


def greyed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in greys (luma of Rec. 709) that leave room on both sides, still (h,w,3): a map stands out against all."""
    luma = picture @ np.array((0.2126, 0.7152, 0.0722))
    grey = DARKEST + luma * ((LIGHTEST - DARKEST) / 255)
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=-1)


def see_through(colour: str) -> ListedColormap:
    """A scale from 0, nothing at all, to 1, `colour` nearly opaque.

    Opacity grows as the weight to the power of 2/3: a weight a tenth of the largest is still seen, at a fifth of its strength.
    """
    from matplotlib.colors import ListedColormap, to_rgb

    opacity = MOST_OPAQUE * np.linspace(0.0, 1.0, STEPS) ** (2 / 3)
    return ListedColormap(np.column_stack([np.tile(to_rgb(colour), (STEPS, 1)), opacity]))


def largest(weights: NDArray[Any]) -> float:
    """Where the scale of these weights ends; 1 where all are 0."""
    return float(weights.max()) or 1.0


def overlaid(picture: NDArray[np.uint8], grid_weights: NDArray[Any], most: float) -> NDArray[np.uint8]:
    """The picture (h,w,3) in grey under each map of `grid_weights (…,rows,columns)`, (…,h,w,3); `most` is where their scale ends.

    Mixed here and not by the canvas, since a sheet of thousands is then one image, in half the time.
    """
    smooth = cell_weights(grid_weights, *picture.shape[:2])
    colours = see_through(MAP_COLOUR)(smooth / most)
    colour, opacity = 255 * colours[..., :3], colours[..., 3:]
    mixed = greyed(picture) * (1 - opacity) + colour * opacity
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def draw_picture(axes: Axes, picture: NDArray[np.uint8]) -> None:
    """Draw the picture as it is, one dot of it a dot on paper, in a thin frame without ticks."""
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_box(axes: Axes, box: Box) -> None:
    """A thin outline around a place in the picture; white beside dark, so that it is seen on both."""
    from matplotlib.patches import Rectangle

    height, width = axes.images[0].get_size()
    left, top, right, bottom = box
    place = (left * width - 0.5, top * height - 0.5)
    size = ((right - left) * width, (bottom - top) * height)
    for colour, line in (("white", 1.7), ("#005A9C", 0.8)):
        axes.add_patch(Rectangle(place, *size, fill=False, edgecolor=colour, linewidth=line))
