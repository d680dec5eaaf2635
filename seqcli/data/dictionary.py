"""A dictionary of words as a file: on each line a source word, a tab, and its translation."""

from __future__ import annotations

from pathlib import Path

from seqcli.data.lines import numbered_lines
from seqcli.errors import DataError, printable


def read_dictionary(path: Path) -> dict[str, str]:
    """The translation of each word, the first where a file has several; what follows a second tab (a probability, say) and blank lines are
    passed over. Raises `DataError`, naming the line, for what is no entry, and where the file cannot be read."""
    found: dict[str, str] = {}
    for number, line in numbered_lines(path):
        word, *translation = (cell.strip() for cell in line.split("\t"))
        if word and translation and translation[0]:
            found.setdefault(word, translation[0])
        elif line.strip():
            raise DataError(f"{path}:{number}: needs a word, a tab, and its translation: {printable(line[:80])}")
    return found
