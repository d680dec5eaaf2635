from __future__ import annotations

import pytest

from seqcli.figures.labels import set_text, widths_of
from seqcli.figures.style import LIGHT, POINTS, drawing

QUESTION = ["what", "is", "the", "colour", "of", "the", "small", "thing", "?"]


def test_words_are_set_in_lines_that_fit() -> None:
    with drawing(LIGHT, QUESTION):
        text = set_text(QUESTION, 8, 1.0)
        assert list(text.width) == widths_of(QUESTION, 8)
    assert text.size == 8
    assert text.line[0] == 0
    assert text.line == tuple(sorted(text.line))
    assert len(set(text.line)) > 1
    assert all(left >= 0 and left + width <= 1 + 1e-6 for left, width in zip(text.left, text.width, strict=True))
    for word in range(1, len(QUESTION)):
        end = text.left[word - 1] + text.width[word - 1]
        if text.line[word] == text.line[word - 1]:
            assert text.left[word] == pytest.approx(end + 0.35 * 8 / POINTS)
        else:  # it would not have fitted
            assert end + 0.35 * 8 / POINTS + text.width[word] > 1
    assert text.height == pytest.approx((text.line[-1] + 1) * 1.5 * 8 / POINTS)


def test_letters_shrink_for_a_word_that_is_wider_than_a_line() -> None:
    long = "Donaudampfschifffahrtsgesellschaft"
    with drawing(LIGHT, [long]):
        text = set_text(["a", long], 8, 1.0)
    assert text.size < 8
    assert text.width[1] == pytest.approx(1.0, abs=0.02)


def test_arabic_and_hebrew_run_from_the_right() -> None:
    words = ["מה", "זה", "?"]
    with drawing(LIGHT, words):
        text = set_text(words, 8, 2.0)
    assert text.left[0] + text.width[0] == pytest.approx(2.0)
    assert list(text.left) == sorted(text.left, reverse=True)


def test_white_space_is_seen_and_no_words_take_no_room() -> None:
    with drawing(LIGHT, []):
        assert set_text([" ", "\t"], 8, 1.0).words == ("␣", "⇥")
        assert set_text([], 8, 1.0).height == 0
