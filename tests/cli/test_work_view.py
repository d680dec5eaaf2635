"""The line that tells how far a command is."""

from __future__ import annotations

import io
import re

import pytest
from cli.terminal import Screened, Terminal
from rich.cells import cell_len
from rich.console import Console

from seqcli.cli import console
from seqcli.cli.work_view import WorkView


def test_a_line_while_it_works_and_nothing_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(80, 24)
    monkeypatch.setattr(console, "notes", Screened(terminal))
    with WorkView("evaluating") as view:
        assert terminal.screen == ["evaluating  0:00"]
        view.told(30, 120)
        assert view.screen is not None
        view.screen.paint()
        assert terminal.screen == ["evaluating  " + "━" * 10 + "─" * 30 + "  25 %  0:00 gone"]
    assert terminal.screen == []
    assert terminal.row == 0
    assert terminal.flickers == 0


@pytest.mark.parametrize("width", [1, 5, 12, 20, 40, 80, 200])
def test_it_fits(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(console, "notes", Screened(Terminal(80, 24)))
    view = WorkView("translating, 12,000 lines done")
    for done in (0, 1, 50, 100):
        view.told(done, 100)
        (line,) = view.picture(width, 1)
        assert cell_len("".join(text for text, _ in line)) <= width


def test_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "notes", Screened(Terminal(80, 24)))
    now = 0.0
    view = WorkView("evaluating", clock=lambda: now)
    for done in range(0, 600, 10):
        view.told(done, 1000)
        now += 1.0
    (line,) = view.picture(79, 1)
    # 410 of 1000 at ten a second are left
    assert re.search(r"59 %  1:00 gone  41 s left$", "".join(text for text, _ in line))


@pytest.mark.parametrize("hidden", [True, False])
def test_nothing_where_it_would_disturb(monkeypatch: pytest.MonkeyPatch, hidden: bool) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "notes", Screened(Terminal(80, 24)) if hidden else Console(file=file))
    with WorkView("translating", hidden=hidden) as view:
        view.told(1, 2)
    assert view.screen is None
    assert file.getvalue() == ""
