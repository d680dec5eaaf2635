from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
from matplotlib.figure import Figure

from seqcli.errors import DataError, RecipeError
from seqcli.figures.curves import band_of, curves_figure


def train(step: int, loss: float = 1.0) -> dict[str, Any]:
    return {"event": "train", "step": step, "loss": loss, "learning_rate": 1e-3, "grad_norm": 0.5, "scores": {}}


def validation(step: int, **scores: float) -> dict[str, Any]:
    return {"event": "validation", "step": step, "loss": None, "learning_rate": None, "scores": scores}


RUN = [train(10, 3.0), validation(10, loss=3.1, bleu=4.0), train(20, 2.0), validation(20, loss=2.2, bleu=9.0)]


def panels(figure: Figure) -> dict[str, list[tuple[list[float], list[float]]]]:
    """What is drawn: panel → (steps, values) of each line that has any."""
    return {
        axes.get_title(loc="left"): [
            (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if len(line.get_xdata())
        ]
        for axes in figure.axes
    }


def test_a_panel_for_every_score_with_training_and_validation_apart() -> None:
    drawn = panels(curves_figure({"dates": RUN}))
    assert list(drawn) == ["loss", "learning rate", "grad norm", "bleu"]
    assert drawn["loss"] == [([10, 20], [3.0, 2.0]), ([10, 20], [3.1, 2.2])]
    assert drawn["learning rate"] == [([10, 20], [1e-3, 1e-3])]
    assert drawn["bleu"] == [([10, 20], [4.0, 9.0])]


def test_runs_share_panels_and_have_colours_and_a_key() -> None:
    runs = {f"run {number}": [*RUN, validation(30 + number, bleu=number)] for number in range(9)}
    figure = curves_figure(runs, metrics=["bleu", "loss"])
    assert list(panels(figure)) == ["bleu", "loss"]
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 9
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [*runs, "training", "validation"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert figure.axes[0].get_xlim()[0] == 0


def test_the_band_by_hand() -> None:
    """Mean 2 between 1 and 3, then 4 between 2 and 7."""
    steps, mean, lowest, highest = band_of([([10, 20], [1.0, 2.0]), ([10, 20], [2.0, 3.0]), ([10, 20], [3.0, 7.0])])
    assert steps.tolist() == [10, 20]
    assert (mean.tolist(), lowest.tolist(), highest.tolist()) == ([2.0, 4.0], [1.0, 2.0], [3.0, 7.0])


def test_the_band_is_where_all_runs_are_and_between_steps_on_a_straight_line() -> None:
    """The second run has begun at 10 and is at 30; at 15 it is halfway from 4 to 8, at 25 from 8 to 0."""
    steps, mean, lowest, highest = band_of([([5, 15, 25, 35], [9.0, 2.0, 2.0, 9.0]), ([10, 20, 30], [4.0, 8.0, 0.0])])
    assert steps.tolist() == [10, 15, 20, 25, 30]
    # the first at 10 is halfway from 9 to 2, and at 30 from 2 to 9
    assert mean.tolist() == [4.75, 4.0, 5.0, 3.0, 2.75]
    assert lowest.tolist() == [4.0, 2.0, 2.0, 2.0, 0.0]
    assert highest.tolist() == [5.5, 6.0, 8.0, 4.0, 5.5]
    assert band_of([([1, 2], [1.0, 1.0]), ([3, 4], [1.0, 1.0])])[0].tolist() == [], "no step in common"
    # a run that has no such score yet is left out
    assert band_of([([1], [4.0]), ([], [])])[1].tolist() == [4.0]
    assert band_of([])[0].tolist() == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_group_is_one_line_with_a_band_and_the_key_says_what_it_is(dark: bool) -> None:
    runs = {
        "a": [train(10, 1.0), train(20, 2.0)],
        "b": [train(10, 3.0), train(20, 6.0)],
        "c": [train(10, 9.0), train(20, 9.0), validation(20, bleu=7.0)],
    }
    figure = curves_figure(runs, groups={"attention=none": ["a", "b"], "attention=dot": ["c"]}, dark=dark)
    assert panels(figure)["loss"] == [([10, 20], [2.0, 4.0]), ([10, 20], [9.0, 9.0])]
    loss = figure.axes[0]
    assert len(loss.collections) == 1, "one band, of the group of two"
    corners = loss.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in corners.tolist()} == {(10, 1), (10, 3), (20, 2), (20, 6)}
    legend = loss.get_legend()
    assert legend is not None
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["attention=none (2 runs)", "attention=dot", "training", "validation", "lowest to highest run"]


def test_a_single_group_has_its_runs_in_the_title() -> None:
    figure = curves_figure({"a": RUN, "b": RUN}, groups={"a": ["a", "b"]})
    assert [text.get_text() for text in figure.axes[0].texts] == ["a (2 runs)"]


def test_one_runs_name_is_the_title_and_the_key_has_what_is_drawn() -> None:
    figure = curves_figure({"runs/$1": RUN}, metrics=["bleu"])
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["validation"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["runs/$1"]


def test_a_validation_loss_may_be_the_records_own() -> None:
    drawn = panels(curves_figure({"a": [{"event": "validation", "step": 5, "loss": 2.5, "scores": {}}]}))
    assert drawn == {"loss": [([5], [2.5])]}


def test_a_resumed_run_is_drawn_once() -> None:
    drawn = panels(
        curves_figure({"a": [train(10, 3.0), train(20, 9.0), train(30, 9.0), train(20, 2.0), train(30, 1.0)]})
    )
    assert drawn["loss"] == [([10, 20, 30], [3.0, 2.0, 1.0])]


def test_odd_values_draw_without_a_warning() -> None:
    records = [{**train(step, math.nan), "grad_norm": 0.0} for step in (0, 1)] + [validation(1, perplexity=math.inf)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(panels(curves_figure({"a": records}))) == ["loss", "learning rate", "grad norm", "perplexity"]


def test_an_unknown_metric_and_an_empty_run_are_told() -> None:
    with pytest.raises(RecipeError, match=r"'chrf'; there are loss, learning_rate, grad_norm, bleu"):
        curves_figure({"a": RUN}, metrics=["loss", "chrf"])
    for runs in ({}, {"a": []}, {"a": [{"event": "checkpoint", "step": 3}]}):
        with pytest.raises(DataError, match="nothing to draw"):
            curves_figure(runs)
