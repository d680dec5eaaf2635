"""A dictionary of words in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqcli.data.dictionary import read_dictionary
from seqcli.errors import DataError


def test_entries(tmp_path: Path) -> None:
    file = tmp_path / "lexicon.tsv"
    file.write_text(
        "Haus\thouse\t0.7\n\nHaus\tbuilding\t0.2\n heißen \t to be called \r\nb\ta\u2028b\n", encoding="utf-8"
    )
    assert read_dictionary(file) == {"Haus": "house", "heißen": "to be called", "b": "a\u2028b"}


@pytest.mark.parametrize("line", ["Haus house", "Haus\t", "\thouse", "Haus\t \t0.5"])
def test_what_is_no_entry(tmp_path: Path, line: str) -> None:
    file = tmp_path / "lexicon.tsv"
    file.write_text(f"a\tb\n{line}\n")
    with pytest.raises(DataError, match=r"lexicon.tsv:2: needs a word, a tab, and its translation: "):
        read_dictionary(file)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        read_dictionary(tmp_path / "nowhere")
