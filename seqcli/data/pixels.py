"""Image files as pixels, with Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as pillow

from seqcli.data.images import MOST_PIXELS, reason_of
from seqcli.errors import DataError

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What files may hold. Pillow knows more, some of which it hands to other programs (EPS), which is not for files of unknown origin."""


def file_size(image: bytes | str) -> tuple[int, int] | None:
    """Width and height of a file's image, seen upright, looked up without decoding; None where it cannot be read."""
    try:
        with _quiet(), _opened(image) as opened:
            width, height = opened.size
            # Pillow turns a TIFF by itself
            sideways = opened.format != "TIFF" and _orientation(opened) >= 5
            return (height, width) if sideways else (width, height)
    # decoders raise all sorts of errors for damaged files
    except Exception:
        return None


def decode(image: bytes | str, name: str) -> pillow.Image:
    """The pixels of a file, upright, in a mode whose colours Pillow converts without a choice to make.

    DataError, which begins with the image's `name`, where it cannot be read.
    """
    try:
        with _quiet(), _opened(image) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DataError(f"{name}: {opened.width} × {opened.height} pixels are too many to decode")
            opened.load()
            return _in_colours(_upright(opened))
    except DataError:
        raise
    # decoders raise all sorts of errors for damaged files
    except Exception as error:
        raise DataError(f"{name}: the image cannot be read ({reason_of(error)})") from error


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


def from_array(image: NDArray[np.uint8]) -> pillow.Image:
    """The image that pixels `(C,h,w)` are."""
    return pillow.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def resized(image: pillow.Image, size: tuple[int, int], frame: tuple[int, int]) -> NDArray[np.uint8]:
    """The image stretched to `size`, width and height, and then filled up to `frame` with its own last column or row."""
    pixels = np.asarray(image if image.size == size else image.resize(size, pillow.Resampling.BILINEAR))
    missing = ((0, frame[1] - size[1]), (0, frame[0] - size[0]), *[(0, 0)] * (pixels.ndim - 2))
    return pixels if size == frame else np.pad(pixels, missing, mode="edge")
