"""The picture at the foot of a terminal, seen by a terminal that takes note of everything."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from cli.terminal import Screened, Terminal

from seqcli.cli.screen import Line, Screen, can_move, crop, fit


class Growing:
    """A picture of three lines that asks for more columns than there are, with a number that grows."""

    def __init__(self) -> None:
        self.number, self.lines = 0, 3

    def __call__(self, width: int, height: int) -> list[Line]:
        return [[(f"{row} ", "bold"), (f"number {self.number} " + "x" * 300, "cyan")] for row in range(self.lines)]


def painted(terminal: Terminal, picture: Growing, times: int = 3) -> None:
    with Screen(Screened(terminal), picture) as screen:
        for _ in range(times):
            picture.number += 1
            screen.paint()


def test_it_is_painted_in_place_and_does_not_flicker() -> None:
    terminal = Terminal(40, 10)
    painted(terminal, Growing(), 20)
    assert len(terminal.screen) == 3
    assert [line[:11] for line in terminal.screen] == [f"{row} number 20" for row in range(3)]
    assert max(map(len, terminal.screen)) == 39, "the last column stays free"
    assert terminal.flickers == 0
    assert terminal.writes >= 20
    assert terminal.above == []
    assert (terminal.row, terminal.column) == (3, 0), "a shell goes on below"


def test_the_terminal_of_the_tests_sees_flicker() -> None:
    terminal = Terminal(40, 10)
    terminal.write("abc\n")
    terminal.write("\x1b[1A\x1b[Kabc\n")
    assert terminal.flickers == 3
    with pytest.raises(AssertionError, match="may have to be undone"):
        terminal.write("\x1b[?25l")


def test_a_picture_that_is_too_high_is_cut() -> None:
    terminal, picture = Terminal(40, 5), Growing()
    picture.lines = 30
    painted(terminal, picture)
    assert len(terminal.screen) == 4
    assert terminal.above == []


def test_what_is_printed_appears_above() -> None:
    terminal, picture = Terminal(40, 10), Growing()
    before = sys.stderr
    with Screen(console := Screened(terminal), picture) as screen:
        console.print("a note")
        print("from elsewhere", file=sys.stderr)
        picture.lines = 1
        screen.paint()
    assert [line.split(" x")[0] for line in terminal.screen] == ["a note", "from elsewhere", "0 number 0"]
    assert sys.stderr is before


@pytest.mark.parametrize("size", [(20, 10), (7, 10), (80, 10), (40, 4), (200, 60), (15, 2)])
def test_a_terminal_may_change_its_size(size: tuple[int, int]) -> None:
    terminal, picture = Terminal(40, 10), Growing()
    with Screen(Screened(terminal), picture) as screen:
        screen.paint()
        terminal.resize(*size)
        picture.number = 7
        for _ in range(3):
            screen.paint()
            rows = min(3, size[1] - 1)
            assert len(terminal.screen) == rows, "nothing of the old picture is left"
            assert all(line.startswith(f"{row} numb"[: size[0] - 1]) for row, line in enumerate(terminal.screen))


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="this system stops no processes")
def test_after_a_stop_it_is_painted_below_what_the_shell_has_written() -> None:
    terminal, picture, resumed = Terminal(40, 20), Growing(), []
    before = signal.getsignal(signal.SIGCONT)
    with Screen(Screened(terminal), picture, lambda: resumed.append(1)) as screen:
        screen.paint()
        terminal.write("[1]+  Stopped\n$ fg\n")
        os.kill(os.getpid(), signal.SIGCONT)
        screen.paint()
    assert resumed == [1]
    assert terminal.screen[3:5] == ["[1]+  Stopped", "$ fg"]
    assert len(terminal.screen) == 8
    assert signal.getsignal(signal.SIGCONT) == before


def test_a_terminal_without_unicode_gets_ascii() -> None:
    terminal = Terminal(20, 5, "ascii")

    def picture(width: int, height: int) -> list[Line]:
        return [[("ä▁█━", ""), ("…" * 50, "")]]

    with Screen(Screened(terminal), picture):
        pass
    assert terminal.screen == [r"\xe4_#=" + "." * 12]


def test_can_move(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Screened(Terminal(80, 24))
    assert can_move(console)
    console.quiet = True
    assert not can_move(console)
    dumb = Screened(Terminal(80, 24))
    dumb._environ = {"TERM": "dumb"}
    dumb.is_interactive = dumb.is_terminal and not dumb.is_dumb_terminal
    assert not can_move(dumb)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("你好你好", 5, "你好…"),
        ("你好你好", 4, "你…"),
        ("abc", 0, ""),
        ("ab", 1, "…"),
    ],
)
def test_fit(text: str, width: int, shown: str) -> None:
    assert fit(text, width) == shown


def test_half_a_wide_character_is_none() -> None:
    assert [crop("a你b", width) for width in range(5)] == ["", "a", "a", "a你", "a你b"]


def test_a_terminal_that_has_gone_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(40, 10)

    def gone(text: str) -> int:
        raise OSError(5, "Input/output error")

    with Screen(Screened(terminal), Growing()) as screen:
        monkeypatch.setattr(terminal, "write", gone)
        screen.paint()
        assert screen.ended.is_set()
