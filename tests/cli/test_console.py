"""How numbers and texts of the data are written."""

from __future__ import annotations

import pytest

from seqcli.cli import console


@pytest.mark.parametrize(
    ("value", "text"),
    [(98.7, "98.70"), (0.0312, "0.0312"), (1.5e-5, "1.50e-05"), (0.0, "0.00"), (-2.5, "-2.50"), (1e9, "1.00e+09")],
)
def test_figures(value: float, text: str) -> None:
    assert console.figure(value) == text


def test_an_excerpt_cannot_steer_the_terminal() -> None:
    assert console.excerpt("\x1b[2J\x07a\rb\nc") == "\ufffd[2J\ufffda\ufffdb\ufffdc"
    assert console.excerpt("x" * 5000) == "x" * 200 + "…"
