"""Links as text: what is written and read, and what is no link."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.pharaoh import format_links, parse_links, read_links
from seqcli.errors import DataError
from seqcli.symbols import Link


def test_sure_and_possible_by_hand() -> None:
    assert parse_links("0-0 1-2 2p1 3?10") == (Link(0, 0), Link(1, 2), Link(2, 1, False), Link(3, 10, False))
    assert parse_links("1-1 2p3", first=1) == (Link(0, 0), Link(1, 2, False))
    assert parse_links("  ") == ()
    assert format_links([Link(0, 0), Link(12, 3, False)]) == "0-0 12p3"


@given(st.lists(st.builds(Link, st.integers(0, 500), st.integers(0, 500), st.booleans())))
def test_what_is_written_is_read(links: list[Link]) -> None:
    assert parse_links(format_links(links)) == tuple(links)


def test_a_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "gold"
    path.write_text("1-1 2-2\n\n1p2\r\n")
    assert list(read_links(path, first=1)) == [(Link(0, 0), Link(1, 1)), (), (Link(0, 1, False),)]


@pytest.mark.parametrize(
    ("line", "first", "message"),
    [
        ("0-0 1:2", 0, "gold:2: '1:2' is no link: sure ones are written 3-4, possible ones 3p4 or 3?4"),
        ("-1-2", 0, "gold:2: '-1-2' is no link"),
        ("1-²", 0, "gold:2: '1-²' is no link"),
        ("1-1 0-2", 1, "gold:2: '0-2' has word 0, but words are numbered from 1"),
    ],
)
def test_what_is_no_link(tmp_path: Path, line: str, first: int, message: str) -> None:
    path = tmp_path / "gold"
    path.write_text(f"1-1\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(read_links(path, first))
    assert message in str(caught.value)
