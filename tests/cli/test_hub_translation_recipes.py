"""The recipes for translation sets of the hub, each on a few rows in that data set's own schema, laid out as the hub has it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from seqcli.build.data import open_split
from seqcli.build.model import build_model
from seqcli.recipe.load import load_recipe
from seqcli.recipe.shipped import shipped_recipes

Row = dict[str, Any]
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SIZES = {"train": 12, "validation": 3, "test": 2}


def english(number: int) -> str:
    return f"A dog with {NUMBERS[number]} bones runs ."


def other(number: int) -> str:
    return f"Ein Hund mit {NUMBERS[number]} Knochen läuft ."


def nested(first: str, second: str) -> Callable[[int], Row]:
    """Rows with one column `translation`, a struct of two languages in the order that the data set has them."""
    texts = {"en": english}
    return lambda number: {"translation": {key: texts.get(key, other)(number) for key in (first, second)}}


def flat(first: str, second: str) -> Callable[[int], Row]:
    """Rows with a column for each language."""
    row = nested(first, second)
    return lambda number: dict(row(number)["translation"])


@dataclass(frozen=True)
class Expected:
    """How a data set is laid out, and what its recipe makes of it: the examples to learn from, to validate with, and the first of these.

    That is None where it is drawn from the training examples. `vocabularies` are the sizes that the header counts parameters with.
    """

    files: dict[str, str]
    row: Callable[[int], Row]
    languages: tuple[str, str]
    train: int
    validation: int
    first: tuple[str, str] | None
    vocabularies: tuple[int, int]
    overrides: tuple[str, ...] = ()


WMT14 = {split: f"de-en/{split}-00000-of-00001.parquet" for split in SIZES}
SHALLOW = ("model.encoder.layers=1", "model.decoder.layers=1")
EXPECTED = {
    "translation/wmt14-base": Expected(
        WMT14, nested("de", "en"), ("de", "en"), 12, 3, (english(0), other(0)), (37000, 37000), SHALLOW
    ),
    "translation/wmt14-big": Expected(
        WMT14, nested("de", "en"), ("de", "en"), 12, 3, (english(0), other(0)), (37000, 37000), SHALLOW
    ),
    "translation/iwslt14": Expected(
        {split: f"de-en/{split}/0000.parquet" for split in SIZES},
        nested("de", "en"),
        ("de", "en"),
        12,
        3,
        (other(0), english(0)),
        (10000, 10000),
    ),
    # its validation split is its test split, so that a quarter of the training examples, here, is held out instead
    "translation/iwslt15": Expected(
        {split: f"data/{split}-00000-of-00001.parquet" for split in SIZES},
        flat("en", "vi"),
        ("en", "vi"),
        9,
        3,
        None,
        (17191, 7709),
        ("data.hold_out=0.25", "source.tokenizer.min_frequency=1", "target.tokenizer.min_frequency=1"),
    ),
    "multi30k/tiny": Expected(
        {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"},
        flat("en", "de"),
        ("en", "de"),
        12,
        3,
        (english(0), other(0)),
        (6000, 6000),
    ),
}
WMT14_CARD = """---
configs:
- config_name: cs-en
  data_files:
  - {split: train, path: cs-en/train-*}
- config_name: de-en
  data_files:
  - {split: train, path: de-en/train-*}
  - {split: validation, path: de-en/validation-*}
  - {split: test, path: de-en/test-*}
---
"""


def features(expected: Expected) -> Any:
    """The features of a data set, as its card on the hub gives them."""
    from datasets import Features, Translation, Value

    if "translation" in expected.row(0):
        return Features({"translation": Translation(list(expected.languages))})
    return Features(dict.fromkeys(expected.languages, Value("string")))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each recipe, as a clone of its data set would be."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    folders = {}
    for name, expected in EXPECTED.items():
        folders[name] = tmp_path_factory.mktemp(name.replace("/", "-"))
        for split, file in expected.files.items():
            path = folders[name] / file
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [expected.row(number) for number in range(SIZES[split])]
            kept = Dataset.from_list(rows, features=features(expected))
            kept.to_json(str(path)) if path.suffix == ".jsonl" else kept.to_parquet(str(path))
        if name.startswith("translation/wmt14"):
            (folders[name] / "README.md").write_text(WMT14_CARD, encoding="utf-8")
            (folders[name] / "cs-en").mkdir()
            czech = Dataset.from_list([{"translation": {"cs": "Pes běží .", "en": "A dog runs ."}}])
            czech.to_parquet(str(folders[name] / "cs-en" / "train-00000-of-00001.parquet"))
    return folders


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def local(name: str, folder: Path) -> list[str]:
    """What makes a recipe read its data set from a folder."""
    return [f"data.name={folder}", "data.revision=null", *EXPECTED[name].overrides]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_data_set_is_what_the_recipe_takes_it_for(
    name: str, call: Callable[..., Any], sets: dict[str, Path]
) -> None:
    expected = EXPECTED[name]
    ended = call("train", name, *local(name, sets[name]), "threads=1", "--dry-run")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert ended.out.splitlines()[1].split() == ["examples", str(expected.train), str(expected.validation)]
    data = load_recipe(name, local(name, sets[name])).data
    validation, test = open_split(data, "validation"), open_split(data, "test")
    assert test is not None
    assert len(list(test.read())) == SIZES["test"]
    assert validation is not None
    first = next(validation.read())
    assert expected.first in (None, (first.source, first.target))


def test_what_iwslt15_validates_with_is_not_what_it_is_tested_on(sets: dict[str, Path]) -> None:
    name = "translation/iwslt15"
    assert load_recipe(name).data.splits.validation is None  # type: ignore[union-attr]
    data = load_recipe(name, local(name, sets[name])).data
    splits = {}
    for split in ("train", "validation"):
        corpus = open_split(data, split)  # type: ignore[arg-type]
        assert corpus is not None
        splits[split] = {(one.source, one.target) for one in corpus.read()}
    assert not splits["train"] & splits["validation"]
    assert splits["train"] | splits["validation"] == {(english(number), other(number)) for number in range(12)}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_header_counts_the_parameters(name: str) -> None:
    told = re.search(r"^# parameters: ([\d,]+) with ", shipped_recipes()[name].read_text("utf-8"), re.MULTILINE)
    assert told is not None
    with torch.device("meta"):
        model = build_model(load_recipe(name).model, *EXPECTED[name].vocabularies, fill=False)
    assert sum(parameter.numel() for parameter in model.parameters()) == int(told[1].replace(",", ""))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_header_tells_what_is_published_and_what_it_costs(name: str) -> None:
    header = shipped_recipes()[name].read_text(encoding="utf-8").partition("\nseed:")[0]
    assert re.search(r"^# expected: (not measured (here|yet)|\d[^#]*(\n#  [^#]*)*); published \d", header, re.MULTILINE)
    assert re.search(r"^# cost: .*FLOPs", header, re.MULTILINE)


def commands() -> list[tuple[str, list[str]]]:
    """The overrides of each further command in a header."""
    found = []
    for name in EXPECTED:
        text = shipped_recipes()[name].read_text(encoding="utf-8").replace("\\\n#", "")
        for command in re.findall(r"^#   seqcli train (.*)", text, re.MULTILINE):
            found.append((name, shlex.split(command)))
    return found


@pytest.mark.parametrize(("name", "arguments"), commands())
def test_the_other_commands_of_a_header_are_right(name: str, arguments: list[str]) -> None:
    recipe, *overrides = arguments
    assert recipe == name
    resolved, shipped = load_recipe(name, overrides), load_recipe(name)
    assert resolved != shipped
    if "training.accumulation" in " ".join(overrides):
        assert isinstance(resolved.training.batch_tokens, int)
        assert resolved.training.batch_tokens * resolved.training.accumulation == shipped.training.batch_tokens


@pytest.mark.parametrize("name", ["translation/wmt14-base", "translation/wmt14-big"])
def test_the_highest_learning_rate_is_that_of_the_papers_schedule(name: str) -> None:
    recipe = load_recipe(name)
    width, warmup = recipe.model.decoder.hidden_size, recipe.training.schedule.warmup
    # Vaswani et al. 2017, eq. 3, at the step at which the warm-up ends
    highest = width**-0.5 * min(warmup**-0.5, warmup * warmup**-1.5)
    assert recipe.training.optimizer.learning_rate == pytest.approx(highest, rel=1e-3)


@pytest.mark.parametrize("name", ["translation/wmt14-base", "translation/iwslt15", "multi30k/tiny"])
def test_a_recipe_is_learnt_averaged_and_scored(name: str, call: Callable[..., Any], sets: dict[str, Path]) -> None:
    kind = load_recipe(name).model.decoder.kind
    small = [f"model.{side}.hidden_size=16" for side in ("encoder", "decoder")]
    if kind == "transformer":
        small += [f"model.{side}.feedforward_size=16" for side in ("encoder", "decoder")]
        small += [f"model.{side}.heads=2" for side in ("encoder", "decoder")]
    else:
        small += [f"model.{side}.embedding_size=8" for side in ("encoder", "decoder")]
    small += [
        "training.steps=4",
        "training.validate_every=4",
        "training.checkpoint_every=2",
        "training.precision=float32",
    ]
    small += ["search.max_length=6", "threads=1", "run=run"]
    ended = call("train", name, *local(name, sets[name]), *small)
    assert ended.code == 0, ended.err
    assert (Path("run/checkpoints/average").is_dir()) == (load_recipe(name).training.average > 1)
    ended = call("eval", "run", "--json", "--no-intervals", "--split", "test")
    assert ended.code == 0, ended.err
    assert list(json.loads(ended.out)["metrics"]) == load_recipe(name).evaluation.metrics
