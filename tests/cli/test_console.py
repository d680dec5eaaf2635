"""What one sees while a model learns, on terminals of several kinds."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from seqcli.cli import console
from seqcli.types import Progress

TRAIN = Progress("train", 90, 2, 0.0312, 1e-4, 0.7, 12345.6, 0.126)
SCORES = dict.fromkeys(("loss", "perplexity", "token_accuracy", "exact_match", "bleu", "chrf", "ter", "wer"), 12.5)


def validation(step: int, sample: tuple[str, str, str]) -> Progress:
    return Progress("validation", step, 2, scores=SCORES, sample=sample)


def shown(monkeypatch: pytest.MonkeyPatch, records: list[Progress], *, width: int = 80, terminal: bool = True) -> str:
    """The last picture, as a terminal so wide shows it, or the lines."""
    screen = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, highlight=False)
    monkeypatch.setattr(console, "notes", screen)
    with console.TrainingView("dates", 100, 0) as view:
        for record in records:
            view.show(record)
    if terminal:
        screen.file = io.StringIO()
        screen.print(view.render())
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [80, 200])
def test_the_picture_fits(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    records = [TRAIN, *(validation(step, ("a b", "c d", "c e")) for step in range(10, 100, 10))]
    lines = shown(monkeypatch, records, width=width).splitlines()
    assert len(lines) <= 24, "a small terminal has 24 lines"
    assert max(map(len, lines)) <= width
    assert "step 90/100" in lines[0]
    assert lines[2].split() == ["0.0312", "1.00e-04", "0.70", "12,346", "12.6", "%"]
    for name in SCORES:
        (row,) = (line for line in lines if line.startswith(f"{name} "))
        assert row.split()[1:] == ["12.50"] * 5
    assert [line.split()[0] for line in lines[-3:]] == ["source", "target", "written"]


def test_samples_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = ("\x1b[2J\x07a\rb\nc", "שלום 你好", "x" * 5000)
    for terminal in (True, False):
        text = shown(monkeypatch, [TRAIN, validation(10, sample)], terminal=terminal)
        picture = text.split("sample")[-1]
        assert "\x1b[2J" not in picture
        assert "\x07" not in picture
        assert "\r" not in picture
        assert len(picture) < 1000
    assert "שלום 你好" in shown(monkeypatch, [TRAIN, validation(10, sample)])


def test_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Progress("checkpoint", 90, 2)
    lines = shown(monkeypatch, [TRAIN, validation(90, ("a", "b", "c")), checkpoint], terminal=False).splitlines()
    assert lines[0] == (
        "step 90/100  epoch 2  loss 0.0312  learning rate 1.00e-04  gradient norm 0.70  tokens/s 12,346  padding 12.6 %"
    )
    assert lines[1].startswith("step 90/100  epoch 2  validation  loss 12.50")
    assert lines[2:] == ["  a", "  → c"]


def test_what_is_not_as_it_should_be_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    spike, rewind = Progress("spike", 90, 2, loss=9.5, usual_loss=2.25), Progress("rewind", 94, 2, back_to=50)
    memory, counted = Progress("memory", 95, 2, pieces=4), replace(TRAIN, spikes=3)
    lines = shown(monkeypatch, [spike, rewind, memory, counted], terminal=False).splitlines()
    assert lines[:3] == [
        "warning: the loss of step 90 is 9.50, usual is 2.25",
        "warning: after step 94 weights and optimizer are those of step 50 again",
        "warning: a batch did not fit into memory; from step 96 on each is taken in 4 pieces",
    ]
    assert lines[3].endswith("spikes 3")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(console, "notes", screen)
    with console.TrainingView("dates", 100, 0) as view:
        view.show(TRAIN)
    assert view.live is None
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue().startswith("step 90/100")


@pytest.mark.parametrize(
    ("value", "text"),
    [(98.7, "98.70"), (0.0312, "0.0312"), (1.5e-5, "1.50e-05"), (0.0, "0.00"), (-2.5, "-2.50"), (1e9, "1.00e+09")],
)
def test_figures(value: float, text: str) -> None:
    assert console.figure(value) == text
