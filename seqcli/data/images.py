"""Images as arrays: pixels brought to one size, or grids of features computed beforehand.

Nothing here needs torch, so that the processes that decode images start at once; and Pillow, an extra, is needed for pixels alone.
"""

from __future__ import annotations

import errno
import io
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import DataError, printable
from seqcli.extras import require
from seqcli.symbols import Box, Image

Boxes = tuple[Box | None, ...]

MOST_PIXELS = 100_000_000
"""A file that claims to hold more would take gigabytes to decode, whatever its own size."""

LONGEST_NAME = 200
"""Letters of an image's path that a message shows."""


class ImageReader(Protocol):
    """How images become arrays of one shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of every array."""

    @property
    def dtype(self) -> type[np.generic]:
        """The type of every number."""

    def read(self, image: Image, origin: str) -> NDArray[Any]:
        """The image as an array. Raises `DataError`, naming the file, or else its `origin`, where it cannot be read."""

    def framed(self, boxes: Boxes, image: Image) -> Boxes:
        """Boxes that are shares of the image as shares of the array that it becomes."""


@dataclass(frozen=True)
class PixelReader:
    """Images as `uint8 (C,h,w)`: with one channel shades of grey, with three red, green and blue.

    An image of another shape is stretched; or, with `fit` pad, enlarged as a whole and filled up with its own last column or row.
    """

    width: int
    height: int
    channels: int = 3
    fit: Literal["stretch", "pad"] = "stretch"

    @property
    def shape(self) -> tuple[int, ...]:
        """(C,h,w)."""
        return (self.channels, self.height, self.width)

    @property
    def dtype(self) -> type[np.generic]:
        """uint8."""
        return np.uint8

    def read(self, image: Image, origin: str) -> NDArray[np.uint8]:
        """Decoded, upright, in the right colours, and at the right size. RecipeError where Pillow is not installed."""
        if isinstance(image, np.ndarray):
            _check_pixels(image, origin)
            if image.shape == self.shape:
                return image
        require("images", "an image")
        from seqcli.data.pixels import decode, from_array, resized

        decoded = from_array(image) if isinstance(image, np.ndarray) else decode(image, _named(image, origin))
        frame = (self.width, self.height)
        whole = frame if self.fit == "stretch" else self._whole(*decoded.size)
        pixels = resized(decoded.convert("L" if self.channels == 1 else "RGB"), whole, frame)
        return pixels[None] if self.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def framed(self, boxes: Boxes, image: Image) -> Boxes:
        """The same boxes, unless the image fills a part of the frame only."""
        size = image_size(image)
        if self.fit == "stretch" or size is None:
            return boxes
        width, height = self._whole(*size)
        x, y = width / self.width, height / self.height
        return tuple(box and (box[0] * x, box[1] * y, box[2] * x, box[3] * y) for box in boxes)

    def _whole(self, width: int, height: int) -> tuple[int, int]:
        """How large an image is when it is as large as fits, in its own proportions."""
        scale = min(self.width / width, self.height / height)
        return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass(frozen=True)
class FeatureReader:
    """Grids of features as `float32 (rows,columns,D)`; where they are given as one list of cells, or of numbers, that goes row by row."""

    rows: int
    columns: int
    size: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows,columns,D)."""
        return (self.rows, self.columns, self.size)

    @property
    def dtype(self) -> type[np.generic]:
        """float32."""
        return np.float32

    def read(self, image: Image, origin: str) -> NDArray[np.float32]:
        """The grid; from bytes or a path, that of a `.npy` file."""
        grid = _as_numbers(image if isinstance(image, np.ndarray) else _load_array(image, origin), image, origin)
        cells = self.rows * self.columns
        # another order of the same numbers, channels first say, would be another grid
        if grid.shape not in (self.shape, (cells, self.size), (cells * self.size,)):
            raise DataError(
                f"{_named(image, origin)}: the features have the shape {grid.shape}, but source.image says "
                f"{self.rows} rows × {self.columns} columns × {self.size}"
            )
        if not np.isfinite(grid).all():
            raise DataError(f"{_named(image, origin)}: the features have a value that is no number")
        return grid.reshape(self.shape)

    def framed(self, boxes: Boxes, image: Image) -> Boxes:
        """The same boxes."""
        return boxes


def image_size(image: Image) -> tuple[int, int] | None:
    """Width and height in pixels, seen upright, looked up without decoding; None where there are no pixels, or none that can be read."""
    if isinstance(image, np.ndarray):
        return (image.shape[2], image.shape[1]) if image.dtype == np.uint8 and image.ndim == 3 else None
    try:
        from seqcli.data.pixels import file_size
    except ImportError:  # whoever wants the pixels themselves will be told
        return None
    return file_size(image)


def _check_pixels(image: NDArray[Any], origin: str) -> None:
    if image.dtype != np.uint8:
        raise DataError(f"{origin}: holds features, but source.image reads pixels")
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.size:
        raise DataError(
            f"{origin}: has pixels of the shape {image.shape}, but (1, height, width) or (3, height, width) is needed"
        )


def _load_array(image: bytes | str, origin: str) -> NDArray[Any]:
    try:
        return np.asarray(np.load(io.BytesIO(image) if isinstance(image, bytes) else image, allow_pickle=False))
    # besides its own errors those of `zipfile` and of Python's tokenizer, and of memory for a shape that is a lie
    except Exception as error:
        raise DataError(f"{_named(image, origin)}: is no array of features ({reason_of(error)})") from error


def _as_numbers(grid: NDArray[Any], image: Image, origin: str) -> NDArray[np.float32]:
    if grid.dtype.kind not in "fiu":
        raise DataError(f"{_named(image, origin)}: is no array of features (it holds {grid.dtype})")
    # what is too large for 32 bits becomes infinite, and is refused as such
    with np.errstate(over="ignore"):
        return grid.astype(np.float32, copy=False)


def _named(image: Image, origin: str) -> str:
    """The image as a message names it: by its path, what is too long for one shortened, or else by its origin."""
    if not isinstance(image, str):
        return origin
    return printable(image if len(image) <= LONGEST_NAME else f"{image[:LONGEST_NAME]}…")


def reason_of(error: Exception) -> str:
    """Why a file cannot be read, with a remedy where what stands for its path is none."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return "an image is its bytes or a path; base64 is not read"
    return first_line(error)


def first_line(error: Exception) -> str:
    """What a decoder complains of, without the stream object that Pillow names where it could not identify it."""
    return str(error).partition("\n")[0].partition(" <_io")[0] or type(error).__name__
