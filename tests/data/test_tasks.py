"""Several data sets in one model: the tags of their sources, how often small ones are seen, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqcli.build.batches import plan_epoch
from seqcli.build.data import open_split, prepare_data, tagging
from seqcli.data.tasks import Tagging, joined, repeated, repetitions
from seqcli.errors import DataError
from seqcli.recipe.load import load_recipe

LETTERS = "abcdefgh"


@pytest.fixture
def three(tmp_path: Path) -> list[str]:
    """Overrides of the copy recipe: 40 words in capitals, 10 that carry tags, and a builtin task of 20 strings."""
    capitals = [a + b for a in LETTERS for b in LETTERS[:5]]
    (tmp_path / "up.tsv").write_text("".join(f"{word}\t{word.upper()}\n" for word in capitals))
    (tmp_path / "tagged.tsv").write_text("".join(f"{word}\t{word}x\tV;SG\n" for word in capitals[:10]))
    (tmp_path / "dev.tsv").write_text("ab\tAB\n")
    up = f"{{kind: files, train: {tmp_path}/up.tsv, validation: {tmp_path}/dev.tsv, columns: {{source: 0, target: 1}}}}"
    tagged = f"{{kind: files, train: {tmp_path}/tagged.tsv, columns: {{source: 0, target: 1, features: 2}}}}"
    made = "{kind: reverse, alphabet: 4, examples: 20}"
    characters = ["source.tokenizer={kind: characters}", "target.tokenizer={kind: characters}"]
    return [f"data={{kind: tasks, tasks: {{up: {up}, tagged: {tagged}, made: {made}}}}}", *characters]


def recipe_of(*overrides: str) -> Any:
    return load_recipe("copy", overrides)


def test_sources_begin_with_the_tag_of_their_task(three: list[str]) -> None:
    corpus = open_split(recipe_of(*three).data, "train")
    assert corpus is not None
    examples = list(corpus.read())
    assert [example.index for example in examples] == list(range(70))
    assert Counter(example.group for example in examples) == {"up": 40, "tagged": 10, "made": 20}
    by_task = {example.group: example.features for example in examples}
    assert by_task == {"up": ("<up>",), "tagged": ("<tagged>", "V", "SG"), "made": ("<made>",)}


def test_other_splits_are_those_of_all_tasks_that_have_them(three: list[str]) -> None:
    data = recipe_of(*three, "data.tasks.tagged.hold_out=0.2").data
    sizes = {}
    for split in ("train", "validation", "test"):
        corpus = open_split(data, split)  # type: ignore[arg-type]
        assert corpus is not None
        sizes[split] = Counter(example.group for example in corpus.read())
    assert sizes["train"] == {"up": 40, "tagged": 8, "made": 20}
    # builtin data has 100 at least of each, as far as there are so many strings
    assert (sizes["validation"]["up"], sizes["validation"]["tagged"]) == (1, 1)
    assert set(sizes["test"]) == {"tagged", "made"}
    few = open_split(recipe_of(*three, "data.limit=12", "data.tasks.made.limit=3").data, "train")
    assert few is not None
    assert Counter(example.group for example in few.read()) == {"up": 12, "tagged": 10, "made": 3}
    alone = recipe_of(*three, "data={kind: tasks, tasks: {a: {kind: text, train: {source: x, target: y}}}}").data
    assert open_split(alone, "test") is None


def test_the_digest_knows_tasks_and_their_data(three: list[str], tmp_path: Path) -> None:
    def digest(*overrides: str) -> str:
        corpus = open_split(recipe_of(*three, *overrides).data, "train")
        assert corpus is not None
        return corpus.digest()

    before = digest()
    assert digest("data.temperature=5") == before, "what is encoded is the same"
    assert digest("data.tasks.made.seed=2") != before
    assert digest("data.tasks.up.limit=3") != before
    named = joined({"other": open_split(recipe_of(*three).data.tasks["made"], "train")})  # type: ignore[dict-item]
    assert named.digest() != joined({"made": open_split(recipe_of(*three).data.tasks["made"], "train")}).digest()  # type: ignore[dict-item]
    (tmp_path / "up.tsv").write_text("a\tA\n")
    assert digest() != before


def test_tags_are_symbols_of_the_source_alone(three: list[str]) -> None:
    data = prepare_data(recipe_of(*three))
    labels = data.source_tokenizer.tokens(range(data.source_tokenizer.size))
    assert set(labels[4:9]) == {"<up>", "<tagged>", "<made>", "V", "SG"}
    assert "<up>" not in data.target_tokenizer.tokens(range(data.target_tokenizer.size))
    first = data.train.batch([0]).source[0].tolist()
    assert data.source_tokenizer.tokens(first) == ["<up>", "a", "a", "</s>"]


def test_how_often_small_tasks_are_seen() -> None:
    # shares with n^(1/T): of 800 and 50, at T = 2, sqrt(800) : sqrt(50) = 4 : 1, so 200 of the small one beside the 800
    assert repetitions({"large": 800, "small": 50}, 2) == pytest.approx({"large": 1, "small": 4})
    assert repetitions({"large": 800, "small": 50}, 1) == {"large": 1, "small": 1}
    assert repetitions({"large": 800, "small": 50}, 1e9) == pytest.approx({"large": 1, "small": 16})


def test_repeated_rows() -> None:
    rows, tasks = np.arange(10), np.array([0] * 6 + [1] * 4, dtype=np.int32)
    found = repeated(rows, tasks, [1.0, 2.5], seed=1, epoch=0)
    counts = np.bincount(found)
    assert counts[:6].tolist() == [1] * 6
    assert sorted(counts[6:].tolist()) == [2, 2, 3, 3]
    assert (np.diff(found) >= 0).all()
    assert repeated(rows, tasks, [1.0, 2.5], seed=1, epoch=0).tolist() == found.tolist()
    others = {tuple(repeated(rows, tasks, [1.0, 2.5], seed=1, epoch=epoch).tolist()) for epoch in range(20)}
    assert len(others) > 1, "which rows make up the rest is drawn anew in each epoch"
    # of some rows alone, as a curriculum chooses them
    assert repeated(np.array([2, 7]), tasks, [1.0, 3.0], seed=1, epoch=0).tolist() == [2, 7, 7, 7]


def test_an_epoch_has_small_tasks_more_often(three: list[str]) -> None:
    once, more = recipe_of(*three), recipe_of(*three, "data.temperature=2")
    data = prepare_data(once)
    there, of_rows = data.train.groups

    def seen(recipe: Any, epoch: int) -> dict[str, int]:
        rows = np.concatenate(plan_epoch(recipe, data, epoch))
        return {task: int((of_rows[rows] == number).sum()) for number, task in enumerate(there)}

    assert seen(once, 0) == {"up": 40, "tagged": 10, "made": 20}
    # 40 · sqrt(10 / 40) = 20 and 40 · sqrt(20 / 40) = 28.3
    assert seen(more, 0) == seen(more, 7) == {"up": 40, "tagged": 20, "made": 28}
    plans = [[batch.tolist() for batch in plan_epoch(more, data, epoch)] for epoch in (3, 3, 4)]
    assert plans[0] == plans[1] != plans[2]


def test_a_curriculum_of_tasks(three: list[str]) -> None:
    recipe = recipe_of(*three, "data.temperature=2", "training.curriculum={groups: [tagged], epochs: 1}")
    data = prepare_data(recipe)
    first = np.bincount(np.concatenate(plan_epoch(recipe, data, 0)), minlength=70)
    assert first[40:50].tolist() == [2] * 10
    assert first.sum() == 20
    assert len(np.concatenate(plan_epoch(recipe, data, 1))) == 88


def test_what_stands_before_a_source() -> None:
    tags = Tagging(tasks={"fre": None, "inflection": ";"})
    assert tags.example("a\tb", 0, "line 1", task="fre").source == "a\tb"
    inflected = tags.example("gehen\tV; PST", 3, "line 4", task="inflection", target="ging")
    assert (inflected.source, inflected.features) == ("gehen", ("<inflection>", "V", "PST"))
    assert (inflected.target, inflected.index) == ("ging", 3)
    assert tags.tags(["a;b"], "inflection", "x") == ("<inflection>", "a;b")
    assert tags.has_features
    assert not Tagging(tasks={"fre": None}).has_features
    assert Tagging("|").example("a\tb|c", 0, "").features == ("b", "c")


@pytest.mark.parametrize(
    ("tags", "task", "told"),
    [
        (Tagging(tasks={"fre": None, "kor": None}), None,
         "line 1: it is not said which task this is (--task, or the field task of a line of JSON); there are fre, kor"),
        (Tagging(tasks={"fre": None, "kor": None}), "ger", "line 1: there is no task 'ger'; there are fre, kor"),
        (Tagging(";"), "fre", "line 1: there is no task 'fre'; this run has no tasks"),
    ],
)  # fmt: skip
def test_no_such_task(tags: Tagging, task: str | None, told: str) -> None:
    with pytest.raises(DataError) as raised:
        tags.example("a", 0, "line 1", task=task)
    assert str(raised.value) == told


def test_separators_are_those_of_each_task(three: list[str]) -> None:
    assert tagging(recipe_of(*three).data) == Tagging(tasks={"up": None, "tagged": ";", "made": None})
    assert tagging(recipe_of().data) == Tagging()
