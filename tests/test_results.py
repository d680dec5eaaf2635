"""docs/results.md: what its rows are, how it is made of what was measured, and that measuring goes on where it stopped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seqcli.build.data import open_split
from seqcli.errors import SeqcliError
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.load import load_recipe
from seqcli.recipe.shipped import shipped_recipes

REPOSITORY = Path(__file__).resolve().parent.parent


def load_script() -> ModuleType:
    """scripts/make_results.py as a module."""
    spec = spec_from_file_location("make_results", REPOSITORY / "scripts" / "make_results.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # where dataclasses look up the names in their annotations
    sys.modules["make_results"] = module
    spec.loader.exec_module(module)
    return module


results = load_script()
ROWS = pytest.mark.parametrize("row", results.RESULTS, ids=[row.label for row in results.RESULTS])
ICE = next(row for row in results.RESULTS if row.label == "g2p-ice")
HISTNORM = next(row for row in results.RESULTS if row.label == "histnorm-1000")


# The rows


def test_there_are_rows_of_every_group_each_with_a_name_of_its_own() -> None:
    labels = [row.label for row in results.RESULTS]
    assert len(labels) == len(set(labels)) >= 12
    assert list(dict.fromkeys(row.group for row in results.RESULTS)) == list(results.GROUPS)
    for name in results.GROUPS:
        assert len({row.metric for row in results.RESULTS if row.group == name}) == 1, "a table has one metric"


@ROWS
def test_a_row_is_a_valid_shipped_recipe_with_a_published_figure_and_its_source(row: Any) -> None:
    assert row.recipe in shipped_recipes()
    recipe = row.resolved("/some folder: with, letters")
    assert row.metric in recipe.evaluation.metrics
    assert row.published.system
    assert re.search(r"\b20\d\d\b|github\.com/\w+", row.published.source)
    assert 0 < row.published.value <= 100
    assert len(set(row.seeds)) == len(row.seeds) > row.ensemble


@ROWS
def test_the_test_set_is_nothing_but_the_test_set(row: Any) -> None:
    tests = {file for key, file in row.files.items() if key.startswith("data.test")}
    others = {file for key, file in row.files.items() if not key.startswith("data.test")}
    assert tests
    assert others
    assert not tests & others
    assert all("test" in file for file in tests)
    assert not any("test" in file for file in others)


def test_multi30k_is_searched_greedily_on_files_that_are_tokenised_already() -> None:
    recipe = next(row for row in results.RESULTS if row.group == "multi30k").resolved()
    assert recipe.search.beam_size == 1
    assert recipe.evaluation.bleu_tokenize == "none"
    assert recipe.data.train.source == "$SEQCLI_TEST_DATA/multi30k/train.tok.de"
    assert recipe.data.train.target == "$SEQCLI_TEST_DATA/multi30k/train.tok.en"


def test_the_tiny_transformer_goes_the_other_way_and_is_searched_as_published() -> None:
    recipe = next(row for row in results.RESULTS if row.label == "multi30k-tiny").resolved()
    assert recipe.search.beam_size == 5
    assert recipe.evaluation.bleu_tokenize == "none"
    assert recipe.data.train.source == "$SEQCLI_TEST_DATA/multi30k/train.tok.en"
    assert recipe.data.test.target == "$SEQCLI_TEST_DATA/multi30k/test_2016_flickr.tok.de"


@ROWS
def test_the_files_of_a_row_are_read(row: Any, shared_data: Path) -> None:
    recipe = row.resolved(str(shared_data))
    for key, file in row.files.items():
        assert (shared_data / file).is_file(), key
    for split in ("train", "validation"):
        corpus = open_split(recipe.data, split)  # type: ignore[arg-type]
        if corpus is not None:
            first = next(corpus.read())
            assert first.source
            assert first.target
    train = open_split(recipe.data, "train")
    if recipe.data.limit:
        assert train is not None
        assert sum(1 for _ in train.read()) == recipe.data.limit


# The digest


@pytest.mark.parametrize(
    "same", ["seed=7", "run=elsewhere", "threads=2", "device=cpu", "data.test=other.tsv", "data.limit=null"]
)
def test_where_and_with_which_seed_a_recipe_is_trained_changes_no_digest(same: str) -> None:
    assert results.digest(ICE.resolved("/data", same)) == results.digest(ICE.resolved())


@pytest.mark.parametrize(
    "other",
    [
        "model.dropout=0.41",
        "model.decoder.attention.reach=4",
        "data.limit=100",
        "search.beam_size=2",
        "training.steps=4001",
    ],
)
def test_what_is_learnt_and_how_it_is_written_changes_the_digest(other: str) -> None:
    assert results.digest(ICE.resolved("/data", other)) != results.digest(ICE.resolved())


# The page


def record(row: Any, *seeds: int, value: float, older: bool = False) -> dict[str, Any]:
    """A record as `measure` makes it."""
    return {
        "label": row.label,
        "seeds": list(seeds),
        "digest": "older" if older else results.digest(row.resolved()),
        "metric": row.metric,
        "commit": "abc1234",
        "processor": "A Processor",
        "threads": 2,
        "device": "cpu",
        "parameters": 1234567,
        "seconds": 200 * seeds[0],
        "validation": 1.0,
        "test": {"value": value, "signature": "a|signature", "interval": [value - 7, value + 8]},
    }


def cells(row: Any, *records: dict[str, Any]) -> dict[str, str]:
    """A row of the page by the heads of its table."""
    page = results.rendered(results.Store(Path("none"), list(records)), [row])
    head, _, line = (line for line in page.splitlines() if line.startswith("|"))
    names, values = ([cell.strip() for cell in one.strip("|").split("|")] for one in (head, line))
    return dict(zip(names, values, strict=True))


def test_several_seeds_have_mean_and_standard_deviation() -> None:
    runs = [record(ICE, seed, value=value) for seed, value in ((1, 20.0), (2, 22.0), (3, 27.0))]
    shown = cells(ICE, *runs, record(ICE, 1, 2, 3, value=19.0))
    # the mean is 23, the squares of what is left 9, 1 and 16, and their sum over n - 1 is 13
    assert shown["WER ↓"] == "23.0 ± 3.6"
    assert shown["together"] == "19.0 (12.0–27.0)"
    assert shown["seeds"] == "1, 2, 3"
    assert shown["parameters"] == "1,234,567"
    assert shown["training"] == "7 min"
    assert shown["published"] == "LSTM with attention: 22"
    assert shown["reached"] == "no, 1.0 short"


def test_one_seed_has_its_interval_and_those_that_are_missing_are_named() -> None:
    shown = cells(ICE, record(ICE, 2, value=21.0))
    assert shown["WER ↓"] == "21.0 (14.0–29.0)"
    assert shown["seeds"] == "2 (not yet 1, 3)"
    assert shown["together"] == "–"
    assert shown["reached"] == "yes"


def test_what_is_not_measured_says_so() -> None:
    shown = cells(ICE, record(HISTNORM, 1, value=50.0))
    assert shown["WER ↓"] == "not measured"
    assert shown["seeds"] == "1, 2, 3"
    assert {shown[name] for name in ("parameters", "training", "together", "reached")} == {"–"}


def test_what_was_measured_with_an_older_recipe_is_marked_until_there_is_something_newer() -> None:
    older = [record(ICE, seed, value=40.0, older=True) for seed in (1, 2)]
    together = record(ICE, 1, 2, 3, value=39.0, older=True)
    shown = cells(ICE, *older, together)
    assert shown["WER ↓"] == "40.0 ± 0.0 †"
    assert shown["together"] == "39.0 (32.0–47.0) †"
    shown = cells(ICE, *older, together, record(ICE, 3, value=21.0))
    assert shown["WER ↓"] == "21.0 (14.0–29.0)"
    assert shown["seeds"] == "3 (not yet 1, 2)"
    assert shown["together"].endswith("†")


@pytest.mark.parametrize(
    ("value", "reached"),
    [(60.54, "no, 0.1 short of the range"), (60.6, "within"), (65.24, "within"), (65.26, "yes"), (70.0, "yes")],
)
def test_of_a_published_range_both_ends_count(value: float, reached: str) -> None:
    shown = cells(HISTNORM, record(HISTNORM, 1, value=value))
    assert shown["reached"] == reached
    assert shown["published"].endswith("60.6–65.3")


def test_below_a_table_stand_its_notes_sources_command_machine_and_signature() -> None:
    page = results.rendered(results.Store(Path("none"), [record(ICE, 1, value=21.0)]))
    part = page.split("\n## ")[1]
    assert part.startswith("Grapheme to phoneme\n")
    assert "- g2p-fre, g2p-hun, g2p-kor: The published figure is of ten models together." in part
    assert f"- Published (g2p-ice): {ICE.published.source}." in part
    assert "`make results RESULTS=g2p`" in part
    assert "- Made on A Processor, 2 threads; commit `abc1234`. Signature: `a|signature`." in part
    assert page.count("- Made on ") == 1


def test_the_page_is_what_the_records_and_the_list_make_of_it() -> None:
    store = results.Store.read(REPOSITORY / "docs" / "results.json")
    page = (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")
    assert page == results.rendered(store), "run `python scripts/make_results.py --render`"
    labels = {row.label for row in results.RESULTS}
    assert all(one["label"] in labels for one in store.records), "a record of no row"
    assert not re.search(r"(?<![\w.$A-Z])/(work|home|root|Users)/", json.dumps(store.records))


# Measuring


class Stub:
    """In the place of `seqcli`: training copies a run that is there, and scores are made up. It ends as an interrupted training does before the
    call that `stops_at` names."""

    def __init__(self, run: Path) -> None:
        self.run, self.calls, self.stops_at = run, list[str](), ""

    def __call__(self, arguments: list[str]) -> str:
        command, first, *others = arguments
        words = [one.removeprefix("run=") for one in others if not one.startswith(("model", "data", "training"))]
        told = " ".join([command, *(Path(word).name if "/" in word else word for word in [first, *words])])
        if self.stops_at and told.startswith(self.stops_at):
            raise SystemExit("ended with 130")
        self.calls.append(told)
        if command == "eval":
            metric = {"value": 90.0 + len(self.calls), "signature": "made up", "interval": [80.0, 99.0]}
            return json.dumps({"split": "test", "metrics": {"exact_match": metric, "wer": metric}})
        recipe = load_recipe(first, others)
        shutil.copytree(self.run, recipe.run, dirs_exist_ok=True)
        (Path(recipe.run) / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
        return ""


@pytest.fixture
def stub(copy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    monkeypatch.chdir(tmp_path)
    return Stub(copy_run)


@pytest.fixture
def row(tiny: tuple[str, ...]) -> Any:
    """A row of `copy_run`."""
    published = results.Published("nobody", 99.0, "nowhere")
    return replace(
        ICE, label="copied", recipe="copy", files={}, metric="exact_match", published=published, overrides=tiny
    )


def training(seed: int) -> str:
    return f"train copy threads=1 seed={seed} copied-{seed}"


def scoring(seed: int, *others: int) -> str:
    together = "".join(f" --ensemble copied-{other}" for other in others)
    return f"eval copied-{seed}{together} --split test --json"


def test_measuring_goes_on_where_it_stopped_and_leaves_out_what_is_known(row: Any, stub: Stub, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    stub.stops_at = "train copy threads=1 seed=2"
    with pytest.raises(SystemExit):
        results.measure(row, tmp_path, results.Store.read(path), stub)
    assert stub.calls == [training(1), scoring(1)]
    assert [one["seeds"] for one in results.Store.read(path).records] == [[1]]

    stub.stops_at, stub.calls = "eval copied-3", []
    with pytest.raises(SystemExit):
        results.measure(row, tmp_path, results.Store.read(path), stub)
    assert stub.calls == [training(2), scoring(2), training(3)]

    stub.stops_at, stub.calls = "", []
    results.measure(row, tmp_path, results.Store.read(path), stub)
    assert stub.calls[:2] == [training(3), scoring(3)]
    assert sorted(stub.calls[2:4]) == [training(1), training(2)]
    assert stub.calls[4:] == [scoring(1, 2, 3)]
    store = results.Store.read(path)
    assert [one["seeds"] for one in store.records] == [[1], [2], [3], [1, 2, 3]]

    stub.calls = []
    results.measure(row, tmp_path, store, stub)
    assert stub.calls == []
    results.measure(row, tmp_path, store, stub, again=True)
    assert stub.calls.count(scoring(1, 2, 3)) == 1
    assert len(store.records) == 4


def test_a_record_says_what_was_measured_with_what_and_not_where(row: Any, stub: Stub, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    path = tmp_path / "results.json"
    files = {"evaluation.bleu_tokenize": "13a"}
    results.measure(replace(row, seeds=(1,), ensemble=False), tmp_path, results.Store(path), stub)
    [kept] = json.loads(path.read_text())
    weights = load_file(stub.run / "checkpoints" / "best" / "model.safetensors")
    environment = json.loads((stub.run / "environment.json").read_text())
    records = [json.loads(line) for line in (stub.run / "metrics.jsonl").read_text().splitlines()]
    assert kept["seconds"] == round(sum(one["seconds"] for one in records if one["event"] == "train"))
    assert (kept["processor"], kept["threads"]) == (environment["processor"], torch.get_num_threads())
    assert kept["test"] == {"value": 92.0, "signature": "made up", "interval": [80.0, 99.0]}
    assert kept["validation"] is None
    assert kept["parameters"] == sum(one.numel() for one in weights.values())
    assert replace(row, files=files).told()[-1] == "evaluation.bleu_tokenize=$SEQCLI_TEST_DATA/13a"
    assert str(tmp_path) not in path.read_text()


def test_a_run_of_an_older_recipe_is_laid_aside_and_trained_anew(row: Any, stub: Stub, tmp_path: Path) -> None:
    store = results.Store(tmp_path / "results.json")
    once = replace(row, seeds=(1,), ensemble=False)
    results.measure(once, tmp_path, store, stub)
    for number, override in enumerate(("training.clip_norm=2.0", "search.beam_size=7"), start=1):
        stub.calls = []
        changed = replace(once, overrides=(*once.overrides, override))
        results.measure(changed, tmp_path, store, stub)
        assert len(stub.calls) == 2
        assert (results.RUNS / f"copied-1-older-{number}" / "recipe.yaml").is_file()
    assert len(store.records) == 1
    assert store.records[0]["digest"] == results.digest(changed.resolved())


def test_a_commit_is_dirty_where_code_or_recipes_differ_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        told = subprocess.run(["git", "-C", tmp_path, *who, *arguments], capture_output=True, text=True, check=True)
        return told.stdout.strip()

    for name in ("seqcli", "recipes", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("first")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    commit = git("rev-parse", "--short", "HEAD")
    monkeypatch.setattr(results, "REPOSITORY", tmp_path)
    (tmp_path / "docs" / "file").write_text("second")
    assert results.commit_of_code(f"{commit}-dirty") == commit
    (tmp_path / "recipes" / "file").write_text("second")
    assert results.commit_of_code(f"{commit}-dirty") == f"{commit}-dirty"
    assert results.commit_of_code("0000000-dirty") == "0000000-dirty"
    assert results.commit_of_code(commit) == commit
    assert results.commit_of_code(None) is None


def test_both_splits_are_scored_where_there_are_two_the_test_split_last(stub: Stub) -> None:
    found = results.scored(ICE, [1, 3], stub)
    assert stub.calls == [
        "eval g2p-ice-1 --ensemble g2p-ice-3 --split validation --json",
        "eval g2p-ice-1 --ensemble g2p-ice-3 --split test --json",
    ]
    assert found["validation"] == 91.0
    assert found["test"]["value"] == 92.0


def test_a_command_that_ends_badly_ends_it_all_with_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^seqcli recipe validate nowhere ended with 2; .* goes on from there$"):
        results.call_seqcli(["recipe", "validate", "nowhere"])
    assert "there is no such recipe" in capfd.readouterr().err


# What is refused


@pytest.mark.parametrize(
    ("words", "folder", "told"),
    [
        ((), None, "SEQCLI_TEST_DATA is not set; set it to the folder"),
        ((), "nowhere", "SEQCLI_TEST_DATA names nowhere, which is no folder; set it"),
        (("inflection",), ".", r"lacks inflection/turkish_train-medium.tsv, .*; put them there"),
        (("g2p", "glass"), ".", "^glass: there is no such group or row; groups are g2p, inflection"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence_before_anything_is_done(
    words: tuple[str, ...], folder: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["make_results.py", *words])
    monkeypatch.setattr(results, "call_seqcli", lambda arguments: pytest.fail("it is called"))
    monkeypatch.setattr(results, "write_file", lambda path, content: pytest.fail("it is written"))
    if folder is None:
        monkeypatch.delenv("SEQCLI_TEST_DATA", raising=False)
    else:
        monkeypatch.setenv("SEQCLI_TEST_DATA", folder)
    with pytest.raises(SystemExit, match=told) as ended:
        results.main()
    assert "\n" not in str(ended.value)


def test_rows_are_chosen_by_group_and_by_label() -> None:
    chosen = [row.label for row in results.chosen(["scan-rnn", "histnorm"])]
    assert chosen == ["histnorm-1000", "histnorm-5000", "scan-rnn"]
    assert results.chosen([]) == list(results.RESULTS)


def test_damaged_records_are_told(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("[{")
    with pytest.raises(SeqcliError, match=r"results.json is damaged .*; take it from git again"):
        results.Store.read(tmp_path / "results.json")
