"""What one sees while a model learns, on terminals of several kinds.

The files in `frames/` are whole pictures, to be read. `make frames` records them anew; look at what `git diff` says of them.
"""

from __future__ import annotations

import codecs
import io
import math
import os
import re
import select
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli.terminal import Screened, Terminal
from rich.cells import cell_len
from rich.console import Console

from seqcli.cli import console
from seqcli.cli.training_view import TrainingView
from seqcli.types import Progress

if os.name == "posix":
    import fcntl
    import termios

FRAMES = Path(__file__).parent / "frames"
SAMPLES = (
    ("zwei männer stehen am herd .", "two men are standing at the stove .", "two men stand at a stove ."),
    ("ein kleines mädchen klettert in ein spielhaus aus holz .", "a little girl climbing .", "a girl climbs ."),
    ("你好 世界", "שלום עולם", "hello " * 60),
)
SCORES = ("loss", "perplexity", "bleu", "chrf")
MANY = (*SCORES, "ter", "wer", "exact_match", "token_accuracy", "per", "cer")
TOTAL = 1000
PART = ("loss ", "gradient norm ", "learning rate ", "tokens/s", "validation ", "source ", "target ", "written ")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def records(upto: int, names: tuple[str, ...]) -> Iterator[tuple[int, list[Progress]]]:
    """What a run tells at each step: a loss that falls, a learning rate that rises and then falls."""
    for step in range(1, upto + 1):
        loss = 0.5 + 5 * math.exp(-step / 150)
        told = []
        if step % 10 == 0:
            rate = 1e-3 * min(step / 100, 10 / math.sqrt(step))
            told.append(Progress("train", step, step // 80, loss, rate, 1 + math.sin(step) ** 2, 12345.6, 0.126))
        if step % 100 == 0:
            falling = {
                "loss": loss,
                "perplexity": math.exp(loss),
                "ter": 20 * loss,
                "wer": 18 * loss,
                "per": loss,
                "cer": loss,
            }
            scores = {name: falling.get(name, 60 - 10 * loss) for name in names}
            told.append(Progress("validation", step, step // 80, scores=scores, samples=SAMPLES))
        yield step, told


def played(view: TrainingView, clock: Clock, upto: int, names: tuple[str, ...] = SCORES) -> None:
    """Show a view what happens in `upto` steps, of a quarter to a third of a second each."""
    for step, told in records(upto, names):
        clock.now += 0.25 + 0.05 * (step // 31 % 3)
        for record in told:
            clock.now += 3.0 * (record.event == "validation")
            view.show(record)
        view.advance(step)


def watch(
    monkeypatch: pytest.MonkeyPatch, screen: Console, upto: int, names: tuple[str, ...] = SCORES, title: str = "dates"
) -> TrainingView:
    """A run as it is seen on a screen, up to some step."""
    monkeypatch.setattr(console, "notes", screen)
    clock = Clock()
    with TrainingView(title, TOTAL, 0, watched="bleu", validate_every=100, clock=clock) as view:
        played(view, clock, upto, names)
    return view


def lines_of(
    upto: int, monkeypatch: pytest.MonkeyPatch, *, pipe: io.StringIO | None = None, term: str = "xterm"
) -> str:
    """What goes to a pipe, or to a terminal that cannot move its cursor."""
    file = pipe or io.StringIO()
    watch(monkeypatch, Console(file=file, _environ={"TERM": term}, highlight=False), upto)
    return file.getvalue()


def compare(name: str, text: str) -> None:
    """With a recorded frame; SEQCLI_RECORD_FRAMES=1 records it instead."""
    path = FRAMES / f"{name}.txt"
    if os.environ.get("SEQCLI_RECORD_FRAMES"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} shows another picture; make frames records it anew"


@pytest.mark.parametrize(
    ("name", "width", "height", "upto"),
    [("80x24", 80, 24, 437), ("200x60", 200, 60, 437), ("80x24-first-steps", 80, 24, 25), ("40x12", 40, 12, 437)],
)
def test_recorded_frames(monkeypatch: pytest.MonkeyPatch, name: str, width: int, height: int, upto: int) -> None:
    terminal = Terminal(width, height)
    watch(monkeypatch, Screened(terminal), upto)
    compare(name, "".join(f"{line}\n" for line in terminal.screen))


def test_recorded_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    text = lines_of(120, monkeypatch)
    compare("pipe", text)
    assert "\x1b" not in text


def test_a_dumb_terminal_gets_the_lines_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(file, "isatty", lambda: True, raising=False)
    assert lines_of(120, monkeypatch, pipe=file, term="dumb") == lines_of(120, monkeypatch)


@pytest.mark.parametrize("names", [SCORES, MANY], ids=["few", "many"])
@pytest.mark.parametrize("title", ["dates", "[bold]" + "名" * 30 + "a very long name " * 20 + "\x1b[2J\n"], ids=len)
@pytest.mark.parametrize(
    "size", [(80, 24), (200, 60), (120, 30), (81, 23), (60, 100), (40, 12), (20, 6), (8, 4), (3, 2), (500, 11)]
)
def test_every_frame_fits(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], title: str, names: tuple[str, ...]
) -> None:
    width, height = size
    monkeypatch.setattr(console, "notes", Screened(Terminal(width, height)))
    clock, looked = Clock(), 0
    view = TrainingView(title, TOTAL, 0, watched="bleu", validate_every=100, clock=clock, may_end_early=True)
    for upto in (0, 1, 9, 10, 99, 100, 550, TOTAL):
        played(view, clock, upto, names)
        picture = ["".join(text for text, _ in line) for line in view.picture(width, height)]
        looked += 1
        assert len(picture) <= height
        assert max(map(cell_len, picture), default=0) <= width, picture
        assert "\x1b" not in "".join(picture)
    assert looked == 8


@pytest.mark.parametrize("names", [SCORES, MANY], ids=["few", "many"])
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_all_parts_are_there(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], names: tuple[str, ...]) -> None:
    terminal = Terminal(*size)
    watch(monkeypatch, Screened(terminal), 550, names)
    lines = terminal.screen
    for part in PART:
        assert any(line.startswith(part) for line in lines), part
    assert "55 %" in lines[0]
    assert re.match(r"step 550/1000  [\d.]+–[\d.]+ min left  \d:\d\d gone  epoch 6$", lines[1])
    shown = [name for name in names if any(line.startswith(f"{name} ") for line in lines)]
    left_out = len(names) - len(shown)
    assert any(line.startswith(f"validation +{left_out} ") for line in lines) == bool(left_out)
    assert terminal.flickers == 0
    assert terminal.above == []


def test_the_table_tells_the_best_of_each_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "notes", Screened(Terminal(80, 24)))
    view = TrainingView("dates", 100, 0, watched="bleu")
    for step, bleu, ter in ((10, 20.0, 50.0), (20, 30.0, 60.0), (30, 25.0, 70.0)):
        view.show(Progress("validation", step, 0, scores={"ter": ter, "bleu": bleu}))
    lines = ["".join(text for text, _ in line).split() for line in view.picture(79, 23)][-3:]
    assert lines[0] == ["validation", "best", "at", "step", "10", "20", "30"]
    # the score that is watched comes first; of TER less is better
    assert lines[1] == ["bleu", "▁█▅", "30.00", "20", "20.00", "30.00", "25.00"]
    assert lines[2] == ["ter", "▁▅█", "50.00", "10", "50.00", "60.00", "70.00"]


def test_without_colour_it_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {}
    for colour in (True, False):
        file = io.StringIO()
        monkeypatch.setattr(file, "isatty", lambda: True, raising=False)
        environment = {"TERM": "xterm-256color", **({} if colour else {"NO_COLOR": "1"})}
        screen = Console(
            file=file, force_terminal=True, width=80, height=24, _environ=environment, legacy_windows=False
        )
        watch(monkeypatch, screen, 437)
        written[colour] = file.getvalue()
    colours = re.compile(r"\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")
    assert colours.search(written[True])
    assert not colours.search(written[False])
    # every picture is the same but for when the thread painted one; the last was painted at the end
    last = [re.sub(r"\x1b\[[0-9;]*m", "", text).split("dates ")[-1] for text in written.values()]
    assert last[0] == last[1]


def test_an_interrupted_run_goes_on_with_its_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "notes", Screened(Terminal(80, 24)))
    clock = Clock()
    whole, halves = (TrainingView("dates", TOTAL, start, watched="bleu", clock=clock) for start in (0, 300))
    told = [(step, all_) for step, all_ in records(550, SCORES)]
    halves.recall(record for step, all_ in told for record in all_ if step <= 300)
    for step, all_ in told:
        for record in all_:
            whole.show(record)
            if step > 300:
                halves.show(record)
    # but for the line that tells the time
    assert whole.picture(80, 24)[2:] == halves.picture(80, 24)[2:]


def test_early_stopping_makes_the_rest_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "notes", Screened(Terminal(80, 24)))
    clock = Clock()
    view = TrainingView("dates", TOTAL, 0, validate_every=500, clock=clock, may_end_early=True)
    played(view, clock, 90)
    line = "".join(text for text, _ in view.picture(80, 24)[1])
    assert "  at most " in line
    assert " left, validation not counted  " in line


def test_what_is_not_as_it_should_be_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "notes", Console(file=file, width=80, highlight=False))
    train = Progress("train", 90, 2, 0.0312, 1e-4, 0.7, 12345.6, 0.126)
    view = TrainingView("dates", 100, 0)
    for record in (
        Progress("spike", 90, 2, loss=9.5, usual_loss=2.25),
        Progress("rewind", 94, 2, back_to=50),
        Progress("memory", 95, 2, pieces=4),
        replace(train, spikes=3),
    ):
        view.show(record)
    lines = file.getvalue().splitlines()
    assert lines[:3] == [
        "warning: the loss of step 90 is 9.50, usual is 2.25",
        "warning: after step 94 weights and optimizer are those of step 50 again",
        "warning: a batch did not fit into memory; from step 96 on each is taken in 4 pieces",
    ]
    assert lines[3].endswith("spikes 3")
    terminal = Terminal(80, 24)
    monkeypatch.setattr(console, "notes", Screened(terminal))
    with TrainingView("dates", 100, 0) as moving:
        moving.show(replace(train, loss=None))
        moving.show(Progress("rewind", 94, 2, back_to=50))
    assert terminal.screen[0] == lines[1], "above the picture"
    assert terminal.screen[1].startswith("dates ")


def test_samples_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = (("\x1b[2J\x07a\rb\nc", "שלום 你好", "x" * 5000),)
    record = Progress("validation", 10, 0, scores={"loss": 1.0}, samples=samples)
    terminal = Terminal(80, 24)  # it refuses all that is no picture
    monkeypatch.setattr(console, "notes", Screened(terminal))
    with TrainingView("dates", 100, 0) as view:
        view.show(record)
    assert terminal.screen[-3:] == ["source   �[2J�a�b�c", "target   שלום 你好", "written  " + "x" * 69 + "…"]
    file = io.StringIO()
    monkeypatch.setattr(console, "notes", Console(file=file, highlight=False))
    TrainingView("dates", 100, 0).show(record)
    assert file.getvalue().splitlines()[1:] == ["  �[2J�a�b�c", "  → " + "x" * 200 + "…"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_a_run_on_a_real_terminal_that_is_resized_and_interrupted(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    """80×24 at first, 60×15 once all is there; then Ctrl-C, as a terminal sends it."""
    leader, follower = os.openpty()
    set_size(follower, 80, 24)
    modes = termios.tcgetattr(follower)
    terminal, read = Terminal(80, 24), codecs.getincrementaldecoder("utf-8")()
    resized_at = interrupted_at = 0
    # readline leaves these in a process that has loaded it, as pytest's workers have; they hold against the terminal's own size
    surroundings = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "train", "copy", *tiny, "training.steps=100000", f"run={tmp_path / 'run'}"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**surroundings, "TERM": "xterm", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        while process.poll() is None or select.select([leader], [], [], 0)[0]:
            if not select.select([leader], [], [], 0.1)[0]:
                continue
            terminal.write(read.decode(os.read(leader, 65536)))
            lines = terminal.screen
            # a picture that is under way already would be one for the old size
            calm = not select.select([leader], [], [], 0)[0]
            if not resized_at and calm and any(line.startswith("written ") for line in lines):
                set_size(follower, 60, 15)
                terminal.resize(60, 15)
                resized_at = terminal.writes
            elif resized_at and not interrupted_at and terminal.writes > resized_at + 8:
                started = [line for line in lines if line.startswith(("run ", "step "))]
                assert len(started) == 2, "the head of the picture, once"
                assert max(map(len, lines)) < 60
                os.write(leader, b"\x03")
                interrupted_at = terminal.writes
    assert interrupted_at
    assert process.returncode == 130
    assert termios.tcgetattr(follower) == modes
    # after the last picture, on lines of its own
    text = "".join(terminal.screen)
    assert text.count("a checkpoint is saved") == 1
    assert "Traceback" not in text
    os.close(leader)
    os.close(follower)


def set_size(terminal: int, width: int, height: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
