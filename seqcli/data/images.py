"""Images as arrays: pixels brought to one size with Pillow, or grids of features computed beforehand.

Nothing here needs torch, so that the processes that decode images start at once.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as pillow

from seqcli.errors import DataError
from seqcli.symbols import Box, Image

Boxes = tuple[Box | None, ...]

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What files may hold. Pillow knows more, some of which it hands to other programs (EPS), which is not for files of unknown origin."""
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
        """Decoded, upright, in the right colours, and at the right size."""
        if isinstance(image, np.ndarray):
            _check_pixels(image, origin)
            if image.shape == self.shape:
                return image
        decoded = _from_array(image) if isinstance(image, np.ndarray) else _decode(image, origin)
        pixels = np.asarray(self._resized(decoded.convert("L" if self.channels == 1 else "RGB")))
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

    def _resized(self, image: pillow.Image) -> pillow.Image:
        if image.size == (self.width, self.height):
            return image
        if self.fit == "stretch":
            return image.resize((self.width, self.height), pillow.Resampling.BILINEAR)
        size = self._whole(image.width, image.height)
        pixels = np.asarray(image.resize(size, pillow.Resampling.BILINEAR))
        missing = ((0, self.height - size[1]), (0, self.width - size[0]), *[(0, 0)] * (pixels.ndim - 2))
        return pillow.fromarray(np.pad(pixels, missing, mode="edge"))


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
        with _quiet(), _opened(image) as opened:
            width, height = opened.size
            # Pillow turns a TIFF by itself
            sideways = opened.format != "TIFF" and _orientation(opened) >= 5
            return (height, width) if sideways else (width, height)
    # decoders raise all sorts of errors for damaged files
    except Exception:
        return None


def _decode(image: bytes | str, origin: str) -> pillow.Image:
    """The pixels of a file, upright, in a mode whose colours Pillow converts without a choice to make."""
    try:
        with _quiet(), _opened(image) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DataError(
                    f"{_named(image, origin)}: {opened.width} × {opened.height} pixels are too many to decode"
                )
            opened.load()
            return _in_colours(_upright(opened))
    except DataError:
        raise
    # decoders raise all sorts of errors for damaged files
    except Exception as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else _first_line(error)
        raise DataError(f"{_named(image, origin)}: the image cannot be read ({reason})") from error


def _upright(image: pillow.Image) -> pillow.Image:
    """As the camera saw it, however it was held."""
    turned = TURNS.get(_orientation(image))
    return image if turned is None else image.transpose(turned)


TURNS = {
    2: pillow.Transpose.FLIP_LEFT_RIGHT,
    3: pillow.Transpose.ROTATE_180,
    4: pillow.Transpose.FLIP_TOP_BOTTOM,
    5: pillow.Transpose.TRANSPOSE,
    6: pillow.Transpose.ROTATE_270,
    7: pillow.Transpose.TRANSVERSE,
    8: pillow.Transpose.ROTATE_90,
}
"""What sets an image upright, by its orientation (Exif 2.32, §4.6.4); 5 and above exchange rows and columns."""


def _orientation(image: pillow.Image) -> int:
    """1, which is upright, where nothing is said: damaged metadata leave the pixels what they are."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return orientation if isinstance(orientation, int) and orientation in TURNS else 1
    # Pillow raises all sorts of errors for damaged metadata
    except Exception:
        return 1


def _in_colours(image: pillow.Image) -> pillow.Image:
    """Shades of grey in 8 bits, or colours; what is transparent lies on white."""
    # Pillow would clip numbers of more than 8 bits; what 16 bits mean is known, what a float means is not
    if image.mode.startswith("I"):
        return pillow.fromarray((np.asarray(image).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose white is not known")
    if not image.has_transparency_data:
        return image.convert("L" if image.mode in ("1", "L") else "RGB")
    layered = image.convert("RGBA")
    return pillow.alpha_composite(pillow.new("RGBA", layered.size, "white"), layered).convert("RGB")


def _opened(image: bytes | str) -> pillow.Image:
    return pillow.open(io.BytesIO(image) if isinstance(image, bytes) else image, formats=FORMATS)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's own warnings about large images and odd metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_pixels(image: NDArray[Any], origin: str) -> None:
    if image.dtype != np.uint8:
        raise DataError(f"{origin}: holds features, but source.image reads pixels")
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.size:
        raise DataError(
            f"{origin}: has pixels of the shape {image.shape}, but (1, height, width) or (3, height, width) is needed"
        )


def _from_array(image: NDArray[np.uint8]) -> pillow.Image:
    return pillow.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def _load_array(image: bytes | str, origin: str) -> NDArray[Any]:
    try:
        return np.asarray(np.load(io.BytesIO(image) if isinstance(image, bytes) else image, allow_pickle=False))
    # besides its own errors those of `zipfile` and of Python's tokenizer, and of memory for a shape that is a lie
    except Exception as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else _first_line(error)
        raise DataError(f"{_named(image, origin)}: is no array of features ({reason})") from error


def _as_numbers(grid: NDArray[Any], image: Image, origin: str) -> NDArray[np.float32]:
    if grid.dtype.kind not in "fiu":
        raise DataError(f"{_named(image, origin)}: is no array of features (it holds {grid.dtype})")
    # what is too large for 32 bits becomes infinite, and is refused as such
    with np.errstate(over="ignore"):
        return grid.astype(np.float32, copy=False)


def _named(image: Image, origin: str) -> str:
    return image if isinstance(image, str) else origin


def _first_line(error: Exception) -> str:
    # Pillow names the stream object that it could not identify
    text = str(error).partition("\n")[0].partition(" <_io")[0]
    return text or type(error).__name__
