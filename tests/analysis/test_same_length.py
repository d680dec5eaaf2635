"""Examples of one length are found among those of many."""

from __future__ import annotations

from pathlib import Path

import pytest

import seqcli
from seqcli.analysis.same_length import batch_of_one_length
from seqcli.errors import DataError
from seqcli.symbols import Example
from seqcli.types import Batch

TEXTS = ["ab", "abc", "ba", "a", "cab", "bb", "abca"]


def chosen(copy_run: Path, count: int, length: int | None = None) -> Batch:
    translator = seqcli.load(copy_run).translator
    examples = [Example(text, text, row, f"text {row}") for row, text in enumerate(TEXTS)]
    return batch_of_one_length(translator, examples, count=count, length=length)


@pytest.mark.parametrize(
    ("count", "length", "rows", "columns"),
    [
        (2, None, 2, 4),  # the longest of which there are two have three letters, and EOS
        (3, None, 3, 3),  # of two letters there are three
        (9, None, 3, 3),  # of none there are nine: most are of two letters
        (1, None, 1, 5),
        (9, 1, 1, 2),
        (2, 2, 2, 3),
    ],
)
def test_what_is_chosen(copy_run: Path, count: int, length: int | None, rows: int, columns: int) -> None:
    batch = chosen(copy_run, count, length)
    assert batch.source.shape == batch.labels.shape == (rows, columns)
    assert batch.source_mask.all()
    assert batch.padding == 0.0


def test_a_length_that_is_not_there_is_told(copy_run: Path) -> None:
    with pytest.raises(DataError, match="has 9 symbols; they have 1 to 4"):
        chosen(copy_run, 2, 9)


def test_nothing_to_look_at(copy_run: Path) -> None:
    with pytest.raises(DataError, match="no examples"):
        batch_of_one_length(seqcli.load(copy_run).translator, [], count=1)
