"""Alignment error rate, by hand, and gold links of characters, words and boxes."""

from __future__ import annotations

import numpy as np
import pytest
from analysis.test_alignment import GRU
from evaluation.onlookers import translator_of, words

from seqcli.analysis.alignment import AlignmentSettings
from seqcli.analysis.alignment_error import Gold, alignment_scores, error_metrics, gold_of, links_of_units
from seqcli.data.pharaoh import parse_links
from seqcli.errors import DataError
from seqcli.symbols import Example


def test_error_rate_by_hand() -> None:
    """S = {0-0, 1-1}, P = S and {2-1, 2-2}; A = {0-0, 2-2, 1-2, 0-1}.

    |A| = 4, |S| = 2, |A ∩ S| = 1 (0-0), |A ∩ P| = 2 (and 2-2): precision 2/4, recall 1/2, AER 1 − (1 + 2)/(4 + 2) = 1/2.
    """
    gold = Gold.of(parse_links("0-0 1-1 2p1 2?2"))
    counts = gold.count(parse_links("0-0 2-2 1-2 0-1"))
    assert counts == (4, 2, 1, 2)
    found = error_metrics(np.array([counts]), "", 0)
    assert {name: metric.value for name, metric in found.items()} == pytest.approx(
        {"aer": 50, "precision": 50, "recall": 50}
    )


def test_pairs_are_summed_not_averaged() -> None:
    """A second pair, all right with 1 of 1: precision 3/5, recall 2/3, AER 1 − (2 + 3)/(5 + 3) = 3/8."""
    found = error_metrics(np.array([[4, 2, 1, 2], [1, 1, 1, 1]]), "by:hand", 200)
    assert {name: metric.value for name, metric in found.items()} == pytest.approx(
        {"aer": 37.5, "precision": 60, "recall": 200 / 3}
    )
    low, high = found["aer"].interval or (0, 0)
    assert (low, high) == (0, 50)  # drawn: only the second pair, or only the first
    assert "by:hand|links:5|sure:3|n:2|" in found["aer"].signature


def test_nothing_linked_and_nothing_sure() -> None:
    nothing = error_metrics(np.array([[0, 2, 0, 0]]), "", 0)
    assert {name: metric.value for name, metric in nothing.items()} == {"aer": 100, "precision": 0, "recall": 0}
    possible = error_metrics(np.array([[4, 0, 0, 3]]), "", 0)
    assert {name: metric.value for name, metric in possible.items()} == {"aer": 25, "precision": 75, "recall": 100}


def test_what_comes_from_nothing_is_not_judged() -> None:
    gold = Gold.of(parse_links("0-0"), frozenset({0}))
    assert gold.count(parse_links("0-0 0-1 1-2")) == (1, 1, 1, 1)


def test_links_of_characters_become_those_of_words() -> None:
    """ab cd → x yz: a–x sure, b–y possible, c–z and d–z possible; the space of neither is in a unit."""
    links = parse_links("0-0 2p1 1p2 3p3 4p3")
    assert set(links_of_units(links, [(0, 2), (3, 5)], [(0, 1), (2, 4)])) == set(parse_links("0-0 0p1 1p1"))


def example(links: str = "") -> Example:
    return Example("red green", "green red", 0, "here:1", links=parse_links(links))


def test_the_examples_own_links_in_the_models_units() -> None:
    translator = translator_of("gru", GRU)
    gold = gold_of(translator, example("0-6 1-7 2-8 4p0"), AlignmentSettings())
    assert gold == Gold(frozenset({(0, 1)}), frozenset({(0, 1), (1, 0)}), frozenset({0, 1}))


def test_given_links_are_judged_everywhere() -> None:
    translator = translator_of("gru", GRU)
    assert gold_of(translator, example(), AlignmentSettings(), parse_links("0-1")).judged is None
    assert words().encode("red green")
    scores = alignment_scores(translator, [example()], AlignmentSettings(threshold=0.0), gold=[parse_links("0-1 1p0")])
    # every word is linked with every word: 4 links, 2 possible, the sure one among them
    assert {name: metric.value for name, metric in scores.metrics.items()} == pytest.approx(
        {"aer": 40, "precision": 50, "recall": 100}
    )


@pytest.mark.parametrize(("links", "side", "number"), [("2-0", "source", 2), ("0-2", "target", 2)])
def test_gold_of_another_sentence(links: str, side: str, number: int) -> None:
    with pytest.raises(DataError, match=rf"here:1: a gold link goes to word {number} of the {side} .*--gold-first 1"):
        alignment_scores(translator_of("gru", GRU), [example()], AlignmentSettings(), gold=[parse_links(links)])


def test_gold_of_another_number_of_pairs() -> None:
    with pytest.raises(DataError, match="there are gold links for 2 pairs, but 1 examples"):
        alignment_scores(translator_of("gru", GRU), [example()], AlignmentSettings(), gold=[(), ()])
