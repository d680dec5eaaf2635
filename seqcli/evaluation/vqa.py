"""Accuracy of answers to questions about images, where several people have answered each.

Antol et al. 2015, "VQA: Visual Question Answering", with the averaging and the form of answers that the challenge's evaluation
has published (visualqa.org/evaluation).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

ENOUGH = 3
"""So many people make an answer fully right."""

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
DIGITS = {"none": "0"} | {word: str(number) for number, word in enumerate(NUMBERS)}
ARTICLES = ("a", "an", "the")
MARKS = ';/[]"{}()=+\\_-><@`,?!'
"""Punctuation, without the apostrophe (girl's), the colon (2:50) and the full stop, which has a rule of its own."""

_WORDS_BEFORE = {
    "n't": "ai are ca could did does do had has have is might must need ought sha should was were wo would",
    "n't've": "could had might should would",
    "'ve": "could i might must should they we what where who would you",
    "'d": "he how it someone something somebody there they where who you",
    "'d've": "he i it she somebody someone something there they we who you y'all",
    "'ll": "how it somebody someone something they what who why you y'all",
    "'re": "there they what why you",
    "'s": "he how let she somebody someone that there what when where who why",
    "": "i'm ma'am o'clock y'all 'twas",
}
"""Contractions by their ends. Not among them are those that are another word without their apostrophe: she'll, we're, it's."""


def _misspelt() -> dict[str, str]:
    """Each contraction with some or all of its apostrophes left out → the contraction as it should be."""
    found = {}
    for end, starts in _WORDS_BEFORE.items():
        for word in (start + end for start in starts.split()):
            first, *rest = word.split("'")
            for kept in product(("", "'"), repeat=len(rest)):
                found[first + "".join(mark + part for mark, part in zip(kept, rest, strict=True))] = word
            del found[word]  # all of its apostrophes were kept
    return found


CONTRACTIONS = _misspelt()


def normalize_answer(text: str) -> str:
    """An answer in the form in which answers are compared.

    Line ends and tabs are spaces. Punctuation is taken out: nothing stays in the place of a mark that touches a space anywhere in the
    answer, or of any mark where a comma parts digits (100,978); else a space does (black/white). Full stops go unless a digit follows.
    Then, word by word and in lower case: numbers up to ten become digits (none is 0), articles go, and contractions get the
    apostrophes that they lack (dont).
    """
    text = " ".join(text.splitlines()).replace("\t", " ").strip()
    stripped = text
    thousands = re.search(r"\d,\d", text)
    for mark in MARKS:
        touches = f"{mark} " in text or f" {mark}" in text
        stripped = stripped.replace(mark, "" if touches or thousands else " ")
    stripped = re.sub(r"\.(?!\d)", "", stripped)
    words = [DIGITS.get(word, word) for word in stripped.lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa_score(hypothesis: str, references: Sequence[str]) -> float:
    """How right an answer is, from 0 to 1, by the answers of several people, one reference each.

    The mean, over all ways to leave one of them out, of min(how many of the others gave that answer / 3, 1): among ten people the
    answer of one is worth 0.3, of two 0.6, of three 0.9 and of four 1. A single reference is simply right or not. Among two or three
    people no answer can be worth more than 1/3 or 2/3: that is the formula, which was made for ten.

    All answers are compared in the form of `normalize_answer`, as the challenge describes it; its script takes no more than
    punctuation from the people's answers, and that only where they differ.
    """
    answer = normalize_answer(hypothesis)
    matches = [normalize_answer(reference) == answer for reference in references]
    if len(matches) == 1:
        return float(matches[0])
    others = [sum(matches) - left_out for left_out in matches]
    return sum(min(count / ENOUGH, 1.0) for count in others) / len(others)
