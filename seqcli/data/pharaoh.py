"""Links between the words of a source and of its target as text, in the format of the decoder Pharaoh (Koehn 2004), a line a pair:

    0-0 1-2 2-1 3p3

`i-j` is a sure link from word i of the source to word j of the target. A possible one is written `ipj`, as in the gold files of the
tasks of WMT and NAACL 2003 that are passed around for measuring aligners, or `i?j`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from seqcli.data.lines import numbered_lines
from seqcli.errors import DataError, printable
from seqcli.symbols import Link

LINK = re.compile(r"([0-9]+)([-p?])([0-9]+)")


def format_links(links: Iterable[Link]) -> str:
    """Links as a line, in the order given."""
    return " ".join(f"{link.source}{'-' if link.sure else 'p'}{link.target}" for link in links)


def parse_links(text: str, first: int = 0) -> tuple[Link, ...]:
    """The links of a line whose words are numbered from `first`. Raises `ValueError` with a sentence for what is no link."""
    links = []
    for word in text.split():
        match = LINK.fullmatch(word)
        if match is None:
            raise ValueError(
                f"{printable(word[:80])!r} is no link: sure ones are written 3-4, possible ones 3p4 or 3?4"
            )
        source, target = int(match[1]) - first, int(match[3]) - first
        if min(source, target) < 0:
            raise ValueError(f"{word!r} has word 0, but words are numbered from {first}")
        links.append(Link(source, target, match[2] == "-"))
    return tuple(links)


def read_links(path: Path, first: int = 0) -> Iterator[tuple[Link, ...]]:
    """The links of each line of a file, numbered from 0 though the file may number its words from `first`.

    Raises `DataError`, naming the line, for what is no link, and where the file cannot be read.
    """
    for number, line in numbered_lines(path):
        try:
            yield parse_links(line, first)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from error
