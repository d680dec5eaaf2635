"""How numbers and texts of the data are written."""

from __future__ import annotations

import json

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


def test_json_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like rich's markup or an emoji's name is text of the data."""
    said = ["[bold]a[/bold]", ":smile:", "日本", "x" * 500]
    console.print_json(said)
    out = capsys.readouterr().out
    assert json.loads(out) == said
    assert out.count("\n") == 1
