"""Minimum Bayes risk: expected utilities are what sacrebleu gives pair by pair, and the ranking follows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation.onlookers import translator_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from seqcli.evaluation.minimum_risk import MinimumRisk, Utility
from seqcli.evaluation.reader import SearchSettings, Translation, ranked
from seqcli.search.sampling import Sampling
from seqcli.symbols import Example

REFERENCE = {"chrf": CHRF(), "bleu": BLEU(effective_order=True)}
SETTINGS = SearchSettings(
    beam_size=24,
    length_penalty=1.0,
    max_length=4,
    max_ratio=None,
    batch_sentences=2,
    sampling=Sampling(seed=3),
    minimum_risk=MinimumRisk(),
)
EXAMPLES = [
    Example(text, None, row, f"here:{row + 1}") for row, text in enumerate(["red green", "", "blue", "red red blue"])
]


@pytest.mark.parametrize("utility", ["chrf", "bleu"])
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(st.sampled_from("ab cé. ,\u4e2d"), max_size=25), min_size=1, max_size=7, unique=True))
def test_utilities_are_sacrebleus(utility: Utility, texts: list[str]) -> None:
    found = MinimumRisk(utility).utilities(texts)
    metric = REFERENCE[utility]
    expected = [[metric.sentence_score(text, [right]).score for right in texts] for text in texts]
    np.testing.assert_array_equal(found, expected)


def test_the_tokenizer_of_bleu() -> None:
    texts = ["a-b c", "a - b c"]
    assert MinimumRisk("bleu", "none").utilities(texts)[0, 1] < 100
    assert MinimumRisk("bleu", "intl").utilities(texts)[0, 1] == pytest.approx(100)


def test_expected_utility_by_hand() -> None:
    """Characters a, b and c: `ab` has half of what `ac` has; the text drawn twice counts twice, also against itself."""
    risk = MinimumRisk()
    pair = risk.utilities(["ab", "ac"])
    # one of two characters is common and no pair of them is: precision and recall 1/4 each, over two orders
    assert pair.tolist() == [[100, pytest.approx(25)], [pytest.approx(25), 100]]
    assert risk.expected(["ab", "ac"], [2, 1]) == pytest.approx([(2 * 100 + 25) / 3, (100 + 2 * 25) / 3])
    assert risk.expected([], []) == []


def translation(text: str, log_prob: float) -> Translation:
    return Translation(text, log_prob, log_prob, (4,))


def test_the_most_probable_sample_need_not_win() -> None:
    """The one that stands alone is the likeliest, but the others agree on most of what they say."""
    samples = [
        translation("the cat sat", -1.0),
        translation("a dog barked loudly", -2.0),
        translation("a dog barked", -3.0),
        translation("a dog barks", -2.5),
        translation("a dog barked", -2.7),
    ]
    found = ranked(samples, MinimumRisk())
    assert len(found) == 4
    assert (found[0].text, found[-1].text) == ("a dog barked", "the cat sat")
    assert found[0].log_prob == -2.7
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    mean = np.mean([CHRF().sentence_score("a dog barked", [one.text]).score for one in samples])
    assert found[0].score == pytest.approx(mean)
    assert ranked([], MinimumRisk()) == []


def test_equal_utilities_go_by_probability() -> None:
    found = ranked([translation("ab", -2.0), translation("cd", -1.0)], MinimumRisk())
    assert [one.text for one in found] == ["cd", "ab"]
    assert found[0].score == found[1].score == 50


@pytest.mark.parametrize("utility", ["chrf", "bleu"])
def test_a_translators_samples_are_ranked(utility: Utility) -> None:
    translator = translator_of("gru")
    chosen = replace(SETTINGS, minimum_risk=MinimumRisk(utility))
    found = translator.translate(EXAMPLES, chosen)
    drawn = translator.translate(EXAMPLES, replace(SETTINGS, minimum_risk=None))
    metric = REFERENCE[utility]
    assert found[1] == drawn[1]
    different = 0
    for row in (0, 2, 3):
        samples = [one.text for one in drawn[row]]
        assert len(samples) == 24
        different += len(set(samples))
        assert sorted(one.text for one in found[row]) == sorted(set(samples))
        expected = {
            text: np.mean([metric.sentence_score(text, [right]).score for right in samples]) for text in samples
        }
        assert [one.score for one in found[row]] == pytest.approx([expected[one.text] for one in found[row]])
        assert found[row][0].score == pytest.approx(max(expected.values()))
    assert different > 15
    # the same seed draws the same, whatever else is drawn beside it
    backwards = translator.translate(EXAMPLES[::-1], chosen)[::-1]
    assert [[one.ids for one in several] for several in backwards] == [
        [one.ids for one in several] for several in found
    ]
    (alone,) = translator.translate(EXAMPLES[2:3], chosen)
    assert [one.ids for one in alone] == [one.ids for one in found[2]]
    assert [one.score for one in alone] == [one.score for one in found[2]]
    other = replace(chosen, sampling=Sampling(seed=4))
    assert translator.translate(EXAMPLES, other) != found
