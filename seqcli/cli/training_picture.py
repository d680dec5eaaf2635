"""The picture of a model that learns: curves, a table of scores, and samples, as many of them as there is room for."""

from __future__ import annotations

from rich.cells import cell_len

from seqcli.cli.console import excerpt, figure
from seqcli.cli.history import History, training_figures
from seqcli.cli.screen import Line, cropped, fit
from seqcli.cli.sparkline import Curve

LABEL, VALUE, STEP = 14, 9, 9
"""Columns of a name, of a number, and of a step in the head of a table."""
WIDEST_CURVE, TALLEST_CURVE = 100, 8
SAMPLE = ("source", "target", "written")
CURVES = ("loss", "gradient norm", "learning rate")


def training_picture(head: list[Line], history: History, width: int, height: int) -> list[Line]:
    """In at most `width` columns and `height` rows; what matters least is left out first, of the `head` its upper lines."""
    rows = _Rows(height, history)
    blocks = [
        head[-height:],
        _training(history, width, rows) if rows.training else [],
        _scores(history, width, rows) if rows.scores else [],
        _samples(history, width, rows.samples, rows.apart) if rows.samples else [],
    ]
    lines: list[Line] = []
    for block in blocks:
        if block:
            lines += [[], *block] if lines and rows.spaced else block
    return [cropped(line, width) for line in lines[:height]]


def _training(history: History, width: int, rows: _Rows) -> list[Line]:
    """A curve for each of the first figures, and the others in a line."""
    lines: list[Line] = []
    figures = dict(training_figures(history.latest)) if history.latest else {}
    bounds = {name: _bounds(name, history.curves[name]) for name in CURVES[: rows.curves]}
    # as wide as each other, so that what is above each other happened at once
    length = min(width - LABEL - VALUE - max(map(len, bounds.values())) - 4, WIDEST_CURVE)
    for name in bounds:
        curve = history.curves[name]
        drawn = curve.draw(length, rows.tall if name == "loss" else 1) if length >= 8 else [""]
        for row, points in enumerate(drawn):
            first = row == 0
            lines.append(
                [
                    (fit(name if first else "", LABEL).ljust(LABEL), ""),
                    (figures[name].rjust(VALUE) if first else " " * VALUE, "bold"),
                    (f"  {points.ljust(max(length, 0))}", "cyan"),
                    (f"  {bounds[name]}" if first and length >= 8 else "", "dim"),
                ]
            )
    if rows.figures:
        rest = [f"{name} {value}" for name, value in figures.items() if name not in CURVES[: rows.curves]]
        while len(rest) > 1 and len("  ".join(rest)) > width:
            rest.pop()
        lines.append([(fit("  ".join(rest), width), "")])
    return lines


def _scores(history: History, width: int, rows: _Rows) -> list[Line]:
    """A table: a row for each score, with its curve, the best value and when it was, and the latest ones."""
    names = history.score_names()
    cut = len(names) - rows.scores
    title = f"validation +{cut}" if cut else "validation"
    label = min(max(map(cell_len, [*names, title])), max(LABEL, width // 6))
    left = width - label
    best = left >= VALUE + 2 * STEP + 3
    left -= (VALUE + STEP + 2) if best else 0
    curve = min(max(left // 3, 0), WIDEST_CURVE // 2) if left >= 40 else 0
    left -= curve + 2 if curve else 0
    latest = history.validations[-max(1, left // (STEP + 1)) :]
    head: list[tuple[str, str]] = [(_padded(title, label), "bold")]
    if curve:
        head.append((" " * (2 + curve), ""))
    if best:
        head.append((f" {'best':>{VALUE}} {'at step':>{STEP}}", "bold"))
    head += [(f" {fit(str(one.step), STEP):>{STEP}}", "bold") for one in latest]
    lines: list[Line] = [head]
    for name in names[: rows.scores]:
        line = [(_padded(name, label), "bold" if name == history.watched else "")]
        if curve:
            line.append(("  " + history.score_curves[name].draw(curve)[0].ljust(curve), "cyan"))
        if best:
            value, step = history.best[name]
            line.append((f" {figure(value):>{VALUE}} {step:>{STEP}}", ""))
        for one in latest:
            line.append((f" {figure(one.scores[name]) if name in one.scores else '':>{STEP}}", ""))
        lines.append(line)
    return lines


def _samples(history: History, width: int, count: int, apart: bool) -> list[Line]:
    """The first `count` samples, with an empty line between them if they stand `apart`."""
    lines: list[Line] = []
    for sample in history.samples[:count]:
        lines += [[]] * (apart and bool(lines))
        for label, text in zip(SAMPLE, sample, strict=True):
            style = "bold" if label == "written" else ""
            lines.append([(label.ljust(9), "dim"), (fit(excerpt(text), max(width - 9, 0)), style)])
    return lines


class _Rows:
    """Which parts fit into `height` rows beside the head: the first of each kind before the second of any."""

    def __init__(self, height: int, history: History) -> None:
        self.left = height - 2
        self.curves, self.tall, self.figures, self.scores, self.samples = 0, 1, 0, 0, 0
        self.spaced, self.apart = height >= 12, False
        gap = int(self.spaced)
        names = len(history.score_names())
        samples = len(history.samples)
        if history.latest is not None:
            self.curves = self._take(1 + gap)
        if names and self._take(2 + gap):
            self.scores = 1
        if samples and self._take(3 + gap):
            self.samples = 1
        if self.curves:
            self.figures = self._take(1)
            self.curves += sum(self._take(1) for _ in CURVES[1:])
        self.scores += sum(self._take(1) for _ in range(names - 1)) if self.scores else 0
        self.samples += sum(self._take(3) for _ in range(samples - 1)) if self.samples else 0
        self.apart = self.samples > 1 and bool(self._take(self.samples - 1))
        if self.curves:
            self.tall += sum(self._take(1) for _ in range(TALLEST_CURVE - 1))

    @property
    def training(self) -> bool:
        """Whether anything of training is shown."""
        return self.curves > 0

    def _take(self, rows: int) -> int:
        """1 and so many rows fewer, or 0 where they are not there."""
        if rows > self.left:
            return 0
        self.left -= rows
        return 1


def _bounds(name: str, curve: Curve) -> str:
    if curve.low > curve.high:
        return ""
    low, high = (f"{bound:.2e}" if name == "learning rate" else figure(bound) for bound in (curve.low, curve.high))
    return f"{low} to {high}"


def _padded(text: str, width: int) -> str:
    shown = fit(text, width)
    return shown + " " * (width - cell_len(shown))
