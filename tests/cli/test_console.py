"""How numbers and texts of the data are written."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

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


def test_what_looks_like_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """In titles, heads, cells and notes alike: files may be called so."""
    console.data.print(console.table("a[b]c[/d]", ["x[bold]", "y"], [["[red]", "z"]]))
    console.data.print("split [test]")
    console.note("wrote [/x]")
    console.warn("no [bold]")
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()] == [
        ["a[b]c[/d]"],
        ["x[bold]", "y"],
        ["[red]", "z"],
        ["split", "[test]"],
    ]
    assert err == "wrote [/x]\nwarning: no [bold]\n"


def test_what_is_going_on_is_text_and_shown_on_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        screen = Terminal(terminal)
        monkeypatch.setattr(console, "notes", Console(file=screen, force_terminal=True))
        with console.busy("measuring [/x]"):
            pass
        assert ("measuring [/x]" in screen.getvalue()) == terminal
        assert bool(screen.getvalue()) == terminal


class Terminal(io.StringIO):
    """A terminal, or what only rich is told to be one."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def test_numbers_that_are_none_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"loss": float("inf"), "p": float("nan")})
    assert capsys.readouterr().out == '{"loss": null, "p": null}\n'


def test_json_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like rich's markup or an emoji's name is text of the data."""
    said = ["[bold]a[/bold]", ":smile:", "日本", "x" * 500]
    console.print_json(said)
    out = capsys.readouterr().out
    assert json.loads(out) == said
    assert out.count("\n") == 1
