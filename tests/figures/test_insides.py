"""Pictures of activations, gates and embeddings, drawn from plain arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seqcli.analysis.activations import LayerActivity, Spread, Steps
from seqcli.analysis.embeddings import EmbeddingMap
from seqcli.analysis.gates import GateMap, UnitSaturation
from seqcli.analysis.symmetry import Symmetry
from seqcli.figures.activations import activations_figure
from seqcli.figures.embeddings import embeddings_figure, place_labels
from seqcli.figures.gates import gates_figure, saturation_figure


def numbers(scale: float) -> Spread:
    sample = (np.linspace(-1, 1, 101) * scale).astype(np.float32)
    return Spread(0.0, scale / 2, scale / 2, (-scale, -scale / 2, 0.0, scale / 2, scale), sample)


def layer(depth: int, scale: float, steps: Steps | None = None) -> LayerActivity:
    spreads = (numbers(0.1), numbers(scale), numbers(min(scale, 1.0)), numbers(scale * 10.0**-depth))
    about = (f"encoder layer {depth + 1}", "encoder", depth, "tanh")
    return LayerActivity(*about, *spreads, 0.25, None, Symmetry(10, 4, 0.5), steps)


def test_a_row_for_each_model_and_the_layers_below() -> None:
    models = {"small": [layer(depth, 0.1) for depth in range(3)], "large": [layer(depth, 8.0) for depth in range(3)]}
    figure = activations_figure(models, title="two starts")
    assert len(figure.axes) == 2 * 4 + 3
    assert [axes.get_title(loc="left") for axes in (figure.axes[0], figure.axes[4])] == [
        "small   ·   saturated 25%   ·   12 of 30 units distinct",
        "large   ·   saturated 25%   ·   12 of 30 units distinct",
    ]
    # a curve a layer, and the same scale of activations in both rows
    assert [len(axes.patches) for axes in figure.axes[:4]] == [3] * 4
    assert figure.axes[2].get_xlim() == figure.axes[6].get_xlim()
    assert figure.axes[1].get_xlim() != figure.axes[5].get_xlim()
    profile = figure.axes[-1].lines[0].get_ydata()
    assert list(profile) == [0.25, 0.25, 0.25]


def test_columns_by_step_where_layers_go_along_a_sequence() -> None:
    steps = Steps(np.array([2, 1]), np.array([0.5, 0.4]), np.array([1e-3, 0.0]), None, np.zeros((2, 5)))
    figure = activations_figure({"one": [layer(0, 0.5, steps)]}, dark=True)
    assert len(figure.axes) == 6 + 3
    # a gradient of 0 has no logarithm; it is drawn at the end of the scale
    assert list(figure.axes[5].lines[0].get_ydata()) == [1e-3, 1e-12]


def test_nothing_to_draw() -> None:
    for draw in (activations_figure, lambda models: gates_figure([]), lambda models: saturation_figure([])):
        with pytest.raises(ValueError, match="to draw"):
            draw({})
    with pytest.raises(ValueError, match="to draw"):
        embeddings_figure([])


def test_gates_have_their_most_open_unit_on_top() -> None:
    values = np.array([[0.1, 0.2], [0.9, 1.0], [0.5, 0.5]], dtype=np.float32)
    one = GateMap("encoder", 1, False, "forget", ("a", "</s>"), values)
    figure = gates_figure([one, replace(one, gate="input")])
    shown = figure.axes[0].images[0].get_array()
    assert shown is not None
    np.testing.assert_array_equal(np.asarray(shown), values[[1, 2, 0]])
    assert figure.axes[0].get_title(loc="left") == "encoder layer 1 forget (open: the cell stays)"
    assert [mark.get_rotation() for mark in figure.axes[1].get_xticklabels()] == [0, 90]
    assert list(figure.axes[1].lines[0].get_ydata()) == pytest.approx([0.5, 1.7 / 3])


def test_saturation_has_a_dot_for_each_unit() -> None:
    one = UnitSaturation("decoder", 2, False, "update", 7, 0.3, np.array([0.1, 0.2]), np.array([0.8, 0.0]))
    dots = saturation_figure([one]).axes[0].collections[0].get_offsets()
    np.testing.assert_array_equal(np.asarray(dots), [[0.8, 0.1], [0.0, 0.2]])


def test_labels_do_not_overlap() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(0, 2, (60, 2))
    spots = place_labels(points, [0.4] * 60, 0.12)
    placed = [spot for spot in spots if spot is not None]
    assert 10 < len(placed) < 60
    for number, one in enumerate(placed):
        for other in placed[:number]:
            assert abs(one[0] - other[0]) >= 0.4 - 1e-9 or abs(one[1] - other[1]) >= 0.12 - 1e-9
    # a lone point has its label at its right
    (alone,) = place_labels(np.array([[1.0, 1.0]]), [0.3], 0.1)
    assert alone is not None
    assert alone[0] > 1.0


def test_embeddings_say_what_share_of_the_variance_is_seen() -> None:
    one = EmbeddingMap("source", ("ab", "c"), np.array([[0.0, 1.0], [2.0, 0.0]]), (0.5, 0.25), ((), ()), 9, 4)
    axes = embeddings_figure([one]).axes[0]
    assert axes.get_title(loc="left") == "source: 2 of 9 symbols"
    assert axes.get_xlabel() == "first component, 50.0% of the variance"
    assert [text.get_text() for text in axes.texts] == ["ab", "c"]
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    assert right - left == pytest.approx(high - low)
