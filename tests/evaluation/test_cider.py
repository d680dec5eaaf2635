"""CIDEr-D: by hand, by brute force from the formula, and what must hold of it."""

from __future__ import annotations

import random
from math import exp, sqrt

import numpy as np
import pytest
from evaluation.text_scores import text_metrics

from seqcli import __version__
from seqcli.errors import DataError
from seqcli.evaluation.cider import cider_scores
from seqcli.evaluation.counting import count
from seqcli.evaluation.metrics import by_group, by_length

WORDS = ["a", "the", "dog", "cat", "man", "red", "blue", "runs", "sits", "on", "over", "grass", "table"]
SETTINGS = {"bleu_tokenize": "13a", "split": str.split, "one_word": False}


def brute_force(hypotheses: list[str], references: list[list[str]]) -> list[float]:
    """The paper's formula, written down with dense vectors over all n-grams of the corpus."""

    def grams(text: str, n: int) -> list[str]:
        words = text.split()
        return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]

    scores = []
    for hypothesis, accepted in zip(hypotheses, references, strict=True):
        total = 0.0
        for n in (1, 2, 3, 4):
            everything = sorted({g for text in [*hypotheses, *sum(references, [])] for g in grams(text, n)})
            df = np.array([sum(any(g in grams(text, n) for text in each) for each in references) for g in everything])
            idf = np.log(len(references) / np.maximum(df, 1))
            h = np.array([grams(hypothesis, n).count(g) for g in everything]) * idf
            for text in accepted:
                r = np.array([grams(text, n).count(g) for g in everything]) * idf
                if h.any() and r.any():
                    apart = len(hypothesis.split()) - len(text.split())
                    cosine = (np.minimum(h, r) @ r) / (np.linalg.norm(h) * np.linalg.norm(r))
                    total += 10 * exp(-(apart**2) / 72) * cosine / len(accepted)
        scores.append(total / 4)
    return scores


def corpus(items: int) -> tuple[list[str], list[list[str]]]:
    rng = random.Random(11)
    references = []
    for _ in range(items):
        words = rng.choices(WORDS, k=rng.randint(3, 9))
        references.append(
            [" ".join(rng.sample(words, k=len(words) - rng.randint(0, 2))) for _ in range(rng.randint(1, 4))]
        )
    hypotheses = [" ".join(w for w in rng.choice(each).split() if rng.random() > 0.2) for each in references]
    return hypotheses, references


def test_worked_by_hand() -> None:
    # Two items, so that a word of one alone weighs log(2/1) = log 2, and "a", which both have, log(2/2) = 0.
    # "a dog" against "a dog runs", weights in units of log 2: words h = (dog 1), r = (dog 1, runs 1), cosine 1/√2; bigrams
    # h = (a dog), r = (a dog, dog runs), 1/√2; trigrams and 4-grams none in h: 0. They differ by one word: e^(-1/72).
    # "a cat" against "a cat" and "a cat": 1 for words and bigrams, no longer ones, no penalty.
    found = cider_scores(["a dog", "a cat"], [["a dog runs"], ["a cat", "a cat"]])
    assert found[0] == pytest.approx(10 * exp(-1 / 72) * (1 / sqrt(2) + 1 / sqrt(2)) / 4)
    assert found[1] == pytest.approx(10 * (1 + 1) / 4)


def test_what_is_repeated_does_not_count_again() -> None:
    # "dog dog" is (dog 2) clipped to the 1 of "dog": min(2, 1) · 1 / (2 · 1) = ½ for words; the lengths differ by one.
    found = cider_scores(["dog dog", "x"], [["dog"], ["x"]])
    assert found[0] == pytest.approx(10 * exp(-1 / 72) * (1 / 2) / 4)


def test_by_brute_force() -> None:
    hypotheses, references = corpus(12)
    found = cider_scores(hypotheses, references)
    assert found.tolist() == pytest.approx(brute_force(hypotheses, references), abs=1e-12)
    assert 0 < found.min() < found.max() < 10


def test_identical_captions_are_worth_ten_where_they_say_something() -> None:
    captions = ["one two three four", "a b c d e", "p q r s t u"]
    assert cider_scores(captions, [[each, each] for each in captions]) == pytest.approx(10.0)
    assert cider_scores(["one", "b"], [["one"], ["b"]]) == pytest.approx(2.5)  # there are no longer n-grams
    assert cider_scores(captions, [["x"], ["y"], ["z"]]).tolist() == [0.0, 0.0, 0.0]
    assert cider_scores(["", "b"], [["one"], [""]]).tolist() == [0.0, 0.0]


def test_what_every_item_says_has_no_weight() -> None:
    assert cider_scores(["a b c d"], [["a b c d"]]).tolist() == [0.0]  # a corpus of one item: log(1/1) = 0
    assert cider_scores(["a b", "a b"], [["a b"], ["x a b"]])[0] == 0.0


def test_case_does_not_count_and_another_tokenizer_can_be_given() -> None:
    references = [["A Red Dog Runs"], ["x"]]
    assert cider_scores(["a red dog runs", "x"], references)[0] == pytest.approx(10.0)
    assert cider_scores(["a red dog runs", "x"], references, tokenize=str.split)[0] == 0.0
    letters = cider_scores(["abcd", "x"], [["abcd"], ["x"]], tokenize=list)
    assert letters.tolist() == pytest.approx([10.0, 2.5])


def test_the_metric_is_a_hundred_times_the_mean_as_papers_quote_it() -> None:
    hypotheses, references = corpus(20)
    each = cider_scores(hypotheses, references)
    found = text_metrics(["cider"], hypotheses, references, intervals=500, **SETTINGS)["cider"]  # type: ignore[arg-type]
    assert found.value == pytest.approx(100 * each.mean())
    settings = "case:lc|tok:whitespace|order:4|sigma:6|df:20"
    assert found.signature == f"nrefs:var|bs:500|seed:12345|{settings}|n:20|version:seqcli-{__version__}"
    # The mean of 20 scores of standard deviation s has a standard error of s/√20.
    assert found.interval
    assert found.interval[1] - found.interval[0] == pytest.approx(2 * 1.96 * 100 * each.std() / sqrt(20), rel=0.15)
    assert found.interval[0] < found.value < found.interval[1]


def test_broken_down_the_document_frequencies_stay_those_of_all_items() -> None:
    hypotheses, references = corpus(9)
    each = cider_scores(hypotheses, references)
    counts = count(["cider"], hypotheses, references, **SETTINGS)  # type: ignore[arg-type]
    groups = ["what", "", "what", "where", "what", "", "where", "what", "who"]
    found = by_group(counts, groups)
    assert [(one.group, one.count) for one in found] == [("what", 4), ("", 2), ("where", 2), ("who", 1)]
    for one in found:
        rows = [row for row, group in enumerate(groups) if group == one.group]
        assert one.metrics["cider"].value == pytest.approx(100 * each[rows].mean())
        assert f"|df:9|n:{one.count}|" in one.metrics["cider"].signature
    short, long = by_length(counts, [1, 9] * 4 + [1], [5])
    assert short.metrics["cider"].value == pytest.approx(100 * each[::2].mean())
    assert long.metrics["cider"].value == pytest.approx(100 * each[1::2].mean())


def test_groups_of_other_metrics_are_scored_as_if_alone() -> None:
    hypotheses, references = corpus(9)
    groups = ["b", "a", "b", "a", "c", "b", "a", "b", "a"]
    names = ["bleu", "bleu_1", "chrf", "ter", "wer", "exact_match", "vqa_accuracy"]
    counts = count(names, hypotheses, references, **SETTINGS)  # type: ignore[arg-type]
    found = by_group(counts, groups)
    assert [(one.group, one.count) for one in found] == [("a", 4), ("b", 4), ("c", 1)], "largest first, then by name"
    for one in found:
        rows = [row for row, group in enumerate(groups) if group == one.group]
        alone = text_metrics(
            names,
            [hypotheses[row] for row in rows],
            [references[row] for row in rows],
            **SETTINGS,  # type: ignore[arg-type]
        )
        assert {name: metric.value for name, metric in one.metrics.items()} == pytest.approx(
            {name: metric.value for name, metric in alone.items()}
        )
    with pytest.raises(DataError, match="9 hypotheses, but the lengths of 1 sources"):
        by_length(counts, [1], [5])
    with pytest.raises(DataError, match="9 hypotheses, but the groups of 1 items"):
        by_group(counts, ["a"])
