from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from evaluation.text_scores import text_metrics
from sacrebleu.metrics.bleu import BLEU

from seqcli import __version__
from seqcli.errors import DataError
from seqcli.evaluation.counting import count
from seqcli.evaluation.metrics import (
    HIGHER_IS_BETTER,
    LOWER_IS_BETTER,
    TEXT_METRICS,
    by_length,
    higher_is_better,
    is_better,
    worth,
)
from seqcli.types import Metric

Pairs = tuple[list[str], list[str]]


def score(names: list[str], hypotheses: list[str], references: list[str], **settings: object) -> dict[str, Metric]:
    return text_metrics(
        names,
        hypotheses,
        [[reference] for reference in references],
        **{"bleu_tokenize": "13a", "split": str.split, "one_word": False, **settings},  # type: ignore[arg-type]
    )


def perturbed(line: str, rng: random.Random) -> str:
    """The line with some words lost and some replaced by another of its words."""
    words = line.split()
    return " ".join(word if rng.random() > 0.2 else rng.choice(words) for word in words if rng.random() > 0.1)


@pytest.fixture(scope="module")
def translations(shared_data: Path) -> Pairs:
    references = (shared_data / "multi30k" / "test_2016_flickr.tok.de").read_text(encoding="utf-8").splitlines()
    rng = random.Random(7)
    return [perturbed(line, rng) for line in references], references


@pytest.mark.parametrize(
    ("name", "tokenize"), [("bleu", "13a"), ("bleu", "none"), ("bleu", "char"), ("chrf", "13a"), ("ter", "13a")]
)
def test_the_same_figure_and_signature_as_the_sacrebleu_command(
    name: str, tokenize: str, translations: Pairs, tmp_path: Path
) -> None:
    hypotheses, references = translations
    assert len(references) == 1000
    for side, lines in (("hypotheses", hypotheses), ("references", references)):
        (tmp_path / side).write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = shutil.which("sacrebleu", path=str(Path(sys.executable).parent))
    assert command
    files = [str(tmp_path / "references"), "-i", str(tmp_path / "hypotheses")]
    printed = subprocess.run(
        [command, *files, "-m", name, "--tokenize", tokenize, "--force", "-w", "6", "-f", "text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    signature, value = printed.split(" = ")[0].partition("|")[2], float(printed.split(" = ")[1].split()[0])
    metric = score([name], hypotheses, references, bleu_tokenize=tokenize)[name]
    assert metric.value == pytest.approx(value, abs=1e-6)
    assert metric.signature == signature


def test_half_an_interval_is_what_sacrebleu_calls_plus_minus(
    translations: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypotheses, references = (side[:200] for side in translations)
    monkeypatch.setenv("SACREBLEU_SEED", "5")
    bleu = BLEU(force=True)
    theirs = bleu.corpus_score(hypotheses, [references], n_bootstrap=200)
    ours = score(["bleu"], hypotheses, references, intervals=200, seed=5)["bleu"]
    assert ours.interval
    assert (ours.interval[1] - ours.interval[0]) / 2 == pytest.approx(theirs._ci, abs=1e-4)  # theirs counts in float32
    assert ours.signature == str(bleu.get_signature())


def test_tokenised_full_stops_are_worth_no_warning(translations: Pairs, capfd: pytest.CaptureFixture[str]) -> None:
    assert sum(line.endswith(" .") for line in translations[1]) > 100  # sacrebleu would warn
    score(["bleu"], translations[1], translations[1])
    assert capfd.readouterr().err == ""


def test_every_interval_holds_its_value_and_shrinks_as_items_grow(translations: Pairs) -> None:
    hypotheses, references = translations
    few = score([*TEXT_METRICS], hypotheses[:100], references[:100], intervals=200)
    many = score([*TEXT_METRICS], hypotheses, references, intervals=200)
    assert len(many) == 13
    for name in TEXT_METRICS:
        widths = []
        for metric in (few[name], many[name]):
            assert metric.interval
            low, high = metric.interval
            assert low <= metric.value <= high
            widths.append(high - low)
        assert 0 < widths[1] < widths[0]
        assert "bs:200|seed:12345" in many[name].signature
    assert many == score([*TEXT_METRICS], hypotheses, references, intervals=200)


def test_error_rates_worked_by_hand() -> None:
    # "a x c" has 1 of the 3 words of "a b c" wrong, "d e" has 1 more than "d", "f" is right: 2 edits on 3 + 1 + 1 words.
    # In characters 1 substitution, then " e" too many: 3 edits on 5 + 1 + 1 characters.
    found = score(["wer", "per", "cer", "exact_match"], ["a x c", "d e", "f"], ["a b c", "d", "f"])
    assert found["wer"].value == pytest.approx(100 * 2 / 5)
    assert found["per"].value == found["wer"].value
    assert found["cer"].value == pytest.approx(100 * 3 / 7)
    assert found["exact_match"].value == pytest.approx(100 / 3)
    assert found["wer"].signature == f"nrefs:1|unit:word|n:3|version:seqcli-{__version__}"


def test_the_symbols_of_one_word_make_one_word() -> None:
    found = score(["wer", "per"], ["k a t", "d ɔ k", "f i ʃ ə"], ["k a t", "d ɔ g", "f i ʃ"], one_word=True)
    assert found["wer"].value == pytest.approx(100 * 2 / 3)
    assert found["per"].value == pytest.approx(100 * 2 / 9)
    assert "unit:item" in found["wer"].signature


def test_per_counts_what_split_gives() -> None:
    found = score(["per"], ["çeçe"], ["çene"], split=list)
    assert found["per"].value == pytest.approx(25.0)


def test_against_nothing_any_error_is_a_hundred() -> None:
    assert score(["wer"], ["a b"], [""])["wer"].value == 100.0
    assert score(["wer"], [""], [""])["wer"].value == 0.0
    assert score(["bleu", "chrf", "ter"], ["", "a"], ["", "a"])["ter"].value == 0.0


def test_sides_of_different_length_or_of_none_are_refused() -> None:
    with pytest.raises(DataError, match="2 hypotheses cannot be scored against 1 references"):
        score(["bleu"], ["a", "b"], ["a"])
    with pytest.raises(DataError, match="nothing to score"):
        score(["bleu"], [], [])
    with pytest.raises(ValueError, match="'loss' is not one of the metrics of texts"):
        score(["loss"], ["a"], ["a"])


def test_short_and_long_sources_apart_are_the_same_items() -> None:
    hypotheses, references, lengths = ["a", "b x", "c", "d d d"], ["a", "b y", "z", "d d d"], [1, 5, 6, 11]
    accepted = [[reference] for reference in references]
    counts = count(["wer"], hypotheses, accepted, bleu_tokenize="13a", split=str.split, one_word=False)
    buckets = by_length(counts, lengths, [5, 10, 20])
    assert [(each.low, each.high, each.count) for each in buckets] == [(0, 5, 2), (6, 10, 1), (11, 20, 1)]
    for bucket in buckets:
        rows = [row for row, length in enumerate(lengths) if bucket.low <= length <= (bucket.high or math.inf)]
        alone = score(["wer"], [hypotheses[row] for row in rows], [references[row] for row in rows])
        assert bucket.metrics == alone
    open_ended = by_length(counts, lengths, [5])
    assert [(each.low, each.high, each.count) for each in open_ended] == [(0, 5, 2), (6, None, 2)]


def test_every_metric_of_a_recipe_has_a_better_end() -> None:
    from seqcli.recipe.section import MetricName

    assert {*HIGHER_IS_BETTER, *LOWER_IS_BETTER} == set(get_args(MetricName))
    assert set(TEXT_METRICS) < set(get_args(MetricName))
    assert higher_is_better("bleu")
    assert not higher_is_better("loss")
    with pytest.raises(ValueError, match="rouge"):
        higher_is_better("rouge")


def test_better_is_strictly_better() -> None:
    assert is_better("loss", 1.0, 2.0)
    assert is_better("bleu", 2.0, 1.0)
    assert not is_better("bleu", 1.0, 1.0)
    assert not is_better("loss", math.nan, 9.0)
    assert is_better("bleu", 0.0, math.nan)


def test_the_bootstrap_of_a_share_has_the_width_that_theory_gives() -> None:
    # The share of a hundred right items out of 400 has a standard error of √(p(1-p)/n) = √(.25·.75/400) = 2.165 points.
    hypotheses = ["right"] * 100 + ["wrong"] * 300
    metric = score(["exact_match"], hypotheses, ["right"] * 400, intervals=2000)["exact_match"]
    assert metric.interval
    assert metric.interval[1] - metric.interval[0] == pytest.approx(2 * 1.96 * 2.165, rel=0.1)


def test_what_a_score_is_worth() -> None:
    assert worth("bleu", 30.0) > worth("bleu", 20.0)
    assert worth("loss", 1.0) > worth("loss", 2.0)
    assert worth("bleu", math.nan) == worth("loss", math.nan) == -math.inf
