"""Pictures of gradients: everything measured is on them, at its place and on one scale."""

from __future__ import annotations

import numpy as np
import pytest
from analysis.test_flow import chain
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqcli.analysis.flow import Chain, Clipping, GradientFlow, GradientHistory
from seqcli.errors import DataError
from seqcli.figures.gradient_layers import layers_figure
from seqcli.figures.gradients import gradients_figure


def flow(kind: str, step: int, *chains: Chain) -> GradientFlow:
    return GradientFlow(kind, step, 3, 3, 1, 2.5, chains, ())


def history(label: str, kind: str, *, fade: float = 1.0, clipping: bool = False) -> GradientHistory:
    """A model that halves every 1/fade steps on both sides, and after 10 steps of training half as fast."""
    flows = []
    for step, slope in ((0, fade), (10, fade / 2)):
        target = chain([-2 * slope, -slope, 0.0])
        source = chain([-5 * slope, -4 * slope, -3 * slope], side="encoder", start=3)
        flows.append(flow(kind, step, source, target))
    norms = Clipping(np.arange(1, 11), np.linspace(0.5, 2.0, 10), 1.0, 1) if clipping else None
    return GradientHistory(label, tuple(flows), norms)


def lines(axes: Axes) -> dict[str, list[tuple[list[float], list[float]]]]:
    """Colour → (places, lengths) of each line that is a chain."""
    found: dict[str, list[tuple[list[float], list[float]]]] = {}
    for line in axes.lines:
        if line.get_gid():
            found.setdefault(str(line.get_color()), []).append((list(line.get_xdata()), list(line.get_ydata())))
    return found


def key(figure: Figure) -> list[str]:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_a_column_for_each_step_on_one_scale() -> None:
    figure = gradients_figure([history("a", "rnn → rnn", fade=20), history("b", "gru → gru", clipping=True)])
    first, second = figure.axes[:2]
    assert [first.get_title(loc="left"), second.get_title(loc="left")] == ["at initialisation", "after 10 steps"]
    assert first.get_ylim() == second.get_ylim()
    # 2^-80 is on it, 2^-100 is below all that a weight could feel
    assert 1e-30 < first.get_ylim()[0] < 2.0**-80 < 1 < first.get_ylim()[1]
    drawn = lines(first)
    assert len(drawn) == 2
    ((source, target),) = [pair for pair in drawn.values() if pair[1][1][0] == 0.25]
    assert source == ([-5, -4, -3], [2.0**-5, 2.0**-4, 2.0**-3])
    assert target == ([-2, -1, 0], [0.25, 0.5, 1.0])
    assert key(figure) == ["a", "b (60% clipped)"]  # 0.5, 0.67, 0.83 and 1 are not above
    clipping = figure.axes[-1]
    assert clipping.get_xlim() == (0, 10)
    assert [text.get_text() for text in clipping.texts] == ["clipped to 1 above"]


def test_one_panel_has_all_of_its_lines() -> None:
    found = history("a", "rnn → rnn", fade=10)
    figure = gradients_figure([GradientHistory("a", found.flows[:1], None)])
    lowest, highest = figure.axes[0].get_ylim()
    assert lowest < 2.0**-50 < 1 < highest
    assert len(figure.axes) == 2  # no Jacobians, no clipping


def test_half_lives_are_marked_or_said() -> None:
    figure = gradients_figure([history("a", "rnn → rnn"), history("b", "gru → gru", fade=-1)])
    panel = figure.axes[2]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["a", "b"]
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in panel.lines if line.get_marker() == "o"]
    assert marks == [(pytest.approx(1.0), 0), (pytest.approx(1.0), 0)]
    assert [text.get_text() for text in panel.texts] == ["● doubles every 1  ○ doubles every 1"]


def test_a_cell_has_a_colour_and_attention_dashes() -> None:
    models = [history("1", "lstm → lstm"), history("2", "lstm → lstm + attention"), history("3", "gru → gru")]
    legend = gradients_figure(models).axes[0].get_legend()
    assert legend is not None
    looks = [(line.get_color(), line.get_linestyle()) for line in legend.get_lines()]
    assert looks[0][0] == looks[1][0] != looks[2][0]
    assert [style for _, style in looks] == ["-", "--", "-"]
    alike = gradients_figure([history(str(number), "gru → gru") for number in range(9)], dark=True).axes[0].get_legend()
    assert alike is not None
    assert len({(line.get_color(), line.get_linestyle()) for line in alike.get_lines()}) == 9


def test_sheets_of_layers() -> None:
    layers = [chain([-4.0 + layer, -2.0, 0.0], layer=layer) for layer in range(3)]
    with np.errstate(divide="ignore"):
        layers.append(chain([-np.inf, -np.inf, 0.0], layer=3))
    figure = layers_figure(GradientHistory("t", (flow("transformer → transformer", 0, *layers),), None))
    (image,) = figure.axes[0].images
    assert image.get_array().shape == (4, 3)
    assert image.get_array().mask.tolist()[3] == [True, True, False]
    assert image.get_clim() == (pytest.approx(-4 * np.log10(2)), 0.0)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["embeddings", "1", "2", "3"]


def test_nothing_to_draw() -> None:
    empty = GradientHistory("t", (), None)
    for draw in (lambda: gradients_figure([empty]), lambda: gradients_figure([]), lambda: layers_figure(empty)):
        with pytest.raises(DataError, match="nothing to draw"):
            draw()
