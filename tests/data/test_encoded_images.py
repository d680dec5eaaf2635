"""Encoded corpora of images: what a batch holds, what is kept once, what is left out, and when it is made anew."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as pillow

import seqcli.data.encoded as encoded_module
from seqcli.data.corpus import Corpus
from seqcli.data.encoded import EncodedCorpus, encode_corpus, open_encoded
from seqcli.data.image_file import ABOUT, ARRAYS
from seqcli.data.images import FeatureReader, PixelReader
from seqcli.data.vocabulary import learn_characters, no_words
from seqcli.errors import DataError
from seqcli.symbols import EOS, Example, Image

READER = PixelReader(4, 2)
TARGETS = learn_characters(["abcde"])


def picture(seed: int, width: int = 4, height: int = 2) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pillow.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def corpus_of(images: Sequence[Image | None], **values: Any) -> Corpus:
    examples = [
        replace(Example("", "abcde"[row % 5], row, f"here:{row + 1}", image=image), **values)
        for row, image in enumerate(images)
    ]
    return Corpus("here", lambda: iter(examples), lambda: repr([(one, str(one.image)) for one in examples]))


def encode(corpus: Corpus, folder: Path, reader: Any = READER, **options: Any) -> EncodedCorpus:
    folder.mkdir(exist_ok=True)
    return encode_corpus(corpus, no_words(), TARGETS, folder, image_reader=reader, **options)


def looked_at(encoded: EncodedCorpus, rows: Sequence[int]) -> np.ndarray:
    """The image of each row, whether rows share them or not."""
    batch = encoded.batch(rows)
    assert batch.image is not None
    return (batch.image if batch.image_of is None else batch.image[batch.image_of]).numpy()


def test_a_batch_of_pixels(tmp_path: Path) -> None:
    white = np.full((3, 2, 4), 255, dtype=np.uint8)
    encoded = encode(corpus_of([picture(0), white, picture(1)]), tmp_path)
    batch = encoded.batch([2, 1])
    assert batch.source.tolist() == [[EOS], [EOS]]
    assert batch.image is not None
    assert (batch.image.shape, batch.image.dtype) == ((2, 3, 2, 4), torch.float32)
    expected = READER.read(picture(1), "x").astype(np.float32) / 127.5 - 1
    assert np.allclose(batch.image[0].numpy(), expected, atol=1e-6)
    assert bool((batch.image[1] == 1.0).all())
    assert float(batch.image.min()) >= -1.0


def test_a_batch_of_features(tmp_path: Path) -> None:
    grids = [np.random.default_rng(seed).normal(size=(2, 3, 5)).astype(np.float32) for seed in (0, 1)]
    encoded = encode(corpus_of(grids), tmp_path, FeatureReader(2, 3, 5))
    assert np.array_equal(looked_at(encoded, [1, 0, 1]), np.stack([grids[1], grids[0], grids[1]]))


def test_an_example_comes_back_whole(tmp_path: Path) -> None:
    values = {"references": ("ab", "c"), "group": "size", "boxes": ((0.0, 0.25, 0.5, 1.0), None)}
    found = encode(corpus_of([picture(0), picture(1)], **values), tmp_path).example(1)
    assert isinstance(found.image, np.ndarray)
    assert np.array_equal(found.image, READER.read(picture(1), "x"))
    assert replace(found, image=None) == Example("", "b", 1, "here:2", image=None, **values)


def test_boxes_are_kept_as_they_are_in_the_frame(tmp_path: Path) -> None:
    corpus = corpus_of([picture(0, 8, 2)], boxes=((0.5, 0.0, 1.0, 1.0),))
    # 8 × 2 fills the upper half of 4 × 2
    assert encode(corpus, tmp_path, PixelReader(4, 2, fit="pad")).example(0).boxes == ((0.5, 0.0, 1.0, 0.5),)
    assert encode(corpus, tmp_path).example(0).boxes == ((0.5, 0.0, 1.0, 1.0),)


def test_duplicates_are_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(row % 3) for row in range(50)]
    whole = encode(corpus_of(images), tmp_path / "whole")
    monkeypatch.setattr(encoded_module, "CHUNK_IMAGES", 3 * len(images[0]))
    parts = encode(corpus_of(images), tmp_path / "parts")
    for folder, encoded in ((tmp_path / "whole", whole), (tmp_path / "parts", parts)):
        (kept,) = folder.glob("corpus-*")
        assert (kept / ARRAYS).stat().st_size == 3 * 3 * 2 * 4
        expected = np.stack([READER.read(image, "x") for image in images]).astype(np.float32) / 127.5 - 1
        assert np.allclose(looked_at(encoded, range(50)), expected, atol=1e-6)
        batch = encoded.batch((7, 4, 0, 3))
        assert batch.image is not None
        assert len(batch.image) == 2, "each image of a batch once"


def test_chunks_are_bounded_by_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid of features may be megabytes, and thousands of rows of them are not read at once."""
    monkeypatch.setattr(encoded_module, "CHUNK_IMAGES", 1000)
    for image, rows in ((np.zeros(125, dtype=np.float32), 2), (b"x" * 300, 4), ("a path", 10)):
        row = encoded_module.Row(Example("", "a", 0, "here:1", image=image), [EOS], [5, EOS])
        assert [len(chunk) for chunk in encoded_module._chunks(iter([row] * 10))][0] == rows


def test_an_image_is_enough_of_a_source(tmp_path: Path) -> None:
    assert encode(corpus_of([picture(0)]), tmp_path).report.empty == 0
    with pytest.raises(DataError, match="1 have an empty side"):
        encode_corpus(corpus_of([None]), no_words(), TARGETS, tmp_path)


# what cannot be read


def test_up_to_the_limit_images_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    path = str(tmp_path / "text.png")
    images = [picture(0), b"damaged", picture(1), path, None, picture(0), path]
    encoded = encode(corpus_of(images), tmp_path / "cache", corrupt_limit=3)
    assert [encoded.example(row).origin for row in range(len(encoded))] == ["here:1", "here:3", "here:6"]
    report = encoded.report
    assert (report.examples, report.corrupt, report.corrupt_different) == (3, 4, 3)
    assert report.corrupt_images == (
        "here:2: the image cannot be read (cannot identify image file)",
        f"{path}: the image cannot be read (cannot identify image file '{path}')",
        "here:5: has no image",
    )
    assert np.array_equal(encoded.example(2).image, encoded.example(0).image)  # type: ignore[arg-type]
    # found again, with its report
    assert encode(corpus_of(images), tmp_path / "cache", corrupt_limit=3).report == report


@pytest.mark.parametrize(("limit", "others"), [(0, ""), (1, " and 1 more"), (2, " and 2 more")])
def test_one_more_is_an_error_that_names_it(tmp_path: Path, limit: int, others: str) -> None:
    images = [picture(0), b"one", None, "nowhere.png"]
    with pytest.raises(DataError) as raised:
        encode(corpus_of(images), tmp_path, corrupt_limit=limit)
    named = ["here:2: the image", "here:3: has no image", "nowhere.png: the image"][limit]
    assert str(raised.value).startswith(named)
    assert str(raised.value).endswith(
        f"{others}; mend it, or let source.image.corrupt_limit leave out more than {limit}"
    )
    assert not list(tmp_path.iterdir())


def test_an_image_with_several_captions_is_one_image(tmp_path: Path) -> None:
    damaged = corpus_of([b"damaged"] * 5 + [picture(0)])
    report = encode(damaged, tmp_path, corrupt_limit=1).report
    assert (report.corrupt, report.corrupt_different, len(report.corrupt_images)) == (5, 1, 1)


def test_nothing_but_damage(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 are too long, 2 have an image that cannot be read"):
        encode(corpus_of([b"a", b"b"]), tmp_path, corrupt_limit=5)


def test_only_a_few_are_named(tmp_path: Path) -> None:
    report = encode(corpus_of([*(bytes([n]) for n in range(20)), picture(0)]), tmp_path, corrupt_limit=20).report
    assert (report.corrupt_different, len(report.corrupt_images)) == (20, 5)


def test_features_of_the_wrong_shape_are_corrupt_too(tmp_path: Path) -> None:
    grids = [
        np.zeros((2, 3, 5), dtype=np.float32),
        np.full((2, 3, 5), np.nan, dtype=np.float32),
        np.zeros(7, dtype=np.float32),
    ]
    encoded = encode(corpus_of(grids), tmp_path, FeatureReader(2, 3, 5), corrupt_limit=2)
    assert (len(encoded), encoded.report.corrupt) == (1, 2)
    with pytest.raises(DataError, match=r"here:3: the features have the shape \(7,\)"):
        encode(corpus_of(grids), tmp_path, FeatureReader(2, 3, 5), corrupt_limit=1)


# the cache


def test_the_cache_knows_how_images_were_read(tmp_path: Path) -> None:
    corpus = corpus_of([picture(0, 7, 5), picture(1, 7, 5)])
    for reader in (READER, PixelReader(4, 2, 1), PixelReader(2, 4), PixelReader(4, 2, fit="pad"), None):
        for _ in range(2):
            if reader is not None:
                image = encode(corpus, tmp_path, reader).batch([0]).image
                assert image is not None
                assert image.shape[1:] == reader.shape
    assert len(list(tmp_path.iterdir())) == 4


def test_what_is_not_whole_is_made_again(tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(3)]
    expected = encode(corpus_of(images), tmp_path).batch([0, 1, 2]).image
    assert expected is not None
    (folder,) = tmp_path.iterdir()
    for name, data in (
        (ARRAYS, b""),
        (ARRAYS, b"x" * 71),
        (ARRAYS, None),
        (ABOUT, b"{}"),
        (ABOUT, b"{"),
        (ABOUT, None),
    ):
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data)
        assert open_encoded(folder) is None
        image = encode(corpus_of(images), tmp_path).batch([0, 1, 2]).image
        assert image is not None
        assert torch.equal(image, expected)


def test_a_changed_file_is_decoded_anew(tmp_path: Path) -> None:
    """The corpus names files, and its digest is that of their names."""
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(paths):
        path.write_bytes(picture(seed))
    corpus = corpus_of([str(path) for path in paths])
    first = encode(corpus, tmp_path / "cache")
    assert encode(corpus, tmp_path / "cache").digest == first.digest
    # touched alone, it is read again and found to be the same
    os.utime(paths[0], (1, 1))
    assert not first.current()
    assert encode(corpus, tmp_path / "cache").digest == first.digest

    paths[1].write_bytes(picture(7))
    changed = encode(corpus, tmp_path / "cache")
    image = changed.example(1).image
    assert isinstance(image, np.ndarray)
    assert np.array_equal(image, READER.read(picture(7), "x"))
    assert changed.digest != first.digest
    assert len(list((tmp_path / "cache").iterdir())) == 1

    paths[0].unlink()
    with pytest.raises(DataError, match=r"a.png: the image cannot be read \(there is no such file\)"):
        encode(corpus, tmp_path / "cache")
    with_limit = encode(corpus, tmp_path / "cache", corrupt_limit=1)
    assert (len(with_limit), with_limit.report.corrupt) == (1, 1)
    # mended, it is looked at again
    paths[0].write_bytes(picture(0))
    assert len(encode(corpus, tmp_path / "cache", corrupt_limit=1)) == 2


def test_without_paths_the_digest_is_that_of_the_corpus(tmp_path: Path) -> None:
    encoded = encode(corpus_of([picture(0)]), tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"corpus-{encoded.digest}"
