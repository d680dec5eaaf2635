"""The links of dates: by hand, and against CLDR, character by character."""

from __future__ import annotations

import importlib.util
import re
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seqcli.data.builtin import read_algorithmic, read_dates
from seqcli.data.date_links import date_links, date_spans
from seqcli.data.pharaoh import format_links
from seqcli.symbols import Example

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_dates.py"


@pytest.mark.parametrize(
    ("locale", "source", "target", "links"),
    [
        # 4. mai 2011: year 7–10, day 0 (also where the zero comes from), mai 3–5 to both digits of the month
        ("de", "4. mai 2011", "2011-05-04", "7-0 8-1 9-2 10-3 3p5 4p5 5p5 3p6 4p6 5p6 0p8 0-9"),
        # 2011年12月5日: 12月 is 5–7; its digits are sure, each for itself
        ("ja", "2011年12月15日", "2011-12-15", "0-0 1-1 2-2 3-3 5-5 6p5 7p5 5p6 6-6 7p6 8-8 9-9"),
        # the weekday th 3 and the month thg 3 have the day's number in them
        (
            "vi",
            "th 3, 3 thg 3, 1936",
            "1936-03-03",
            "15-0 16-1 17-2 18-3 8p5 9p5 10p5 11p5 12p5 8p6 9p6 10p6 11p6 12-6 6p8 6-9",
        ),
        # mar is Tuesday, and March
        ("es", "mar, 5 mar 2013", "2013-03-05", "11-0 12-1 13-2 14-3 7p5 8p5 9p5 7p6 8p6 9p6 5p8 5-9"),
    ],
)
def test_links_by_hand(locale: str, source: str, target: str, links: str) -> None:
    assert format_links(date_links(locale, source, target)) == links


def test_a_number_is_not_inside_another() -> None:
    assert date_spans("vi", "4 thg 12, 1934", "1934-12-04") == ((10, 14), (2, 8), (0, 1))
    with pytest.raises(ValueError, match="no month 1 as it is called in vi"):
        date_links("vi", "4 thg 12, 1934", "1934-01-04")
    with pytest.raises(ValueError, match="no month 2 as it is called in ja"):
        date_links("ja", "2011年12月5日", "2011-02-05")


def test_sure_links_go_to_the_same_digit_and_hyphens_have_none() -> None:
    count = 0
    for example in read_dates("validation").read():
        assert example.target is not None
        linked = {link.target for link in example.links}
        assert linked == set(range(10)) - {4, 7}
        for link in example.links:
            if link.sure:
                assert int(example.source[link.source]) == int(example.target[link.target])
                count += 1
        # four of the year, one or two of the day: each digit of the target once at most
        sure = [link.target for link in example.links if link.sure]
        assert len(sure) == len(set(sure)) >= 5
    assert count > 24 * 21 * 5


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_dates", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Marked(dict[str, str]):
    """The parts of a date by the letters of a pattern, each between two marks that say what it is."""

    MARKS = {"y": "\x01", "M": "\x02", "L": "\x02", "d": "\x03"}

    def __init__(self, parts: Any) -> None:
        super().__init__()
        self.parts = parts

    def __missing__(self, name: str) -> str:
        mark = self.MARKS.get(name[0], "")
        return f"{mark}{self.parts[name]}{mark}"


def test_where_the_parts_are_is_what_cldr_says() -> None:
    """Every twentieth date is written by Babel again, in each way of its locale, with marks around year, month and day."""
    pytest.importorskip("babel", reason="Babel, which carries CLDR, is not installed")
    from babel import Locale
    from babel.dates import DateTimeFormat

    maker = _maker()
    seen = 0
    for locale, names in maker.LOCALES.items():
        for example in list(read_dates("train", [locale]).read())[::20]:
            found = set()
            for name in names:
                babel = Locale.parse(name)
                patterns = {**babel.datetime_skeletons, **babel.date_formats}
                for way in maker.ways(name):
                    parts = DateTimeFormat(date.fromisoformat(example.target or ""), babel)
                    text = (patterns[way].format % _Marked(parts)).translate(maker.TYPED)
                    if _plain(re.sub("[\x01-\x03]", "", text)) == _plain(example.source):
                        found.add(_marked_spans(text))
            assert found == {date_spans(locale, example.source, example.target or "")}, example
            seen += 1
    assert seen == 24 * 33


def _plain(text: str) -> str:
    return "".join(str(int(each)) if each.isdecimal() else each for each in text.lower())


def _marked_spans(text: str) -> tuple[tuple[int, int], ...]:
    spans = []
    for mark in "\x01\x02\x03":
        start, end = (place.start() for place in re.finditer(mark, text))
        before = [len(re.sub("[\x01-\x03]", "", text[:place])) for place in (start, end)]
        # of the date's pattern is what CLDR calls the month's name in Japanese and Chinese
        spans.append((before[0], before[1] + (mark == "\x02" and text[end + 1] == "月")))
    return tuple(spans)


@pytest.mark.parametrize("kind", ["copy", "reverse", "sort"])
def test_letters_are_linked_to_themselves(kind: Any) -> None:
    examples: list[Example] = list(read_algorithmic(kind, "test", examples=2000).read())
    assert len(examples) == 100
    for example in examples:
        target, length = example.target or "", len(example.source)
        assert all(example.source[link.source] == target[link.target] for link in example.links)
        assert {link.target for link in example.links} == {link.source for link in example.links} == set(range(length))
        if kind != "sort":
            whole = length - 1 if kind == "reverse" else 0
            assert [link.source for link in example.links] == [abs(whole - place) for place in range(length)]
            assert all(link.sure for link in example.links)


def test_equal_letters_that_were_sorted_may_be_either() -> None:
    (example,) = (each for each in read_algorithmic("sort", "train", alphabet=2, shortest=3, longest=3).first(1).read())
    by_hand = {"aab": "0p0 1p0 0p1 1p1 2-2", "aba": "0p0 2p0 0p1 2p1 1-2", "baa": "1p0 2p0 1p1 2p1 0-2"}
    by_hand |= {"abb": "0-0 1p1 2p1 1p2 2p2", "bab": "1-0 0p1 2p1 0p2 2p2", "bba": "2-0 0p1 1p1 0p2 1p2"}
    all_of = "0p0 1p0 2p0 0p1 1p1 2p1 0p2 1p2 2p2"
    assert format_links(example.links) == by_hand.get(example.source, all_of)
