"""Scores by length: buckets and scores counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seqcli.analysis.lengths import length_edges, length_scores, source_lengths
from seqcli.data.vocabulary import learn_characters
from seqcli.errors import DataError
from seqcli.evaluation.counting import Counts, count
from seqcli.symbols import Example

# length 1: right; 2: right, wrong; 3: wrong; 7: right, right
LENGTHS = [1, 2, 2, 3, 7, 7]
RIGHT = [1, 1, 0, 0, 1, 1]


def exact(right: list[int]) -> Counts:
    hypotheses = ["x" if each else "y" for each in right]
    return count(["exact_match"], hypotheses, [["x"]] * len(right), bleu_tokenize="13a", split=list, one_word=False)[
        "exact_match"
    ]


def test_buckets_by_hand() -> None:
    found = length_scores([exact(RIGHT)], LENGTHS, [2, 4, 6], resamples=200)
    # 1–2: 2 of 3; 3–4: 0 of 1; 5–6 has the longer ones too, up to 7: 2 of 2
    assert [(each.low, each.high, each.count) for each in found] == [(1, 2, 3), (3, 4, 1), (5, 7, 2)]
    assert [each.value for each in found] == pytest.approx([200 / 3, 0, 100])
    assert [each.mean_length for each in found] == pytest.approx([5 / 3, 3, 7])
    assert sum(each.count for each in found) == len(LENGTHS)
    assert found[0].interval == (0, 100), (
        "of three draws of three that are 2 in 3 right, some are all wrong, some all right"
    )
    assert found[1].interval == (0, 0)


def test_a_bucket_without_sentences_is_left_out() -> None:
    found = length_scores([exact(RIGHT)], LENGTHS, [3, 5, 7], resamples=20)
    assert [(each.low, each.high) for each in found] == [(1, 3), (6, 7)]


def test_several_runs_are_their_mean_and_each_is_kept() -> None:
    found = length_scores([exact(RIGHT), exact([0] * 6)], LENGTHS, [7], resamples=400)
    assert found[0].runs == pytest.approx((400 / 6, 0))
    assert found[0].value == pytest.approx(200 / 6)
    # one run of the two is always 0, so the mean is half of the other
    assert found[0].interval == pytest.approx(
        [bound / 2 for bound in length_scores([exact(RIGHT)], LENGTHS, [7], resamples=400)[0].interval]
    )


def test_the_mean_of_corpus_scores_is_not_the_score_of_the_mean() -> None:
    """Edits add up over a bucket before they are divided: 1 edit in 1 symbol and 0 in 9 are 10 %, not 50."""
    counts = count(["cer"], ["y", "x" * 9], [["x"], ["x" * 9]], bleu_tokenize="13a", split=list, one_word=False)["cer"]
    assert length_scores([counts], [1, 1], [1], resamples=10)[0].value == pytest.approx(10.0)


def test_the_interval_is_the_bootstrap_of_its_bucket_alone() -> None:
    from seqcli.evaluation.significance import bootstrap_interval

    random = np.random.default_rng(3)
    right = random.integers(2, size=300).tolist()
    lengths = [1 + place % 3 for place in range(300)]
    counts = exact(right)
    for place, score in enumerate(length_scores([counts], lengths, [1, 2, 3], seed=5)):
        rows = np.arange(place, 300, 3)
        alone = counts.only(rows)
        assert score.interval == bootstrap_interval(alone.counts, alone.value, resamples=1000, seed=5)


@pytest.mark.parametrize(
    ("lengths", "edges"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (list(range(1, 13)), list(range(1, 13))),
        # 20 lengths in twos; one as long as 99 among a thousand does not widen them
        (list(range(1, 21)), list(range(2, 21, 2))),
        ([*list(range(1, 21)) * 50, 99], list(range(2, 21, 2))),
        (list(range(11, 21)), list(range(11, 21))),
        (list(range(1, 101)), list(range(10, 101, 10))),
        ([5], [5]),
        ([1000], [1000]),
    ],
)
def test_edges_are_round_and_few(lengths: list[int], edges: list[int]) -> None:
    assert length_edges(lengths) == edges


def test_edges_must_rise() -> None:
    for edges in ([], [2, 2], [3, 1]):
        with pytest.raises(DataError, match="must rise"):
            length_scores([exact(RIGHT)], LENGTHS, edges)


def test_what_lengths_count() -> None:
    examples = [Example("ab cd", "x", 0, "one"), Example("abc", "x", 1, "two")]
    tokenizer = learn_characters(["ab cd", "abc"])
    assert source_lengths(examples, "words", tokenizer) == [2, 1]
    assert source_lengths(examples, "characters", tokenizer) == [5, 3]
    assert source_lengths(examples, "symbols", tokenizer) == [5, 3]
    with pytest.raises(DataError, match="three: a source without text"):
        source_lengths([*examples, Example("", "x", 2, "three")], "words", tokenizer)
