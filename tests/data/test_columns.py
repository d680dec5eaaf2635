"""Which columns become what: images, several targets, references inside lists, groups, and boxes from pixels to shares."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as pillow

from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus, read_disk, read_hub
from seqcli.data.files import read_files
from seqcli.errors import DataError
from seqcli.symbols import Example

IMAGE = Columns(source=None, target="text", image="image")


def picture(width: int = 8, height: int = 4, **options: Any) -> bytes:
    stream = io.BytesIO()
    pillow.new("RGB", (width, height), "red").save(stream, "PNG", **options)
    return stream.getvalue()


def example(row: dict[str, Any], folder: Path | None = None, **columns: Any) -> Example:
    return Columns(**{"source": None, "target": "text", **columns}).example({"text": "a", **row}, 3, "here:4", folder)


def refused(row: dict[str, Any], **columns: Any) -> str:
    with pytest.raises(DataError) as raised:
        example(row, **columns)
    return str(raised.value)


# images


def test_what_an_image_column_may_hold() -> None:
    data = picture()
    assert example({"image": data}, image="image").image == data
    assert example({"image": {"bytes": data, "path": "a.png"}}, image="image").image == data
    assert example({"image": {"bytes": None, "path": "/b/a.png"}}, image="image").image == "/b/a.png"
    assert example({"image": "a.png"}, image="image").image == "a.png"
    assert example({"image": "a.png"}, Path("/b"), image="image").image == "/b/a.png"
    assert example({"image": "/c/a.png"}, Path("/b"), image="image").image == "/c/a.png"
    assert example({"deep": {"image": data}}, image="deep.image").image == data
    assert example({"image": data}).image is None
    assert example({"image": data}, image="image").source == ""


@pytest.mark.parametrize("nothing", [None, "", b"", {"bytes": None, "path": None}, {"bytes": b"", "path": ""}])
def test_nothing_is_no_image(nothing: Any) -> None:
    assert example({"image": nothing, "b": [[0, 1]]}, image="image", boxes="b").image is None


def test_grids_of_numbers() -> None:
    grid = example({"image": [[[1, 2.5], [3, 4]]]}, image="image").image
    assert isinstance(grid, np.ndarray)
    assert (grid.dtype, grid.tolist()) == (np.float32, [[[1.0, 2.5], [3.0, 4.0]]])


@pytest.mark.parametrize("value", [5, True, {"a": 1}, [[1, 2], [3]], ["a"], [[{}]], [[10**400]]])
def test_what_is_no_image_is_refused(value: Any, recwarn: pytest.WarningsRecorder) -> None:
    assert refused({"image": value}, image="image").startswith(f"here:4: column 'image' holds {value!r:.80}, but an")
    assert not recwarn.list


# targets and references


def test_several_targets() -> None:
    assert example({"b": "c"}, target=("text", "b")).references == ("a", "c")
    assert example({"b": "c"}, target=("text", "b")).target == "a"
    assert example({"text": ["a", "b", "a"]}).references == ("a", "b", "a")
    assert example({"text": ["a"]}).references == ()
    assert example({"b": ["c", "d"]}, target=("text", "b")).references == ("a", "c", "d")


def test_what_nobody_has_written_is_no_reference() -> None:
    assert example({"text": [None, "a", "", "  ", "b"]}).references == ("a", "b")
    found = example({"text": None, "b": "c"}, target=("text", "b"))
    assert (found.target, found.references) == ("c", ())
    for nothing in (None, "", [], [None], [""]):
        assert (example({"text": nothing}).target, example({"text": nothing}).references) == ("", ())
        assert example({"all": nothing}, references="all").references == ()


def test_references_inside_lists_of_dictionaries() -> None:
    answers = [{"answer": "yes", "id": 1}, {"answer": "no", "id": 2}, {"answer": "yes", "id": 3}]
    for row in ({"answers": answers}, {"answers": {"answer": ["yes", "no", "yes"]}}):
        assert example(row, references="answers.answer").references == ("yes", "no", "yes")
    deep = {"one": [{"two": [{"three": "a"}]}]}
    assert "holds ['a']" in refused(deep, references="one.two.three")
    assert refused({"answers": [{"word": "yes"}]}, references="answers.answer") == (
        "here:4: there is no column 'answer'; there are: word"
    )
    assert "column 'all' holds 3, but a text is needed" in refused({"all": ["a", 3]}, references="all")


def test_groups() -> None:
    assert example({"type": "colour"}, group="type").group == "colour"
    assert example({"type": None}, group="type").group == ""
    assert "holds 3, but a text is needed" in refused({"type": 3}, group="type")


# boxes


def test_boxes_in_pixels_become_shares() -> None:
    boxes = [[2, 4], None, [0, 1, 8, 4], [2.0, 1.0, 2.0, 3.0]]
    for image in (picture(), {"bytes": picture(), "path": None}):
        assert example({"image": image, "b": boxes}, image="image", boxes="b").boxes == (
            (0.25, 0.0, 0.5, 1.0),
            None,
            (0.0, 0.25, 1.0, 1.0),
            (0.25, 0.25, 0.25, 0.75),
        )
    assert example({"image": picture(), "b": None}, image="image", boxes="b").boxes == ()
    assert example({"image": picture(), "b": []}, image="image", boxes="b").boxes == ()


def test_boxes_are_in_the_image_as_it_is_seen() -> None:
    exif = pillow.Exif()
    exif[ExifTags.Base.Orientation] = 6
    sideways = picture(8, 4, exif=exif)
    assert example({"image": sideways, "b": [[1, 2]]}, image="image", boxes="b").boxes == ((0.25, 0.0, 0.5, 1.0),)


def test_boxes_of_what_cannot_be_read() -> None:
    for image in (b"damaged", "nowhere.png", None):
        assert example({"image": image, "b": [[0, 1]]}, image="image", boxes="b").boxes == ()


@pytest.mark.parametrize(
    "boxes",
    [
        5,
        "[[0, 1]]",
        {"a": 1},
        [5],
        [[]],
        [[1]],
        [[1, 2, 3]],
        [[1, 2, 3, 4, 5]],
        [["a", "b"]],
        [[None, 1]],
        ["ab"],
        [[0, 10**400]],
    ],
)
def test_boxes_that_are_none(boxes: Any) -> None:
    told = refused({"image": picture(), "b": boxes}, image="image", boxes="b")
    assert told.startswith("here:4: column 'b' holds ")
    assert told.endswith("is needed")


@pytest.mark.parametrize("box", [[2, 1], [0, 3, 1, 2], [0, float("nan")], [float("-inf"), 1], [0, 0, 1, float("inf")]])
def test_boxes_inside_out(box: list[float]) -> None:
    assert "but [left, right] or [left, top, right, bottom] is needed" in refused(
        {"image": picture(), "b": [box]}, image="image", boxes="b"
    )


# rows


@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        ({}, "abcdef"),
        ({"label": "true"}, "a"),
        ({"label": True}, "b"),
        ({"label": 1}, "c"),
        ({"label": "true", "deep.kind": "x"}, "a"),
        ({"label": "true", "deep.kind": "y"}, ""),
        ({"label": "false"}, ""),
        ({"deep.kind": "y"}, "bcdef"),
    ],
)
def test_rows_are_chosen_by_their_values(tmp_path: Path, where: dict[str, Any], chosen: str) -> None:
    labels = ["true", True, 1, 1.0, None, [1]]
    rows = [
        {"text": text, "label": label, "deep": {"kind": "x" if text == "a" else "y"}}
        for text, label in zip("abcdef", labels, strict=True)
    ]
    columns = Columns(source=None, target="text", where=tuple(where.items()))
    found = list(read_files([jsonl(tmp_path, rows)], columns).read())
    assert "".join(one.target or "" for one in found) == chosen
    assert [one.index for one in found] == list(range(len(chosen)))
    assert all(one.origin.endswith(f":{'abcdef'.index(str(one.target)) + 1}") for one in found)


def test_rows_are_chosen_by_columns_that_are_there(tmp_path: Path) -> None:
    columns = Columns(source=None, target="text", where=(("label", "x"),))
    with pytest.raises(DataError, match="data.jsonl:1: there is no column 'label'; there are: text"):
        list(read_files([jsonl(tmp_path, [{"text": "a"}])], columns).read())


# corpora


def jsonl(folder: Path, rows: list[dict[str, Any]]) -> str:
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "data.jsonl")


def corpus_of(*examples: Example) -> Corpus:
    return Corpus("here", lambda: iter(examples), lambda: "x")


def test_paths_are_seen_from_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    path = jsonl(tmp_path / "deep", [{"image": "images/a.png", "text": "a"}, {"image": "/b.png", "text": "b"}])
    table = tmp_path / "deep" / "data.tsv"
    table.write_text("image\ttext\nimages/a.png\ta\n/b.png\tb\n")
    monkeypatch.chdir(tmp_path)
    for given in (path, str(table), "deep/data.tsv"):
        images = [one.image for one in read_files([given], IMAGE).read()]
        assert [str(Path(str(image)).resolve()) for image in images] == [str(tmp_path / "deep/images/a.png"), "/b.png"]


def test_the_readers_of_datasets(tmp_path: Path) -> None:
    """Parquet, save_to_disk, a folder like one of the hub, and an image folder: bytes as they are stored, or paths from the data."""
    datasets = pytest.importorskip("datasets")
    data = [picture(4, height) for height in (1, 2)]
    typed = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {"image": [{"bytes": one, "path": None} for one in data], "text": ["a", "b"]}
    table = datasets.Dataset.from_dict(rows, features=typed)
    (tmp_path / "hub").mkdir()
    table.to_parquet(str(tmp_path / "hub" / "train.parquet"))
    table.save_to_disk(str(tmp_path / "disk"))
    for corpus in (
        read_files([str(tmp_path / "hub" / "train.parquet")], IMAGE),
        read_hub(str(tmp_path / "hub"), IMAGE, split="train"),
        read_disk(str(tmp_path / "disk"), IMAGE, split="train"),
    ):
        assert [(one.image, one.target) for one in corpus.read()] == list(zip(data, "ab", strict=True))

    folder = tmp_path / "folder" / "train"
    folder.mkdir(parents=True)
    for name, one in zip("ab", data, strict=True):
        (folder / f"{name}.png").write_bytes(one)
    (folder / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "a"}\n{"file_name": "b.png", "text": "b"}\n')
    found = list(read_hub(str(tmp_path / "folder"), IMAGE, split="train").read())
    assert sorted(str(one.image) for one in found) == [str(folder / "a.png"), str(folder / "b.png")]

    (tmp_path / "paths").mkdir()
    datasets.Dataset.from_dict({"image": ["x/a.png"], "text": ["a"]}).to_parquet(str(tmp_path / "paths/train.parquet"))
    for corpus in (
        read_hub(str(tmp_path / "paths"), IMAGE, split="train"),
        read_files([str(tmp_path / "paths" / "train.parquet")], IMAGE),
    ):
        assert [one.image for one in corpus.read()] == [str(tmp_path / "paths" / "x/a.png")]


def test_a_column_that_says_the_split(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"text": list("abcd"), "source": list("wxyz"), "split": ["train", "dev", "train", "restval"]}
    datasets.Dataset.from_dict(rows).to_parquet(str(tmp_path / "train.parquet"))
    columns = Columns(target="text")
    read = {
        split: [one.target for one in read_hub(str(tmp_path), columns, split=split, split_column="split").read()]
        for split in ("train", "dev", "test")
    }
    assert read == {"train": ["a", "c"], "dev": ["b"], "test": []}
    digests = {
        read_hub(str(tmp_path), columns, split=split, split_column="split").digest() for split in ("train", "dev")
    }
    assert len(digests) == 2
    with pytest.raises(DataError, match="part"):
        list(read_hub(str(tmp_path), columns, split="dev", split_column="part").read())


def test_each_reference_is_an_example() -> None:
    box = ((0.0, 0.0, 1.0, 1.0),)
    first = Example("", "a", 0, "here:1", image="i", references=("a", "b", "a"), boxes=box)
    second = Example("", "c", 1, "here:2", image="j")
    found = list(corpus_of(first, second).each_reference().read())
    assert [(one.target, one.index, one.origin, one.image) for one in found] == [
        ("a", 0, "here:1", "i"),
        ("b", 1, "here:1", "i"),
        ("c", 2, "here:2", "j"),
    ]
    assert [one.references for one in found] == [()] * 3
    assert [one.boxes for one in found] == [box, (), ()]
    # it is encoded apart from the corpus itself, should that be another split
    whole = corpus_of(first, second)
    assert whole.each_reference().digest() != whole.digest()


def test_all_references_of_one_image() -> None:
    pixels = [np.full((1, 2, 2), shade, dtype=np.uint8) for shade in (1, 1, 2)]
    examples = [
        Example("", "a", 0, "here:1", image="i"),
        Example("", "b", 1, "here:2", image="i"),
        Example("", "c", 2, "here:3", image="j"),
        Example("q", "d", 3, "here:4", image="j"),
        *(Example("", f"{shade}", 4 + shade, f"here:{5 + shade}", image=pixels[shade]) for shade in range(3)),
        Example("", "e", 7, "here:8", image=b"k", references=("e", "f")),
        Example("", "g", 8, "here:9", image=b"k"),
    ]
    found = list(corpus_of(*examples).with_all_references().read())
    assert [(one.target, one.references, one.index) for one in found] == [
        ("a", ("a", "b"), 0),
        ("c", (), 1),
        ("d", (), 2),
        ("0", ("0", "1"), 3),
        ("2", (), 4),
        ("e", ("e", "f", "g"), 5),
    ]
    assert corpus_of(*examples).with_all_references().digest() != corpus_of(*examples).digest()
