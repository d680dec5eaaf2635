"""Which character of a written date becomes which character of its ISO form: exactly known, as the year, the month and the day are.

    5. märz 2011 → 2011-03-05

Each digit of the year and of the day is surely the same digit of the target. The name of the month possibly becomes either of the
month's digits, since it cannot be said which letter becomes which; where the name has the number in it (`3月`, `tháng 3`), that digit is sure.
The zero before a number of one digit possibly comes from that digit. The hyphens, and the day of the week, are linked to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources

from seqcli.symbols import Link

YEAR, MONTH, DAY = (0, 4), (5, 7), (8, 10)
"""Where they are in an ISO date, [start, end)."""
BETWEEN_NUMBERS = r"(?:(?<!\d)|(?!\d))"
"""A place that is not inside of a number: `1月` is not in `11月`, nor `thg 1` in `thg 12`."""

Span = tuple[int, int]


def date_links(locale: str, source: str, target: str) -> tuple[Link, ...]:
    """The links of a date `source`, in one of the locales of the shipped dates, with its ISO form `target`, in the order of the target.

    Raises `ValueError` where a part of the date is not in the source, which is so of no shipped date.
    """
    year, month, day = date_spans(locale, source, target)
    found = [*_digit_links(source, target, year, YEAR), *_month_links(source, target, month)]
    found += _digit_links(source, target, day, DAY)
    return tuple(sorted(found, key=lambda link: (link.target, link.source)))


def date_spans(locale: str, source: str, target: str) -> tuple[Span, Span, Span]:
    """Where in a written date the year, the name of the month and the day are, [start, end) each; see `date_links`."""
    month = _month_span(locale, source, int(target[slice(*MONTH)]))
    runs = [run.span() for run in re.finditer(r"\d+", source) if not month[0] <= run.start() < month[1]]
    years = [(start, end) for start, end in runs if end - start == 4]
    # before a day there may be the number of a day of the week: `th 3, 4 thg 12, 1934` is the fourth
    days = [(start, end) for start, end in runs if end - start < 4]
    if not years or not days:
        raise ValueError(f"{source!r} has no year or no day")
    return years[-1], month, days[-1]


def _month_span(locale: str, source: str, month: int) -> Span:
    """Where the name of the month is: the last and longest, as `mar` is a Tuesday too in `mar, 5 mar 2011`."""
    text = source.lower()
    found = [match.span() for match in _month_pattern(locale, month).finditer(text)]
    if not found or len(text) != len(source):
        raise ValueError(f"{source!r} has no month {month} as it is called in {locale}")
    return found[-1]


def _digit_links(source: str, target: str, read: Span, written: Span) -> Iterator[Link]:
    """A number's digits, the last with the last; a zero put before it possibly comes from any of them."""
    shift = written[1] - read[1]
    for place in range(*written):
        if place - shift >= read[0]:
            yield Link(place - shift, place)
        else:
            yield from (Link(digit, place, sure=False) for digit in range(*read))


def _month_links(source: str, target: str, name: Span) -> Iterator[Link]:
    number = re.search(r"\d+", source[slice(*name)])
    digits = (name[0] + number.start(), name[0] + number.end()) if number else (name[1], name[1])
    sure = {(link.source, link.target) for link in _digit_links(source, target, digits, MONTH) if link.sure}
    for place in range(*MONTH):
        yield from (Link(read, place, (read, place) in sure) for read in range(*name))


@cache
def _month_pattern(locale: str, month: int) -> re.Pattern[str]:
    alternatives = "|".join(map(re.escape, sorted(_months()[locale, month], key=len, reverse=True)))
    return re.compile(f"{BETWEEN_NUMBERS}(?:{alternatives}){BETWEEN_NUMBERS}")


@lru_cache(maxsize=1)
def _months() -> dict[tuple[str, int], list[str]]:
    """What the months are called, in lower case, by locale and number."""
    text = resources.files("seqcli.data").joinpath("months.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return {(locale, int(month)): names for locale, month, *names in rows}
