"""Images as arrays: modes, geometry, how the camera was held, and files that are damaged or lie."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as pillow

from seqcli.data.columns import Columns
from seqcli.data.files import read_files
from seqcli.data.images import MOST_PIXELS, FeatureReader, PixelReader, image_size
from seqcli.errors import DataError

EXAMPLES = int(os.environ.get("SEQCLI_TEST_EXAMPLES", 300))
"""Mutations of each format."""


def encoded(image: pillow.Image, format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def one_colour(mode: str, colour: Any, size: tuple[int, int] = (4, 2)) -> pillow.Image:
    return pillow.new(mode, size, colour)


def noise(width: int, height: int, seed: int = 0) -> pillow.Image:
    return pillow.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def colour_of(data: bytes, channels: int = 3) -> list[int]:
    """The colour of the upper left pixel."""
    read = PixelReader(4, 2, channels).read(data, "here:1")
    assert read.shape == (channels, 2, 4)
    assert read.dtype == np.uint8
    return read[:, 0, 0].tolist()


# modes


def test_colours_and_shades_of_grey() -> None:
    red = encoded(one_colour("RGB", (255, 0, 0)))
    assert colour_of(red) == [255, 0, 0]
    assert colour_of(red, channels=1) == [76]  # 0.299 · 255
    grey = encoded(one_colour("L", 100))
    assert colour_of(grey) == [100, 100, 100]
    assert colour_of(grey, channels=1) == [100]
    assert colour_of(encoded(one_colour("1", 1))) == [255, 255, 255]


def test_what_is_transparent_lies_on_white() -> None:
    assert colour_of(encoded(one_colour("RGBA", (255, 0, 0, 0)))) == [255, 255, 255]
    assert colour_of(encoded(one_colour("RGBA", (255, 0, 0, 255)))) == [255, 0, 0]
    # 0.4 of black on white: 255 · 0.6
    assert colour_of(encoded(one_colour("RGBA", (0, 0, 0, 102)))) == [153, 153, 153]
    assert colour_of(encoded(one_colour("LA", (0, 0))), channels=1) == [255]
    assert colour_of(encoded(one_colour("LA", (10, 255))), channels=1) == [10]


def test_palettes() -> None:
    image = one_colour("RGB", (10, 200, 30)).convert("P", palette=pillow.Palette.ADAPTIVE)
    assert colour_of(encoded(image)) == [10, 200, 30]
    assert colour_of(encoded(image, transparency=image.getpixel((0, 0)))) == [255, 255, 255]
    assert colour_of(encoded(image, "GIF")) == [10, 200, 30]


def test_a_colour_that_stands_for_transparent() -> None:
    assert colour_of(encoded(one_colour("RGB", (1, 2, 3)), transparency=(1, 2, 3))) == [255, 255, 255]
    assert colour_of(encoded(one_colour("RGB", (1, 2, 3)), transparency=(3, 2, 1))) == [1, 2, 3]
    assert colour_of(encoded(one_colour("L", 7), transparency=7), channels=1) == [255]


@pytest.mark.parametrize(("shade", "eight_bits"), [(0, 0), (257, 1), (25700, 100), (65535, 255)])
def test_sixteen_bits_are_scaled(shade: int, eight_bits: int) -> None:
    image = pillow.fromarray(np.full((2, 4), shade, dtype=np.uint16))
    assert colour_of(encoded(image), channels=1) == [eight_bits]
    assert colour_of(encoded(image)) == [eight_bits] * 3
    assert colour_of(encoded(image, "TIFF"), channels=1) == [eight_bits]


def test_other_spaces_of_colour() -> None:
    assert colour_of(encoded(one_colour("CMYK", (0, 255, 255, 0)), "TIFF")) == [255, 0, 0]
    red, green, blue = colour_of(encoded(one_colour("CMYK", (0, 255, 255, 0), (16, 16)), "JPEG"))
    assert red > 240
    assert max(green, blue) < 15
    with pytest.raises(DataError, match=r"^here:1: the image cannot be read \(its pixels are floating-point numbers"):
        colour_of(encoded(one_colour("F", 0.5), "TIFF"))


def test_the_first_of_several_pictures() -> None:
    frames = [one_colour("RGB", colour) for colour in ((255, 0, 0), (0, 255, 0))]
    for format in ("GIF", "TIFF", "WEBP"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert colour_of(data) == [255, 0, 0]


def test_formats_that_call_other_programs_are_not_read() -> None:
    with pytest.raises(DataError, match="cannot identify image file"):
        colour_of(encoded(one_colour("RGB", (255, 0, 0)), "EPS"))


# geometry


def test_stretched() -> None:
    halves = pillow.fromarray(np.array([[0, 0, 200, 200]] * 2, dtype=np.uint8))
    # a triangle as wide as 4 pixels: 0.75, 0.75 and 0.25 of three, 200 · 0.25 / 1.75
    assert PixelReader(2, 1, 1).read(encoded(halves), "x").tolist() == [[[29, 171]]]
    assert PixelReader(4, 4, 1).read(encoded(halves), "x").tolist() == [[[0, 0, 200, 200]] * 4]


def test_padded_with_the_own_edge() -> None:
    # 4 × 2 into 6 × 6: enlarged to 6 × 3, and three more rows of the last one
    rows = pillow.fromarray(np.array([[0] * 4, [200] * 4], dtype=np.uint8))
    read = PixelReader(6, 6, 1, "pad").read(encoded(rows), "x")[0]
    assert (read[0] == 0).all()
    assert (read[2:] == 200).all()
    # 2 × 4 into 6 × 4: not enlarged, and four more columns
    columns = pillow.fromarray(np.array([[10, 90]] * 4, dtype=np.uint8))
    assert PixelReader(6, 4, 1, "pad").read(encoded(columns), "x").tolist() == [[[10, 90, 90, 90, 90, 90]] * 4]


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1), (7, 13), (176, 40), (40, 176)])
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_any_shape_fits(size: tuple[int, int], fit: Any) -> None:
    for channels in (1, 3):
        reader = PixelReader(17, 9, channels, fit)
        read = reader.read(encoded(noise(*size)), "x")
        assert read.shape == reader.shape == (channels, 9, 17)
        assert read.flags.c_contiguous


def test_pixels_that_are_there_already() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    assert PixelReader(4, 2).read(pixels, "x") is pixels
    assert PixelReader(4, 2, 1).read(pixels, "x").shape == (1, 2, 4)
    assert np.array_equal(PixelReader(4, 2).read(pixels[:1], "x"), np.repeat(pixels[:1], 3, axis=0))
    assert PixelReader(8, 8).read(pixels, "x").shape == (3, 8, 8)


@pytest.mark.parametrize("shape", [(2, 4, 3), (4, 2), (0, 2, 4), (3, 0, 4), (4, 2, 4), (1, 3, 2, 4)])
def test_pixels_of_no_shape_of_pixels(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"^here:1: has pixels of the shape \(.*or \(3, height, width\) is needed"):
        PixelReader(4, 2).read(np.zeros(shape, dtype=np.uint8), "here:1")


def test_features_are_no_pixels() -> None:
    with pytest.raises(DataError, match="^here:1: holds features, but source.image reads pixels"):
        PixelReader(4, 2).read(np.zeros((3, 2, 4), dtype=np.float32), "here:1")


# how the camera was held

SCENE = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8) * 40
# what the camera stores when it is held so, for each value of EXIF's orientation
STORED = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.T,
    6: SCENE.T[::-1],
    7: SCENE[::-1, ::-1].T,
    8: SCENE.T[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_photographs_stand_upright(orientation: int, format: str) -> None:
    exif = pillow.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(pillow.fromarray(np.ascontiguousarray(STORED[orientation])), format, exif=exif)
    assert PixelReader(3, 2, 1).read(data, "x").tolist() == [SCENE.tolist()]
    assert image_size(data) == (3, 2)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none(orientation: int) -> None:
    exif = pillow.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert PixelReader(3, 2, 1).read(encoded(pillow.fromarray(SCENE), exif=exif), "x").tolist() == [SCENE.tolist()]


def test_damaged_metadata_leave_the_pixels_what_they_are() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"nonsense"):
        data = encoded(noise(8, 8), "JPEG", exif=exif)
        assert np.array_equal(
            PixelReader(8, 8).read(data, "x"), PixelReader(8, 8).read(encoded(noise(8, 8), "JPEG"), "x")
        )
        assert image_size(data) == (8, 8)


# boxes


def test_boxes_follow_the_image_into_its_frame() -> None:
    # 8 × 4 into a frame of 4 × 4: it fills the upper half
    image = encoded(noise(8, 4))
    boxes = ((0.5, 0.5, 1.0, 1.0), None)
    assert PixelReader(4, 4, fit="pad").framed(boxes, image) == ((0.5, 0.25, 1.0, 0.5), None)
    assert PixelReader(4, 4).framed(boxes, image) == boxes
    # what is in the frame already stays where it is
    reader = PixelReader(4, 4, fit="pad")
    assert reader.framed(boxes, reader.read(image, "x")) == boxes
    assert FeatureReader(2, 2, 1).framed(boxes, np.zeros((2, 2, 1), dtype=np.float32)) == boxes


def test_sizes() -> None:
    assert image_size(encoded(noise(5, 3))) == (5, 3)
    assert image_size(np.zeros((3, 4, 6), dtype=np.uint8)) == (6, 4)
    for nothing in (
        b"",
        b"x",
        "nowhere.png",
        np.zeros(5, np.float32),
        np.zeros((2, 3, 4), np.float32),
        np.zeros((2, 3), np.uint8),
    ):
        assert image_size(nothing) is None


# what cannot be read


def png_of(width: int, height: int) -> bytes:
    """A small file that claims to be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10001, 14000, 60000, 2**31 - 1])
def test_decompression_bombs(side: int, recwarn: pytest.WarningsRecorder) -> None:
    assert side * side > MOST_PIXELS
    with pytest.raises(DataError, match="^here:1: .*(too many to decode|exceeds limit)"):
        PixelReader(4, 4).read(png_of(side, side), "here:1")
    assert not recwarn.list


def test_files_are_named_and_rows_too(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for path, reason in (
        (tmp_path / "none.png", "there is no such file"),
        (tmp_path / "text.png", "cannot identify"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(DataError) as raised:
            PixelReader(4, 4).read(str(path), "table.csv:7")
        assert str(raised.value).startswith(f"{path}: the image cannot be read (")
        assert reason in str(raised.value)
        assert "object at 0x" not in str(raised.value)
        assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="^table.csv:7: the image cannot be read"):
        PixelReader(4, 4).read(b"no picture", "table.csv:7")


def test_an_image_in_base64(tmp_path: Path) -> None:
    data = base64.b64encode(encoded(noise(40, 40))).decode()
    rows = tmp_path / "a.jsonl"
    rows.write_text(json.dumps({"image": data, "target": "b"}) + "\n")
    corpus = read_files([str(rows)], Columns(None, image="image"))
    assert len(corpus.digest()) == 32
    for reader, refused in (
        (PixelReader(4, 4), "the image cannot be read"),
        (FeatureReader(1, 1, 4), "is no array of features"),
    ):
        (example,) = corpus.read()
        with pytest.raises(DataError) as raised:
            reader.read(example.image, example.origin)
        assert f"…: {refused} (an image is its bytes or a path; base64 is not read)" in str(raised.value)
        assert len(str(raised.value)) < 300
    with pytest.raises(DataError) as raised:
        PixelReader(4, 4).read("a\x1b[31m.png", "here:1")
    assert str(raised.value).isprintable()


FILES = {
    "png": encoded(noise(16, 12)),
    "interlaced palette": encoded(noise(16, 12).quantize(16), transparency=3),
    "jpeg": encoded(noise(16, 12), "JPEG"),
    "progressive jpeg with exif": encoded(
        noise(16, 12), "JPEG", progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    ),
    "gif": encoded(noise(16, 12), "GIF"),
    "tiff": encoded(noise(16, 12), "TIFF", compression="tiff_lzw"),
    "webp": encoded(noise(16, 12), "WEBP"),
    "bmp": encoded(noise(16, 12), "BMP"),
}


def read_or_refused(data: bytes) -> bool:
    """Whether it is read; a refusal is a sentence."""
    reader = PixelReader(8, 6)
    size = image_size(data)
    assert size is None or min(size) >= 0
    try:
        read = reader.read(data, "here:1")
    except DataError as error:
        sentence = str(error)
    else:
        assert (read.shape, read.dtype) == (reader.shape, np.uint8)
        return True
    assert sentence.startswith("here:1: ")
    assert "\n" not in sentence
    return False


@pytest.mark.parametrize("name", FILES)
def test_every_beginning_of_a_file(name: str) -> None:
    data = FILES[name]
    assert read_or_refused(data)
    # of the last bytes a decoder may not need all
    read = [length for length in range(len(data)) if read_or_refused(data[:length])]
    assert len(read) < len(data) / 4 or name == "tiff", read


@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name: str, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    draw = random.Random(name)
    refused = 0
    for _ in range(EXAMPLES):
        data = bytearray(FILES[name])
        for _ in range(draw.choice((1, 2, 20))):
            # headers are where the lies are
            place = draw.randrange(min(len(data), draw.choice((64, len(data)))))
            data[place] = draw.choice((data[place] ^ (1 << draw.randrange(8)), draw.randrange(256), 0, 255))
        if draw.random() < 0.2:
            start = draw.randrange(len(data))
            del data[start : start + draw.randrange(1, 9)]
        refused += not read_or_refused(bytes(data))
    assert refused > 0
    assert not recwarn.list
    assert "Traceback" not in capfd.readouterr().err


# features

GRID = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "given", [GRID, GRID.reshape(6, 4), GRID.reshape(24), GRID.astype(np.float64), GRID.astype(np.int64)]
)
def test_grids_of_features(given: np.ndarray, tmp_path: Path) -> None:
    reader = FeatureReader(2, 3, 4)
    np.save(tmp_path / "grid.npy", given)
    for image in (given, npy(given), str(tmp_path / "grid.npy")):
        read = reader.read(image, "x")
        assert (read.shape, read.dtype) == (reader.shape, np.float32)
        assert np.array_equal(read, GRID)


@pytest.mark.parametrize("shape", [(4, 2, 3), (3, 2, 4), (4, 6), (2, 12), (2, 3, 3), (23,), (1, 2, 3, 4), ()])
def test_grids_of_another_shape(shape: tuple[int, ...]) -> None:
    """The same numbers in another order would be another grid."""
    with pytest.raises(DataError, match=r"^here:1: the features have the shape \(.*says 2 rows × 3 columns × 4"):
        FeatureReader(2, 3, 4).read(np.zeros(shape, dtype=np.float32), "here:1")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_features_that_are_no_numbers(value: float, recwarn: pytest.WarningsRecorder) -> None:
    grid = GRID.astype(np.float64)
    grid[1, 2, 3] = value
    for image in (grid, npy(grid)):
        with pytest.raises(DataError, match="^here:1: the features have a value that is no number"):
            FeatureReader(2, 3, 4).read(image, "here:1")
    assert not recwarn.list


def test_arrays_of_something_else(tmp_path: Path) -> None:
    np.savez(tmp_path / "several.npz", a=GRID, b=GRID)
    (tmp_path / "empty.npy").write_bytes(b"")
    for image in (
        npy(np.array(["a"] * 24).reshape(2, 3, 4)),
        npy(GRID.astype(complex)),
        npy(np.array([{}] * 24), allow_pickle=True),
        (tmp_path / "several.npz").read_bytes(),
        b"",
        b"PK\x03\x04",
        FILES["png"],
    ):
        with pytest.raises(DataError, match=r"^here:1: is no array of features \(.+\)$"):
            FeatureReader(2, 3, 4).read(image, "here:1")
    for name, reason in (("empty.npy", "No data left"), ("none.npy", "there is no such file")):
        with pytest.raises(DataError, match=f"{name}: is no array of features .*{reason}"):
            FeatureReader(2, 3, 4).read(str(tmp_path / name), "here:1")


def test_damaged_arrays() -> None:
    data = npy(GRID)
    draw = random.Random(1)
    damaged = [data[:length] for length in range(len(data))]
    for _ in range(EXAMPLES):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 3))):
            changed[draw.randrange(128)] = draw.randrange(256)
        damaged.append(bytes(changed))
    refused = []
    for one in damaged:
        try:
            assert FeatureReader(2, 3, 4).read(one, "here:1").shape == (2, 3, 4)
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > len(data)
    assert all(sentence.startswith("here:1: ") for sentence in refused)
