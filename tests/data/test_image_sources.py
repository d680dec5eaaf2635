"""Images in every place that a data set has them: bytes, paths, folders, archives. All of them are the same images."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as pillow

from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus, read_disk, read_hub
from seqcli.data.encoded import encode_corpus
from seqcli.data.files import read_files
from seqcli.data.images import PixelReader
from seqcli.data.vocabulary import learn_words, no_words
from seqcli.errors import DataError

TEXTS = ("a red ball", "two dogs, one cat")
COLUMNS = Columns(source=None, image="image", target="text")
READER = PixelReader(width=12, height=8)


def png(number: int) -> bytes:
    """An image; another number, another image, in as many bytes."""
    pixels = np.random.default_rng(number).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    stream = io.BytesIO()
    pillow.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def write_images(folder: Path) -> list[str]:
    """Two images in a folder, and their names."""
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"{number}.png").write_bytes(png(number))
    return ["0.png", "1.png"]


def metadata(names: list[str], ending: str) -> str:
    """What the builder of image folders reads the texts from."""
    rows = [{"file_name": name, "text": text} for name, text in zip(names, TEXTS, strict=True)]
    if ending == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["file_name", "text"])
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def as_image_folder(ending: str) -> Callable[[Path], Corpus]:
    def write(folder: Path) -> Corpus:
        for split in ("train", "test"):
            names = write_images(folder / split)
            (folder / split / f"metadata.{ending}").write_text(metadata(names, ending))
        return read_hub(str(folder), COLUMNS, split="train")

    return write


def as_zip(folder: Path) -> Corpus:
    with zipfile.ZipFile(folder / "train.zip", "w") as archive:
        for number in range(2):
            archive.writestr(f"{number}.png", png(number))
        archive.writestr("metadata.jsonl", metadata(["0.png", "1.png"], "jsonl"))
    return read_hub(str(folder), COLUMNS, split="train")


def as_hub_lines(folder: Path) -> Corpus:
    """A folder laid out like a data set of the hub, whose lines have paths."""
    as_table("jsonl")(folder)
    (folder / "data.jsonl").rename(folder / "train.jsonl")
    return read_hub(str(folder), COLUMNS, split="train")


def saved(folder: Path, features: bool = True) -> Any:
    from datasets import Dataset, Features, Image, Value

    images = [{"bytes": png(number), "path": None} for number in range(2)]
    return Dataset.from_dict(
        {"image": images, "text": list(TEXTS)}, features=Features({"image": Image(), "text": Value("string")})
    )


def as_disk(folder: Path) -> Corpus:
    from datasets import DatasetDict

    DatasetDict({"train": saved(folder)}).save_to_disk(str(folder / "saved"))
    return read_disk(str(folder / "saved"), COLUMNS, split="train")


def as_hub_parquet(folder: Path) -> Corpus:
    """As one of the hub, with what says that a column holds images; two splits, which a column tells apart."""
    (folder / "data").mkdir()
    both = saved(folder).add_column("part", ["one", "one"])
    both.to_parquet(str(folder / "data" / "train-00000-of-00001.parquet"))
    return read_hub(str(folder), COLUMNS, split="one", split_column="part")


def as_parquet(*images: Any) -> Callable[[Path], Corpus]:
    """A Parquet file that knows nothing of `datasets`."""

    def write(folder: Path) -> Corpus:
        write_images(folder / "pictures")
        pq.write_table(pa.table({"image": list(images), "text": list(TEXTS)}), folder / "data.parquet")
        return read_files([str(folder / "data.parquet")], COLUMNS)

    return write


def as_table(ending: str) -> Callable[[Path], Corpus]:
    """Lines that have paths, seen from the file's folder."""

    def write(folder: Path) -> Corpus:
        names = [f"pictures/{name}" for name in write_images(folder / "pictures")]
        rows = list(zip(names, TEXTS, strict=True))
        path = folder / f"data.{ending}"
        if ending == "jsonl":
            path.write_text("".join(json.dumps({"image": name, "text": text}) + "\n" for name, text in rows))
        elif ending == "csv":
            with path.open("w", newline="") as stream:
                csv.writer(stream).writerows([("image", "text"), *rows])
        else:
            path.write_text("".join(f"{name}\t{text}\n" for name, text in rows))
            return read_files([str(path)], Columns(source=None, image=0, target=1))
        return read_files([str(path)], COLUMNS)

    return write


PLACES: dict[str, Callable[[Path], Corpus]] = {
    "image folder, JSONL": as_image_folder("jsonl"),
    "image folder, CSV": as_image_folder("csv"),
    "image folder, zipped": as_zip,
    "hub folder, lines": as_hub_lines,
    "hub folder, Parquet, split by a column": as_hub_parquet,
    "save_to_disk": as_disk,
    "Parquet, bytes and paths": as_parquet(*({"bytes": png(number), "path": "elsewhere.png"} for number in range(2))),
    "Parquet, paths in a struct": as_parquet(*({"bytes": None, "path": f"pictures/{name}.png"} for name in range(2))),
    "Parquet, bytes": as_parquet(png(0), png(1)),
    "Parquet, paths": as_parquet("pictures/0.png", "pictures/1.png"),
    "JSONL": as_table("jsonl"),
    "CSV": as_table("csv"),
    "TSV": as_table("tsv"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_the_same_images_from_everywhere(
    place: str, relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("set") if relative else tmp_path / "set"
    folder.mkdir()
    examples = list(PLACES[place](folder).read())
    assert [(one.index, one.source, one.target) for one in examples] == [(0, "", TEXTS[0]), (1, "", TEXTS[1])]
    for number, example in enumerate(examples):
        assert example.image is not None
        assert np.array_equal(READER.read(example.image, example.origin), READER.read(png(number), ""))


@pytest.mark.parametrize("place", ["image folder, JSONL", "Parquet, paths", "JSONL", "CSV", "TSV"])
def test_another_image_under_the_same_name_is_other_data(place: str, tmp_path: Path) -> None:
    corpus = PLACES[place](tmp_path)
    before = corpus.digest()
    assert corpus.digest() == before
    image = next(tmp_path.rglob("0.png"))
    times = image.stat()
    for path in tmp_path.rglob("0.png"):
        path.write_bytes(png(7))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert image.stat().st_size == times.st_size
    assert corpus.digest() != before


def test_an_image_that_is_missing_counts_as_one_that_cannot_be_read(tmp_path: Path) -> None:
    write_images(tmp_path / "pictures")
    pictures = ["pictures/0.png", None, "", "pictures/none.png"]
    rows = [{"image": image, "text": f"row {number}"} for number, image in enumerate(pictures)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = read_files([str(tmp_path / "data.jsonl")], COLUMNS)
    words = learn_words(["row 0"])
    encoded = encode_corpus(corpus, no_words(), words, tmp_path, image_reader=READER, corrupt_limit=3)
    assert len(encoded) == 1
    missing = [f"{tmp_path}/data.jsonl:{line}: has no image" for line in (2, 3)]
    nowhere = f"{tmp_path}/pictures/none.png: the image cannot be read (there is no such file)"
    assert list(encoded.report.corrupt_images) == [*missing, nowhere]
    with pytest.raises(DataError, match=r"data\.jsonl:2: has no image.*corrupt_limit"):
        encode_corpus(corpus, no_words(), words, tmp_path, image_reader=READER)


def test_images_that_datasets_has_decoded_are_no_features(tmp_path: Path) -> None:
    from datasets import Dataset, Features, Image, List, Value

    rows = [{"images": [{"bytes": png(0), "path": None}], "text": "one"}]
    features = Features({"images": List(Image()), "text": Value("string")})
    Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "data.parquet"))
    corpus = read_files([str(tmp_path / "data.parquet")], Columns(source=None, image="images", target="text"))
    with pytest.raises(DataError, match=r"data\.parquet:1: column 'images' holds .* but an image is needed"):
        list(corpus.read())


def test_a_split_by_a_column_names_what_is_missing(tmp_path: Path) -> None:
    as_hub_parquet(tmp_path)
    with pytest.raises(DataError, match="there is no column 'split'; there are: image, text, part"):
        list(read_hub(str(tmp_path), COLUMNS, split="one", split_column="split").read())
    assert list(read_hub(str(tmp_path), COLUMNS, split="two", split_column="part").read()) == []


def test_a_null_in_which_a_nested_column_would_be_is_an_empty_text(tmp_path: Path) -> None:
    rows = [
        {"q": "a", "t": {"en": "b"}, "answers": [{"answer": "b"}, {"answer": "c"}]},
        {"q": "d", "t": None, "answers": None},
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = Columns(source="q", target="t.en", references="answers.answer")
    examples = list(read_files([str(tmp_path / "data.jsonl")], columns).read())
    assert [(one.target, one.references) for one in examples] == [("b", ("b", "c")), ("", ())]
