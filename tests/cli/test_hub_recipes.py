"""The recipes for vision data sets of the hub, each on a few rows in that data set's own schema, laid out as the hub has it."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pillow

from seqcli.build.data import open_split
from seqcli.recipe.load import load_recipe
from seqcli.recipe.shipped import shipped_recipes

Row = dict[str, Any]


def photograph(number: int, width: int = 40, height: int = 30, mode: str = "RGB") -> dict[str, Any]:
    """An image as `datasets` stores it; another number, another image."""
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    pillow.fromarray(pixels).convert(mode).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": f"{number}.png"}


def captions(number: int) -> list[str]:
    return [f"A dog numbered {number} runs , view {view} ." for view in range(5)]


def flickr8k() -> dict[str, list[Row]]:
    def row(number: int) -> Row:
        named = {f"caption_{view}": text for view, text in enumerate(captions(number))}
        return {"image": photograph(number), **named}

    return {
        "data/train-00000-of-00002.parquet": [row(number) for number in range(4)],
        "data/train-00001-of-00002.parquet": [row(number) for number in range(4, 6)],
        "data/validation-00000-of-00001.parquet": [row(6), row(7)],
        "data/test-00000-of-00001.parquet": [row(8)],
    }


def flickr30k() -> dict[str, list[Row]]:
    splits = ["train", "test", "train", "val", "train", "val"]
    rows = [
        {
            "image": photograph(number),
            "caption": captions(number),
            "sentids": [str(5 * number + view) for view in range(5)],
            "split": split,
            "img_id": str(number),
            "filename": f"{number}.jpg",
        }
        for number, split in enumerate(splits)
    ]
    return {"TEST/test/0000.parquet": rows[:4], "TEST/test/0001.parquet": rows[4:]}


def coco() -> dict[str, list[Row]]:
    def rows(*numbers: int) -> list[Row]:
        return [
            {"image": photograph(number), "filename": f"{number}.jpg", "cocoid": number, "caption": text}
            for number in numbers
            for text in captions(number)
        ]

    return {
        "data/train-00000-of-00001.parquet": rows(0, 1, 2),
        "data/validation-00000-of-00001.parquet": rows(3, 4),
        "data/test-00000-of-00001.parquet": rows(5),
    }


ANSWERS = {"yes/no": "yes", "number": "2", "other": "red shirt"}


def vqa() -> dict[str, list[Row]]:
    def row(number: int, public: bool = True) -> Row:
        kind, answer = list(ANSWERS.items())[number % 3]
        people = [answer] * 8 + ["no idea"] * 2
        given = [{"answer": text, "answer_confidence": "maybe", "answer_id": i} for i, text in enumerate(people, 1)]
        return {
            "question_type": "what is",
            "multiple_choice_answer": answer if public else None,
            "answers": given if public else None,
            "image_id": number // 3,
            "answer_type": kind if public else None,
            "question_id": number,
            "question": f"What is thing {number % 3}?",
            "image": photograph(number // 3),
        }

    return {
        "default/train/0000.parquet": [row(number) for number in range(9)],
        "default/validation/0000.parquet": [row(number) for number in range(6)],
        "default/test/0000.parquet": [row(number, public=False) for number in range(3)],
    }


def im2latex() -> dict[str, list[Row]]:
    def rows(*numbers: int) -> list[Row]:
        return [
            {
                "formula": rf"\frac {{ a }} {{ b }} ^ {{ {number % 2} }}",
                "filename": f"{number}.png",
                "image": photograph(number, 320, 64, "L"),
            }
            for number in numbers
        ]

    return {
        "data/train-00000-of-00001-93885635ef7c6898.parquet": rows(0, 1, 2, 3),
        "data/val-00000-of-00001-3f88ebb0c1272ccf.parquet": rows(4, 5),
        "data/test-00000-of-00001-fce261550cd3f5db.parquet": rows(6),
    }


def schemas() -> dict[str, Any]:
    """The features of each data set, as its card on the hub gives them."""
    from datasets import Features, Image, List, Value

    text, number = Value("string"), Value("int64")
    answers = [{"answer": text, "answer_confidence": text, "answer_id": number}]
    listed = {
        "flickr8k": {"image": Image(), **{f"caption_{view}": text for view in range(5)}},
        "flickr30k": {
            "image": Image(),
            "caption": List(text),
            "sentids": List(text),
            **dict.fromkeys(("split", "img_id", "filename"), text),
        },
        "coco": {"image": Image(), "filename": text, "cocoid": number, "caption": text},
        "vqa-v2": {
            "question_type": text,
            "multiple_choice_answer": text,
            "answers": answers,
            "image_id": number,
            "answer_type": text,
            "question_id": number,
            "question": text,
            "image": Image(),
        },
        "im2latex": {"formula": text, "filename": text, "image": Image()},
    }
    return {name: Features(features) for name, features in listed.items()}


@dataclass(frozen=True)
class Expected:
    """What a recipe makes of its data set: the examples to learn from, those to validate with, and one of the latter."""

    rows: Callable[[], dict[str, list[Row]]]
    train: int
    validation: int
    source: str
    target: str
    references: tuple[str, ...]
    group: str = ""


EXPECTED = {
    "flickr8k": Expected(flickr8k, 6 * 5, 2, "", captions(6)[0], tuple(captions(6))),
    "flickr30k": Expected(flickr30k, 3 * 5, 2, "", captions(3)[0], tuple(captions(3))),
    "coco": Expected(coco, 3 * 5, 2, "", captions(3)[0], tuple(captions(3))),
    "vqa-v2": Expected(vqa, 9, 6, "What is thing 0?", "yes", ("yes",) * 8 + ("no idea",) * 2, "yes/no"),
    "im2latex": Expected(im2latex, 4, 2, "", r"\frac { a } { b } ^ { 0 }", ()),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each recipe, as a clone of its data set would be."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    folders = {}
    for name, features in schemas().items():
        folders[name] = tmp_path_factory.mktemp(name)
        for file, rows in EXPECTED[name].rows().items():
            path = folders[name] / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Dataset.from_list(rows, features=features).to_parquet(str(path))
    return folders


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def local(folder: Path) -> tuple[str, ...]:
    """What makes a recipe read its data set from a folder."""
    return f"data.name={folder}", "data.revision=null"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_data_set_is_what_the_recipe_takes_it_for(
    name: str, call: Callable[..., Any], sets: dict[str, Path]
) -> None:
    expected = EXPECTED[name]
    ended = call("train", f"vision/{name}", *local(sets[name]), "threads=1", "--dry-run")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert ended.out.splitlines()[1].split() == ["examples", str(expected.train), str(expected.validation)]
    corpus = open_split(load_recipe(f"vision/{name}", local(sets[name])).data, "validation")
    assert corpus is not None
    first = next(corpus.read())
    found = (first.source, first.target, first.references, first.group)
    assert found == (expected.source, expected.target, expected.references, expected.group)
    assert isinstance(first.image, bytes), "as it is stored, not decoded"


SMALL = (
    "source.image.width=32",
    "source.image.height=32",
    "model.decoder.hidden_size=16",
    "model.decoder.embedding_size=8",
    "model.decoder.attention.hidden_size=8",
    "training.steps=3",
    "training.epochs=null",
    "training.validate_every=3",
    "threads=1",
)


def scores(ended: Any) -> dict[str, float]:
    assert ended.code == 0, ended.err
    return {name: metric["value"] for name, metric in json.loads(ended.out)["metrics"].items()}


def test_flickr8k_is_learnt_scored_and_described(call: Callable[..., Any], sets: dict[str, Path]) -> None:
    encoder = "model.encoder={kind: conv, hidden_size: 16, channels: [8, 8]}"
    small = (*SMALL, encoder, "training.schedule.patience=0", "search.max_length=6", "run=run")
    assert call("train", "vision/flickr8k", *local(sets["flickr8k"]), *small).code == 0
    measured = scores(call("eval", "run", "--json", "--no-intervals"))
    assert list(measured) == ["loss", "perplexity", "bleu_1", "bleu_2", "bleu_3", "bleu_4", "cider"]
    assert measured["bleu_1"] >= measured["bleu_4"]
    Path("dog.png").write_bytes(photograph(8)["bytes"])
    Path("paths").write_text("dog.png\n")
    ended = call("translate", "run", "--input", "paths")
    assert ended.code == 0, ended.err
    assert len(ended.out.splitlines()) == 1


def test_vqa_is_learnt_and_scored_by_type_of_answer(call: Callable[..., Any], sets: dict[str, Path]) -> None:
    small = (
        *SMALL,
        "model.encoder.image={kind: conv, hidden_size: 16, channels: [8, 8]}",
        "model.encoder.text={kind: lstm, hidden_size: 16, embedding_size: 8}",
        "training.steps=200",
        "training.validate_every=200",
        "training.optimizer={kind: adam, learning_rate: 1e-2}",
        "training.clip_norm=1.0",
        "model.dropout=0.0",
        "run=run",
    )
    assert call("train", "vision/vqa-v2", *local(sets["vqa-v2"]), *small).code == 0
    ended = call("eval", "run", "--json", "--no-intervals", "--by-group", "--split", "validation")
    assert scores(ended)["vqa_accuracy"] == 100.0, "8 of 10 people said so, and the question alone tells it"
    groups = {one["group"]: one["count"] for one in json.loads(ended.out)["groups"]}
    assert groups == dict.fromkeys(ANSWERS, 2)


def test_vqa_without_public_answers_is_read(sets: dict[str, Path]) -> None:
    corpus = open_split(load_recipe("vision/vqa-v2", [*local(sets["vqa-v2"]), "data.splits.test=test"]).data, "test")
    assert corpus is not None
    examples = list(corpus.read())
    assert [(one.source, one.target, one.references, one.group) for one in examples] == [
        (f"What is thing {number}?", "", (), "") for number in range(3)
    ]


def test_a_caption_recipe_takes_grids_that_are_there_already(call: Callable[..., Any]) -> None:
    from datasets import Array3D, Dataset, Features, Value

    columns = {f"caption_{view}": Value("string") for view in range(5)}
    features = Features({"grid": Array3D((14, 14, 512), "float32"), **columns})
    for split in ("train", "validation", "test"):
        rows = [
            {
                "grid": np.random.default_rng(number).random((14, 14, 512), dtype=np.float32),
                **dict(zip(columns, captions(number), strict=True)),
            }
            for number in range(2)
        ]
        Dataset.from_list(rows, features=features).to_parquet(f"{split}.parquet")
    ended = call("train", "vision/flickr8k", *commented("flickr8k"), "threads=1", "--dry-run")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[1].split() == ["examples", "10", "2"]


def commented(name: str) -> list[str]:
    """The overrides of the second command in a recipe's header."""
    lines = shipped_recipes()[f"vision/{name}"].read_text(encoding="utf-8").splitlines()
    begins = next(place for place, line in enumerate(lines) if line.startswith("#   seqcli train"))
    ends = next(place for place, line in enumerate(lines) if line.startswith("# paper"))
    command = " ".join(line.lstrip("# ").removesuffix("\\") for line in lines[begins:ends])
    return shlex.split(command)[3:]


@pytest.mark.parametrize("name", ["flickr8k", "flickr30k", "coco", "vqa-v2"])
def test_the_command_for_grids_is_valid(name: str) -> None:
    recipe = load_recipe(f"vision/{name}", commented(name))
    assert recipe.source.image is not None
    assert recipe.source.image.kind == "features"
    assert recipe.data.kind == "files"
