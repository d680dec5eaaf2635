from __future__ import annotations

import random
import time
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from seqcli.evaluation.edit_distance import edit_distance

words = st.text(alphabet="abc", max_size=80)  # more than 64, so that no machine word's width can hide


def by_table(first: Sequence[str], second: Sequence[str]) -> int:
    """The textbook's dynamic programme, row by row."""
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, start=1):
        above, row = row, [i]
        for j, right in enumerate(second, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right)))
    return row[-1]


def test_distances_worked_by_hand() -> None:
    # kitten → sitten (substitute) → sittin (substitute) → sitting (insert)
    assert edit_distance("kitten", "sitting") == 3
    # saturday → sturday (delete a) → surday (delete t) → sunday (substitute)
    assert edit_distance("saturday", "sunday") == 3
    assert edit_distance("", "abc") == 3
    assert edit_distance("abc", "") == 3
    assert edit_distance("", "") == 0
    # Words are symbols too: "the" goes, "sat" becomes "sits".
    assert edit_distance(["the", "cat", "sat"], ["cat", "sits"]) == 2


@given(words, words)
def test_the_bits_say_what_the_table_says(first: str, second: str) -> None:
    assert edit_distance(first, second) == by_table(first, second)


@given(words, words, words)
def test_it_is_a_distance(first: str, second: str, third: str) -> None:
    assert edit_distance(first, first) == 0
    assert (edit_distance(first, second) == 0) == (first == second)
    assert edit_distance(first, second) == edit_distance(second, first)
    assert edit_distance(first, third) <= edit_distance(first, second) + edit_distance(second, third)


def test_a_thousand_lines_take_no_time() -> None:
    rng = random.Random(1)
    lines = [[rng.choice("abcdefgh") for _ in range(60)] for _ in range(1000)]
    start = time.process_time()
    for first, second in zip(lines, lines[1:], strict=False):
        edit_distance(first, second)
    assert time.process_time() - start < 1.0  # measured at a tenth of that
