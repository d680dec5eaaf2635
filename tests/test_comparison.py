from __future__ import annotations

from pathlib import Path

import pytest

import seqcli
from seqcli.comparison import compare, recipe_differences, refuse_other_data
from seqcli.errors import DataError, RecipeError
from seqcli.evaluation.comparison import paired_tests


def test_what_differs_by_key() -> None:
    one = {"run": "a", "seed": 1, "model": {"encoder": {"kind": "gru", "hidden_size": 8}, "tie": False}}
    other = {"run": "b", "seed": 2, "model": {"encoder": {"kind": "conv", "channels": [4, 8]}, "tie": False}}
    assert recipe_differences({"one": one, "other": other}) == {
        "seed": {"one": 1, "other": 2},
        "model.encoder.kind": {"one": "gru", "other": "conv"},
        "model.encoder.hidden_size": {"one": 8},
        "model.encoder.channels": {"other": [4, 8]},
    }
    assert recipe_differences({"one": one, "again": {**one, "run": "elsewhere"}}) == {}


def test_scores_are_those_of_each_run_and_tests_those_of_their_counts(copy_run: Path, early_run: Path) -> None:
    runs = [seqcli.load(copy_run), seqcli.load(early_run)]
    found = compare(runs, metrics=["chrf", "exact_match", "loss"], resamples=100, trials=100, seed=3)
    assert found.names == [str(copy_run), str(early_run)]
    for run, evaluation in zip(runs, found.evaluations, strict=True):
        alone = run.evaluate("test", metrics=["chrf", "exact_match", "loss"], intervals=100, seed=3)
        assert evaluation.metrics == alone.metrics
    one, other = (evaluation.counts for evaluation in found.evaluations)
    assert found.tests == {str(early_run): paired_tests(one, other, resamples=100, trials=100, seed=3)}
    assert [test.metric for test in found.tests[str(early_run)]] == ["chrf", "exact_match"], "loss has no sentences"
    assert found.recipe == {
        "seed": {str(copy_run): 1, str(early_run): 2},
        "training.steps": {str(copy_run): 150, str(early_run): 60},
    }
    moved = found.moved("chrf", 3)
    assert len(moved) == 3
    for each in moved:
        row = each.number - 1
        assert each.outputs == tuple(evaluation.hypotheses[row] for evaluation in found.evaluations)
        assert each.references == found.evaluations[0].references[row]
    assert abs(moved[0].difference) >= abs(moved[-1].difference) > 0


def test_one_run_or_the_same_twice_is_nothing_to_compare(copy_run: Path) -> None:
    run = seqcli.load(copy_run)
    with pytest.raises(RecipeError, match="two runs or more"):
        compare([run])
    with pytest.raises(RecipeError, match="is given twice"):
        compare([run, seqcli.load(copy_run)])


@pytest.mark.parametrize("shorter", [False, True])
def test_other_test_data_is_refused_before_anything_is_translated(
    copy_run: Path, early_run: Path, shorter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seqcli.Run, "evaluate", lambda *_, **__: pytest.fail("it was translated"))
    run, other = seqcli.load(copy_run), seqcli.load(early_run, [] if shorter else ["data.seed=9"])
    told = "have different test data: their example 1 is"
    if shorter:
        some = other.corpus("test").first(30)
        monkeypatch.setattr(other, "corpus", lambda split: some)
        told = f"have different test data: {early_run} has 30 examples, {copy_run} has more"
    with pytest.raises(DataError, match=told) as raised:
        compare([run, other])
    assert "\n" not in str(raised.value)


def test_references_in_another_form_are_refused(copy_run: Path, early_run: Path) -> None:
    runs = [seqcli.load(copy_run), seqcli.load(early_run)]
    tokenizer = runs[1].translator.target_tokenizer
    normalizer = type("Upper", (), {"readable": staticmethod(str.upper)})()
    shouting = type("Shouting", (), {"normalizer": normalizer, "digest": tokenizer.digest})()
    runs[1].translator.target_tokenizer = shouting
    with pytest.raises(DataError, match="into different forms"):
        refuse_other_data(runs, "test")


def test_a_metric_that_counts_different_things_is_refused(copy_run: Path, early_run: Path) -> None:
    runs = [seqcli.load(copy_run), seqcli.load(early_run, ["evaluation.bleu_tokenize=char"])]
    with pytest.raises(RecipeError, match="bleu counts different things"):
        compare(runs, metrics=["bleu"], resamples=40, trials=10)
