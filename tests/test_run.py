"""A run directory from Python: `seqcli.load(run)`, wherever the directory lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import seqcli
from seqcli.errors import DataError, RecipeError, SeqcliError
from seqcli.run import find_checkpoint


@pytest.fixture
def run(copy_run: Path) -> seqcli.Run:
    return seqcli.load(copy_run)


def test_translate(run: seqcli.Run) -> None:
    texts = ["abcd", "", "  ", "dd", "c"]
    assert run.translate(texts) == ["abcd", "", "", "dd", "c"]
    assert run.translate(texts, beam_size=3) == ["abcd", "", "", "dd", "c"]
    assert run.translate([]) == []


def test_evaluate(run: seqcli.Run) -> None:
    result = run.evaluate("validation", metrics=["exact_match", "loss"], intervals=100)
    assert list(result.metrics) == ["exact_match", "loss"]
    assert result.metrics["exact_match"].value > 90
    assert result.metrics["exact_match"].interval is not None
    assert len(result.hypotheses) == len(result.examples) == 100
    right = sum(text == example.target for text, example in zip(result.hypotheses, result.examples, strict=True))
    assert right == result.metrics["exact_match"].value


def test_attention(run: seqcli.Run) -> None:
    own, given = run.attention(["abcd", "ab"])[0], run.attention(["abcd"], ["dcba"])[0]
    assert own.source == ("a", "b", "c", "d", "</s>")
    assert own.target == ("a", "b", "c", "d", "</s>")
    assert given.target == ("d", "c", "b", "a", "</s>")
    assert own.mean.shape == (5, 5)
    np.testing.assert_allclose(own.mean.sum(axis=1), 1, atol=1e-5)
    # who copies looks at what is copied
    assert own.mean[:4].argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_targets_must_match_the_texts(run: seqcli.Run) -> None:
    with pytest.raises(DataError, match="2 sources, but 1 targets"):
        run.attention(["ab", "cd"], ["ab"])


def test_a_moved_run_is_the_same_run(
    run_files: set[str], copy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied elsewhere, with nothing else there, not even the cache."""
    moved = tmp_path / "mailed" / "run"
    shutil.copytree(copy_run, moved)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "cache"))
    assert seqcli.load("mailed/run").translate(["abcd", "dab"]) == seqcli.load(copy_run).translate(["abcd", "dab"])
    # a short list is kept by whoever asked the shared run for one
    assert {path.name for path in moved.iterdir()} - {"shortlist.npz"} == run_files
    for file in moved.rglob("*.*"):
        if file.is_file():
            assert str(copy_run).encode() not in file.read_bytes(), f"{file} names the folder it was made in"


def test_overrides_and_checkpoints(copy_run: Path) -> None:
    run = seqcli.load(copy_run, ["search.beam_size=4", "search.max_length=2"], checkpoint="best")
    assert run.settings().beam_size == 4
    assert run.checkpoint == copy_run / "checkpoints" / "best"
    assert run.translate(["abcd"]) == ["ab"]


@pytest.mark.parametrize(
    ("wanted", "found"), [("auto", "average"), ("last", "step-00000150"), ("100", "step-00000100"), ("150", None)]
)
def test_which_checkpoint(copy_run: Path, wanted: str, found: str | None) -> None:
    assert seqcli.load(copy_run, checkpoint=wanted).checkpoint.name == (found or "step-00000150")


def test_what_is_not_there(copy_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is no run directory"):
        seqcli.load(tmp_path)
    with pytest.raises(SeqcliError, match="there are: average, best, step-00000100, step-00000150"):
        seqcli.load(copy_run, checkpoint="7")
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        seqcli.laod  # noqa: B018


def test_weights_of_another_model_are_refused(copy_run: Path, tmp_path: Path) -> None:
    shutil.copytree(copy_run, tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("hidden_size: 24", "hidden_size: 20"))
    with pytest.raises(RecipeError, match="dot compares vectors of one width"):
        seqcli.load(tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("hidden_size: 48", "hidden_size: 40"))
    with pytest.raises(SeqcliError, match="does not fit the recipe's model"):
        seqcli.load(tmp_path / "run")


def test_the_answer_does_not_depend_on_company(run: seqcli.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, with others, and where long lines are translated in smaller bunches."""
    texts = ["abcd", "d", "abba", "cc", "dcba" * 3, "a"] * 5
    together = run.translate(texts)
    assert together == [run.translate([text])[0] for text in texts]
    monkeypatch.setattr("seqcli.evaluation.reader.BATCH_SYMBOLS", 16)
    assert run.translate(texts) == together


def test_a_checkpoint_that_is_being_replaced_is_found_and_left_where_it_is(copy_run: Path, tmp_path: Path) -> None:
    """A run that trains may be between two renames while another process reads it."""
    shutil.copytree(copy_run / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "best").rename(tmp_path / "checkpoints" / ".best.before")
    assert find_checkpoint(tmp_path / "checkpoints", "best").name == ".best.before"
    assert not (tmp_path / "checkpoints" / "best").exists()
