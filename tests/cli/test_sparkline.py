"""Curves of characters."""

from __future__ import annotations

import math

import pytest

from seqcli.cli.sparkline import REMEMBERED, Curve, means, sparkline


def test_a_row() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == ["▁▂▃▄▅▆▇█"]
    assert sparkline([3.0, math.nan, 3.0]) == ["▁ ▁"]
    assert sparkline([]) == [""]


def test_several_rows_stand_on_each_other() -> None:
    # 16 levels from 0 to 15: 7 fills the lower row's cell, 8 begins the upper
    assert sparkline([0, 7, 8, 15], 2) == ["  ▁█", "▁███"]


def test_means() -> None:
    assert means([1, 3, 5, 7, 9, 11], 3) == [2, 6, 10]
    assert means([1, 2], 5) == [1, 2]
    assert means([math.nan, 4.0, math.nan, math.nan], 2)[0] == 4.0


def test_a_logarithmic_curve_shows_factors() -> None:
    curve = Curve(logarithmic=True)
    for value in (1.0, 10.0, 100.0, 0.0):
        curve.add(value)
    # log 10 is halfway between log 1 and log 100, and 0 has no logarithm
    assert curve.draw(10) == ["▁▅█ "]


@pytest.mark.parametrize("count", [REMEMBERED, 5 * REMEMBERED, 40 * REMEMBERED + 7])
def test_a_long_series_keeps_its_shape_and_little_memory(count: int) -> None:
    curve = Curve()
    for step in range(count):
        curve.add(float(step))
    assert len(curve.points) < 2 * REMEMBERED
    assert curve.draw(8) == ["▁▂▃▄▅▆▇█"]
    assert (curve.low, curve.high) == (0, count - 1)


def test_what_is_no_number_is_a_gap() -> None:
    curve = Curve()
    for value in (None, 1.0, math.inf, 2.0):
        curve.add(value)
    assert curve.draw(10) == [" ▁ █"]
