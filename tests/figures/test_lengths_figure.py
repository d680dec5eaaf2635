"""Score against length: what is drawn is what was measured, and what rests on little shows it."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from seqcli.analysis.lengths import LengthCurve, LengthScore
from seqcli.figures.lengths import FEW, lengths_figure


def score(low: int, high: int, count: int, value: float, runs: tuple[float, ...] = (0.0,)) -> LengthScore:
    return LengthScore(low, high, count, (low + high) / 2, value, (max(0.0, value - 5), min(100.0, value + 5)), runs)


CURVES = [
    LengthCurve("attention=none", (score(1, 5, 400, 90.0), score(6, 10, FEW, 40.0), score(11, 30, FEW - 1, 3.0))),
    LengthCurve(
        "attention=additive",
        (
            score(1, 5, 400, 95.0, (94.0, 96.0)),
            score(6, 10, FEW, 93.0, (92.0, 94.0)),
            score(11, 30, 29, 90.0, (90, 90)),
        ),
    ),
]


def drawn(**options: object) -> Figure:
    return lengths_figure(CURVES, "exact_match", **options)  # type: ignore[arg-type]


def told(figure: Figure) -> list[str]:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("dark", [False, True])
def test_values_intervals_and_counts_are_drawn(dark: bool) -> None:
    figure = drawn(dark=dark)
    scores, counts = figure.axes
    lines = [list(line.get_ydata()) for line in scores.lines]
    assert [90.0, 40.0, 3.0] in lines
    assert [95.0, 93.0, 90.0] in lines
    assert [35.0, 45.0] in lines, "an interval"
    assert [94.0, 96.0] in lines, "each of two runs"
    assert [patch.get_height() for patch in counts.patches] == [400, 30, 29]
    assert [(patch.get_x(), patch.get_width()) for patch in counts.patches] == [(0.5, 5), (5.5, 5), (10.5, 20)]
    assert [text.get_text() for text in counts.texts] == ["400", "30", "29"]
    assert scores.get_xlim() == counts.get_xlim()


def test_a_point_of_few_sentences_is_hollow() -> None:
    figure = drawn()
    points = [line for line in figure.axes[0].lines if line.get_marker() in "os" and len(line.get_xdata()) == 1]
    hollow = [line.get_markerfacecolor() == "#ffffff" for line in points]
    assert hollow == [False, False, True] * 2
    assert f"fewer than {FEW} sentences" in told(figure)
    sure = lengths_figure([LengthCurve("a", (score(1, 5, 400, 90.0),))], "bleu")
    assert told(sure) == ["a", "95 % interval"]


def test_the_longest_in_training_stands_where_longer_ones_were_tested() -> None:
    assert "longest in training" in told(drawn(trained_to=[10]))
    assert 10.5 in [line.get_xdata()[0] for line in drawn(trained_to=[10]).axes[0].lines]
    assert "longest in training" not in told(drawn(trained_to=[30]))


def test_the_key_counts_the_runs_of_a_mean() -> None:
    assert told(drawn())[:2] == ["attention=none", "attention=additive (mean of 2 runs)"]


def test_a_scale_of_shares_is_shown_whole_and_another_is_not() -> None:
    assert drawn().axes[0].get_ylim() == (-4, 104)
    flat = lengths_figure([LengthCurve("a", (score(1, 5, 400, 90.0), score(6, 9, 400, 92.0)))], "bleu")
    assert flat.axes[0].get_ylim() != (-4, 104)
