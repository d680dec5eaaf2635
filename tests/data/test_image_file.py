"""The file of decoded images: each different one once, by processes or without, the same bytes."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pillow

import seqcli.data.image_file as image_file
from seqcli.data.image_file import ABOUT, ARRAYS, ImageFile, ImageWriter
from seqcli.data.images import FeatureReader, ImageReader, PixelReader
from seqcli.errors import DataError
from seqcli.symbols import Example, Image

READER = PixelReader(6, 4)


def picture(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    pillow.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def examples_of(images: list[Image | None]) -> list[Example]:
    return [Example("", "x", row, f"here:{row + 1}", image=image) for row, image in enumerate(images)]


def written(folder: Path, images: list[Image | None], reader: ImageReader = READER, at_once: int = 1000) -> list[Any]:
    """The numbers that the images get, or the sentences."""
    folder.mkdir(exist_ok=True)
    examples = examples_of(images)
    with ImageWriter(folder, reader) as writer:
        return [
            number
            for start in range(0, len(examples), at_once)
            for number in writer.add(examples[start : start + at_once])
        ]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(5)]
    assert written(tmp_path, images) == [0, 1, 2, 3, 4]
    file = ImageFile(tmp_path)
    for number, image in enumerate(images):
        assert np.array_equal(file[number], READER.read(image, "x"))
        assert (file[number].shape, file[number].dtype) == ((3, 4, 6), np.uint8)
    assert (tmp_path / ARRAYS).stat().st_size == 5 * 3 * 4 * 6


def test_each_different_image_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(0))
    path = str(tmp_path / "a.png")
    images = [picture(1), picture(2), picture(1), path, path, picture(2)]
    for at_once in (1, 2, 1000):
        assert written(tmp_path / "out", images, at_once=at_once) == [0, 1, 0, 2, 2, 1]
        about = json.loads((tmp_path / "out" / ABOUT).read_text())
        assert (about["shape"], about["dtype"], list(about["files"])) == ([3, 3, 4, 6], "uint8", [path])


def test_arrays_are_told_apart_by_shape_too(tmp_path: Path) -> None:
    pixels = np.arange(72, dtype=np.uint8)
    wide, high = pixels.reshape(3, 4, 6), pixels.reshape(3, 6, 4)
    assert written(tmp_path, [wide, high, wide.copy(), np.asfortranarray(high)]) == [0, 1, 0, 1]
    assert np.array_equal(ImageFile(tmp_path)[0], wide)


def test_features(tmp_path: Path) -> None:
    grids = [np.random.default_rng(seed).random((2, 3, 4), dtype=np.float32) for seed in (0, 1, 0)]
    assert written(tmp_path, grids, FeatureReader(2, 3, 4)) == [0, 1, 0]
    file = ImageFile(tmp_path)
    assert np.array_equal(file[1], grids[1])
    assert file[1].dtype == np.float32


def test_what_cannot_be_read_is_said_in_its_place(tmp_path: Path) -> None:
    found = written(tmp_path, [None, picture(0), b"no picture", None, "nowhere.png", picture(0), b"no picture"])
    assert found[1] == found[5] == 0
    # the second of the same has the sentence of the first; nothing is like nothing else
    assert found[0] == "here:1: has no image"
    assert found[3] == "here:4: has no image"
    assert found[2] == found[6] == "here:3: the image cannot be read (cannot identify image file)"
    assert found[4] == "nowhere.png: the image cannot be read (there is no such file)"


def test_processes_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(image_file, "CHUNK", 3)
    images: list[Image | None] = [picture(seed % 25) if seed % 10 else b"damaged" for seed in range(60)]
    images[7] = None
    alone = written(tmp_path / "alone", images)
    monkeypatch.setattr(image_file, "FEWEST_FOR_PROCESSES", 10)
    for at_once in (11, 1000):
        together = written(tmp_path / "together", images, at_once=at_once)
        assert together == alone
        for name in (ARRAYS, ABOUT):
            assert (tmp_path / "together" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


class Deadly(PixelReader):
    """A decoder that an image breaks."""

    def read(self, image: Image, origin: str) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_decoder_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(image_file, "FEWEST_FOR_PROCESSES", 2)
    with pytest.raises(DataError, match="at one of here:1 to here:3: memory may be short, or an image may break"):
        written(tmp_path, [picture(seed) for seed in range(3)], Deadly(6, 4))


def test_a_file_cut_short_is_none(tmp_path: Path) -> None:
    written(tmp_path, [picture(0), picture(1)])
    whole = (tmp_path / ARRAYS).read_bytes()
    (tmp_path / ARRAYS).write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="mmap"):
        ImageFile(tmp_path)
