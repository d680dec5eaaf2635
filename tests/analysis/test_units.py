"""Units: words of each kind of tokenizer, from symbols and in the text."""

from __future__ import annotations

import pytest

from seqcli.analysis.units import character_spans, text_spans, unit_spans
from seqcli.data.subwords import learn_subwords
from seqcli.data.tokenizer import Tokenizer
from seqcli.data.vocabulary import learn_characters, learn_symbols, learn_words
from seqcli.errors import DataError

TEXTS = ["Hello, you there!", "there you are, dear reader", "hello reader"] * 4


def words_of(tokenizer: Tokenizer, text: str, *, words: bool = False) -> list[str]:
    """What the text has at the units' places; each unit has symbols, in order, and shares none."""
    ids = tokenizer.encode(text)
    units = text_spans(tokenizer, text, words=words)
    places = [place for start, end in units for place in range(start, end)]
    assert places == sorted(set(places))
    assert all(start < end for start, end in units)
    assert set(places) <= set(range(len(ids)))
    return [text[start:end] for start, end in character_spans(tokenizer, text, units, words=words)]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("text", ["Hello, you there!", "dear  you", "x hello", "reader"])
def test_subwords_are_put_together(kind: str, text: str) -> None:
    tokenizer = learn_subwords(TEXTS, kind=kind, vocabulary_size=40)  # type: ignore[arg-type]
    assert words_of(tokenizer, text) == text.split()


@pytest.mark.parametrize("split", ["whitespace", "punctuation"])
@pytest.mark.parametrize("text", ["Hello, you there!", "you , dear", "unseen (words) are-here"])
def test_marks_belong_to_the_word_they_touch(split: str, text: str) -> None:
    assert words_of(learn_words(TEXTS, split=split), text) == text.split()  # type: ignore[arg-type]


def test_ids_tell_what_known_marks_touch() -> None:
    tokenizer = learn_words(TEXTS, split="punctuation")
    for text in TEXTS[:3]:
        assert unit_spans(tokenizer, tokenizer.encode(text)) == text_spans(tokenizer, text)


def test_characters_are_units_unless_words_are_asked_for() -> None:
    tokenizer = learn_characters(TEXTS)
    assert words_of(tokenizer, "you a") == ["y", "o", "u", " ", "a"]
    assert words_of(tokenizer, "you  a", words=True) == ["you", "a"]


@pytest.mark.parametrize("words", [False, True])
def test_the_parts_of_a_character_are_one_unit(words: bool) -> None:
    tokenizer = learn_characters(["한 국어", "né"], normalize="nfd")
    assert [end - start for start, end in text_spans(tokenizer, "né한국")] == [1, 2, 3, 3]
    ids = tokenizer.encode("né 한국")
    assert unit_spans(tokenizer, ids, words=words) == text_spans(tokenizer, "né 한국", words=words)
    assert words_of(tokenizer, "né 한국", words=words) == (["né", "한국"] if words else list("né 한국"))
    # parts that the model does not know are parts all the same, and of an unknown id nobody knows
    assert [end - start for start, end in text_spans(tokenizer, "ö한")] == [2, 3]
    assert unit_spans(tokenizer, tokenizer.encode("ö")) == [(0, 1), (1, 2)]


def test_separated_symbols() -> None:
    tokenizer = learn_symbols(["t iː n", "t n"])
    assert words_of(tokenizer, "t  iː n") == ["t", "iː", "n"]
    assert words_of(learn_symbols(["a-bc-a"], separator="-"), "a-bc-a") == ["a", "bc", "a"]


def test_a_text_that_changes_its_length() -> None:
    tokenizer = learn_characters(TEXTS, normalize="nfc")
    ids = tokenizer.encode("e\u0301a")
    with pytest.raises(DataError, match="cannot be told apart in the form that the model reads"):
        character_spans(tokenizer, "e\u0301a", unit_spans(tokenizer, ids))


def test_a_capital_is_one_character_with_its_mark() -> None:
    tokenizer = learn_characters(["Äh Ab"], normalize="nfd", marked_capitals=True)
    text = "Äh AB"
    assert tokenizer.split(text) == ["⇧", "a", "\u0308", "h", " ", "⇧", "a", "⇧", "b"]
    expected = [(0, 3), (3, 4), (4, 5), (5, 7), (7, 9)]
    assert text_spans(tokenizer, text) == unit_spans(tokenizer, tokenizer.encode(text)) == expected
    assert character_spans(tokenizer, text, expected) == [(place, place + 1) for place in range(5)]
    plain = learn_characters(["⇧a"])
    assert text_spans(plain, "⇧a") == [(0, 1), (1, 2)]
