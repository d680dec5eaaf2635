"""Examples that are set aside: nothing in two splits, the share that was asked for, and the same ones every time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from seqcli.build.data import encode_split, open_split, prepare_data
from seqcli.errors import DataError, RecipeError
from seqcli.experiment import prepare
from seqcli.recipe.data import Data
from seqcli.recipe.load import load_recipe
from seqcli.symbols import Example

SPLITS = ("train", "validation", "test")
Pairs = list[tuple[str, str]]


def pairs_of(count: int, copies: int = 1) -> Pairs:
    """Pairs whose sources occur `copies` times each, with other targets and other capitals, in no order."""
    pairs = [
        (f"Wort {row}" if copy % 2 else f"wort  {row}", f"{row}.{copy}")
        for row in range(count)
        for copy in range(copies)
    ]
    random.Random(1).shuffle(pairs)
    return pairs


def section(folder: Path, kind: str, pairs: Pairs, **keys: Any) -> Data:
    """The pairs in files of one kind of data, and the section that reads them."""
    folder.mkdir(exist_ok=True)
    made: dict[str, Any]
    if kind == "text":
        for name, side in (("train.de", 0), ("train.en", 1)):
            (folder / name).write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
        made = {"train": {"source": str(folder / "train.de"), "target": str(folder / "train.en")}}
    else:
        (folder / "train.tsv").write_text(
            "".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8"
        )
        more = (
            {"columns": {"source": 0, "target": 1}}
            if kind == "files"
            else {"pattern": "(?P<source>.*)\t(?P<target>.*)"}
        )
        made = {"train": str(folder / "train.tsv"), **more}
    read: Data = TypeAdapter(Data).validate_python({"kind": kind, "hold_out": 0.2, **made, **keys})
    return read


def parts(data: Data) -> dict[str, list[Example]]:
    """The splits that there are."""
    opened = {split: open_split(data, split) for split in SPLITS}  # type: ignore[arg-type]
    return {split: list(corpus.read()) for split, corpus in opened.items() if corpus is not None}


def plain(text: str) -> str:
    return " ".join(text.casefold().split())


@pytest.mark.parametrize("kind", ["files", "text", "lines"])
def test_every_example_is_in_one_split_and_every_source_too(kind: str, tmp_path: Path) -> None:
    pairs = pairs_of(500, copies=3)
    found = parts(section(tmp_path, kind, pairs))
    assert list(found) == ["train", "validation", "test"]
    assert sorted((one.source, one.target) for part in found.values() for one in part) == sorted(pairs)
    sources = [{plain(one.source) for one in part} for part in found.values()]
    assert [len(part) for part in sources] == [400, 50, 50]
    assert len(set.union(*sources)) == 500
    for part in found.values():
        assert [one.index for one in part] == list(range(len(part)))
        lines = [int(one.origin.rpartition(":")[2]) for one in part]
        assert [pairs[line - 1][1] for line in lines] == [one.target for one in part]


def test_it_follows_from_the_sources_alone(tmp_path: Path) -> None:
    pairs = pairs_of(300, copies=2)
    one, again, other = (
        parts(section(tmp_path / name, kind, order))
        for name, kind, order in (
            ("a", "files", pairs),
            ("b", "files", sorted(pairs)),
            ("c", "text", [(source, f"{target}!") for source, target in pairs]),
        )
    )
    for split in SPLITS:
        assert sorted((each.source, each.target) for each in one[split]) == sorted(
            (each.source, each.target) for each in again[split]
        )
        assert [each.source for each in one[split]] == [each.source for each in other[split]]
    # no run of the file, no pattern in it
    rows = [int(each.target.partition(".")[0]) for each in one["test"] if each.target]
    assert 60 < sum(rows) / len(rows) < 240


@pytest.mark.parametrize(
    ("count", "share", "sizes"),
    [(10, 0.01, [8, 1, 1]), (3, 0.9, [1, 1, 1]), (1000, 0.1, [900, 50, 50]), (8000, 0.9, [4000, 2000, 2000])],
)
def test_sizes(count: int, share: float, sizes: list[int], tmp_path: Path) -> None:
    found = parts(section(tmp_path, "files", pairs_of(count), hold_out=share))
    assert [len(part) for part in found.values()] == sizes


@pytest.mark.parametrize("missing", ["validation", "test"])
def test_all_of_it_goes_where_one_is_missing(missing: str, tmp_path: Path) -> None:
    (tmp_path / "other.tsv").write_text("x\ty\n", encoding="utf-8")
    named = next(split for split in SPLITS[1:] if split != missing)
    found = parts(section(tmp_path, "files", pairs_of(100), **{named: str(tmp_path / "other.tsv")}))
    assert {split: len(part) for split, part in found.items()} == {"train": 80, missing: 20, named: 1}


def test_limit_counts_what_is_left(tmp_path: Path) -> None:
    pairs = pairs_of(100)
    whole, limited = (parts(section(tmp_path, "files", pairs, **keys)) for keys in ({}, {"limit": 7}))
    assert limited["train"] == whole["train"][:7]
    assert limited["validation"] == whole["validation"]
    assert limited["test"] == whole["test"]


def test_too_little_to_part(tmp_path: Path) -> None:
    data = section(tmp_path, "files", pairs_of(2, copies=4))
    with pytest.raises(
        DataError, match=r"train\.tsv: 2 different sources are too few to set some aside for validation and test"
    ):
        parts(data)


def test_images_stay_together(tmp_path: Path) -> None:
    rows = "".join(
        f'{{"image": "{image}.png", "source": "what {question} ?", "target": "x"}}\n'
        for image in range(40)
        for question in range(5)
    )
    (tmp_path / "train.jsonl").write_text(rows, encoding="utf-8")
    data: Data = TypeAdapter(Data).validate_python(
        {"kind": "files", "train": str(tmp_path / "train.jsonl"), "columns": {"image": "image"}, "hold_out": 0.5}
    )
    images = [{one.image for one in part} for part in parts(data).values()]
    assert [len(part) for part in images] == [20, 10, 10]
    assert len(set.union(*images)) == 40


def recipe_of(folder: Path, tiny: tuple[str, ...], *overrides: str) -> Any:
    data = f"data={{kind: files, train: {folder / 'train.tsv'}, columns: {{source: 0, target: 1}}, hold_out: 0.2}}"
    return load_recipe("copy", (*tiny, data, *overrides))


def test_the_cache_knows_the_splits_apart(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    section(tmp_path, "files", pairs_of(100))
    sizes = []
    for share in ("0.2", "0.4", "null", "0.2"):
        recipe = recipe_of(tmp_path, tiny, f"data.hold_out={share}")
        data = prepare_data(recipe)
        test = encode_split(recipe, "test", data.source_tokenizer, data.target_tokenizer)
        sizes.append([None if part is None else len(part) for part in (data.train, data.validation, test)])
    assert sizes == [[80, 10, 10], [60, 20, 20], [100, None, None], [80, 10, 10]]


def test_a_run_goes_on_with_the_same_split_and_with_no_other(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    section(tmp_path, "files", pairs_of(100))
    run = tmp_path / "run"
    list(prepare(recipe_of(tmp_path, tiny, "training.steps=2"), run).train())
    experiment = prepare(recipe_of(tmp_path, tiny, "training.steps=4", "seed=1"), run)
    assert (experiment.position.step, len(experiment.data.train)) == (2, 80)
    list(experiment.train())
    with pytest.raises(RecipeError, match=r"data\.hold_out was 0\.2 and is 0\.4"):
        prepare(recipe_of(tmp_path, tiny, "data.hold_out=0.4"), run)
    section(tmp_path, "files", pairs_of(101))
    with pytest.raises(DataError, match="data is not what"):
        prepare(recipe_of(tmp_path, tiny, "training.steps=6"), run)


@pytest.mark.parametrize(
    "data",
    [
        "{kind: files, train: a.tsv, validation: b.tsv, test: c.tsv, hold_out: 0.1}",
        "{kind: text, train: {source: a, target: b}, validation: {source: a, target: b}, test: {source: a, target: b}, hold_out: 0.1}",
        "{kind: hub, name: somebody/pairs, hold_out: 0.1}",
    ],
)
def test_nothing_to_set_aside_for(data: str) -> None:
    with pytest.raises(RecipeError, match=r"data\.hold_out  validation and test are both named"):
        load_recipe("copy", [f"data={data}"])


@pytest.mark.parametrize("share", ["0", "1", "1.5", "-0.1", "some"])
def test_no_share(share: str) -> None:
    with pytest.raises(RecipeError, match=r"data\.hold_out"):
        load_recipe("copy", [f"data={{kind: files, train: a.tsv, hold_out: {share}}}"])


def test_what_is_held_out_may_be_watched() -> None:
    early = "training.early_stopping={patience: 2}"
    with pytest.raises(RecipeError, match="needs a validation split"):
        load_recipe("copy", ["data={kind: files, train: a.tsv}", early])
    load_recipe("copy", ["data={kind: files, train: a.tsv, hold_out: 0.1}", early])
    load_recipe("copy", ["data={kind: hub, name: a/b, splits: {validation: null}, hold_out: 0.1}", early])
