"""Images as arrays: pixels brought to one size with Pillow, or grids of features computed beforehand.

Nothing here needs torch, so that the processes that decode images start at once.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow

from seqcli.errors import DataError
from seqcli.symbols import Box, Image

MOST_PIXELS = 100_000_000
"""A file that claims to hold more would take gigabytes to decode, whatever its own size."""


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

    def place(self, box: Box, image: Image) -> Box:
        """Where a place of the image is in the array."""


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
        """Decoded, in the right colours, and at the right size."""
        if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == self.shape:
            return image
        opened = _decode(image, origin).convert("L" if self.channels == 1 else "RGB")
        pixels = np.asarray(self._resized(opened))
        return pixels[None] if self.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _resized(self, image: pillow.Image) -> pillow.Image:
        if image.size == (self.width, self.height):
            return image
        if self.fit == "stretch":
            return image.resize((self.width, self.height), pillow.Resampling.BILINEAR)
        size = self._enlarged(*image.size)
        pixels = np.asarray(image.resize(size, pillow.Resampling.BILINEAR))
        missing = ((0, self.height - size[1]), (0, self.width - size[0]), *[(0, 0)] * (pixels.ndim - 2))
        return pillow.fromarray(np.pad(pixels, missing, mode="edge"))

    def place(self, box: Box, image: Image) -> Box:
        """The same shares of an image that is stretched, and smaller ones of one that is filled up."""
        size = image_size(image)
        if self.fit == "stretch" or size is None:
            return box
        width, height = self._enlarged(*size)
        across, down = width / self.width, height / self.height
        return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)

    def _enlarged(self, width: int, height: int) -> tuple[int, int]:
        """How large a whole image becomes, in pixels."""
        scale = min(self.width / width, self.height / height)
        return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass(frozen=True)
class FeatureReader:
    """Grids of features as `float32 (rows,columns,D)`, from nested lists or arrays of as many numbers."""

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
        """The grid, whatever its numbers were nested in; from bytes or a path, those of a `.npy` file."""
        grid = image if isinstance(image, np.ndarray) else _load_array(image, origin)
        if grid.size != self.rows * self.columns * self.size:
            raise DataError(
                f"{_named(image, origin)}: the features have the shape {grid.shape}, but source.image says "
                f"{self.rows} rows × {self.columns} columns × {self.size}"
            )
        if not np.isfinite(grid).all():
            raise DataError(f"{_named(image, origin)}: the features have a value that is no number")
        return grid.reshape(self.shape).astype(np.float32, copy=False)

    def place(self, box: Box, image: Image) -> Box:
        """The same shares: the grid covers the image."""
        return box


def image_size(image: Image) -> tuple[int, int] | None:
    """Width and height in pixels, looked up without decoding; None where the image cannot be read."""
    if isinstance(image, np.ndarray):
        return (image.shape[-1], image.shape[-2]) if image.dtype == np.uint8 else (image.shape[1], image.shape[0])
    try:
        with pillow.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
            width, height = opened.size
            return width, height
    except (OSError, ValueError, pillow.DecompressionBombError):
        return None


def _decode(image: Image, origin: str) -> pillow.Image:
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8:
            raise DataError(f"{origin}: holds features, but source.image reads pixels")
        return pillow.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
    try:
        with warnings.catch_warnings():
            # Pillow's own warning about large images, and those about odd metadata
            warnings.simplefilter("ignore")
            opened = pillow.open(io.BytesIO(image) if isinstance(image, bytes) else image)
            if opened.width * opened.height > MOST_PIXELS:
                raise DataError(
                    f"{_named(image, origin)}: {opened.width} × {opened.height} pixels are too many to decode"
                )
            opened.load()
    except DataError:
        raise
    # decoders raise all sorts of errors for damaged files
    except Exception as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else _first_line(error)
        raise DataError(f"{_named(image, origin)}: the image cannot be read ({reason})") from error
    # a palette or transparency becomes colours, on white
    if opened.mode in ("P", "PA", "LA", "RGBA") or "transparency" in opened.info:
        layered = opened.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", layered.size, "white"), layered)
    # 16 bits of grey would be clipped, not scaled
    if opened.mode.startswith("I"):
        return pillow.fromarray((np.asarray(opened).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
    return opened


def _load_array(image: bytes | str, origin: str) -> NDArray[Any]:
    try:
        loaded = np.load(io.BytesIO(image) if isinstance(image, bytes) else image, allow_pickle=False)
        return np.asarray(loaded, dtype=np.float32)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{_named(image, origin)}: is no array of features ({_first_line(error)})") from error


def _named(image: Image, origin: str) -> str:
    return image if isinstance(image, str) else origin


def _first_line(error: Exception) -> str:
    # Pillow names the stream object that it could not identify
    text = str(error).partition("\n")[0].partition(" <_io")[0]
    return text or type(error).__name__
