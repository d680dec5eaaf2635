from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from seqcli.figures.overlay import overlay_figure, overlay_sheet
from seqcli.figures.picture import enlarged, overlaid
from seqcli.figures.style import DARK, LIGHT

WORDS = ["a", "red", "␣", "Quadrat", "."]
QUESTION = ["what", "is", "left", "of", "it", "?"]


def an_image(height: int = 30, width: int = 30) -> NDArray[np.uint8]:
    image = np.full((height, width, 3), 120, dtype=np.uint8)
    image[: height // 2] = (200, 30, 30)
    return image


def some_weights(*shape: int) -> NDArray[np.float64]:
    cells = int(np.prod(shape[-2:]))
    return np.random.default_rng(4).dirichlet(np.ones(cells), size=shape[:-2]).reshape(shape)


def one_hot(row: int, column: int) -> NDArray[np.float64]:
    weights = np.zeros((1, 4, 4))
    weights[0, row, column] = 0.8
    return weights


def panels_of(figure: Figure) -> list[Any]:
    """The axes with a picture in them, of three channels; a scale has one."""
    return [axes for axes in figure.axes if axes.images and axes.images[0].get_array().ndim == 3]


def dots_of(figure: Figure) -> NDArray[np.uint8]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def panel_dots(figure: Figure, panel: int) -> NDArray[np.uint8]:
    dots = dots_of(figure)
    box = panels_of(figure)[panel].get_window_extent()
    top, bottom = len(dots) - round(box.y1), len(dots) - round(box.y0)
    return dots[top:bottom, round(box.x0) : round(box.x1)]


def written(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("dark", [False, True])
def test_the_bare_picture_comes_first_then_a_panel_a_word(dark: bool) -> None:
    image, weights = an_image(), some_weights(5, 3, 4)
    figure = overlay_figure(image, weights, WORDS[:2] + [" "] + WORDS[3:], dark=dark, title="$1$")
    panels = panels_of(figure)
    assert [axes.get_title(loc="left") for axes in panels] == ["", *WORDS]
    picture = enlarged(image, 2.3)
    assert np.array_equal(panels[0].images[0].get_array(), picture)
    for panel, one in zip(panels[1:], weights, strict=True):
        # One scale for all: each map ends where the largest weight of any is.
        assert np.array_equal(panel.images[0].get_array(), overlaid(picture, one, weights.max()))
    assert "$1$" in written(figure)
    assert figure.get_facecolor()[:3] == to_rgb(DARK.paper if dark else LIGHT.paper)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (3, 1)])
def test_colour_is_where_the_weight_is_and_nowhere_else(row: int, column: int) -> None:
    figure = overlay_figure(np.full((40, 40), 128, np.uint8), one_hot(row, column), ["here"])
    dots = panel_dots(figure, 1).astype(int)
    redness = dots[..., 0] - dots[..., 2]
    side = len(dots) / 4
    middle = (int((row + 0.5) * side), int((column + 0.5) * side))
    assert redness[middle] > 150
    # Two cells further the picture is grey, as it was.
    far = (int(((row + 2) % 4 + 0.5) * side), int(((column + 2) % 4 + 0.5) * side))
    assert redness[far] == 0
    down, across = np.unravel_index(redness.argmax(), redness.shape)
    assert (int(down / side), int(across / side)) == (row, column)


def test_a_bar_says_what_the_largest_weight_is() -> None:
    figure = overlay_figure(an_image(), one_hot(1, 1), ["x"])
    bar = figure.axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "0.8"]
    assert bar.get_ylabel() == "weight of a cell"


@pytest.mark.parametrize(
    ("shape", "words", "columns"), [((75, 75), 1, 2), ((75, 75), 11, 4), ((40, 176), 11, 3), ((224, 224), 19, 5)]
)
def test_the_sheet_has_a_pleasant_shape(shape: tuple[int, int], words: int, columns: int) -> None:
    figure = overlay_figure(an_image(*shape), some_weights(words, 3, 3), ["w"] * words)
    panels = panels_of(figure)
    assert len({round(axes.get_position().x0, 6) for axes in panels}) == columns
    boxes = [axes.get_window_extent() for axes in panels]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert boxes[0].width / boxes[0].height == pytest.approx(shape[1] / shape[0], rel=0.02)
    assert figure.get_size_inches()[0] < 12


def test_the_number_of_columns_can_be_given() -> None:
    figure = overlay_figure(an_image(), some_weights(5, 3, 3), WORDS, columns=6)
    assert len({round(axes.get_position().y0, 6) for axes in panels_of(figure)}) == 1


def test_a_long_word_stays_above_its_panel() -> None:
    figure = overlay_figure(an_image(), some_weights(1, 2, 2), ["Donaudampfschifffahrtsgesellschaftskapitän"])
    dots_of(figure)
    panel = panels_of(figure)[1]
    title, box = panel._left_title.get_window_extent(), panel.get_window_extent()
    assert title.x0 >= box.x0 - 1
    assert title.x1 <= box.x1 + 1


def test_a_box_is_outlined_where_there_is_one() -> None:
    boxes = [None, (0.25, 0.5, 0.75, 1.0), None, None, None]
    figure = overlay_figure(an_image(), some_weights(5, 3, 3), WORDS, boxes=boxes)
    panels = panels_of(figure)
    assert [bool(axes.patches) for axes in panels] == [False, False, True, False, False, False]
    height, width = panels[2].images[0].get_size()
    for outline in panels[2].patches:
        assert isinstance(outline, Rectangle)
        assert not outline.get_fill()
        place = (*outline.get_xy(), outline.get_width(), outline.get_height())
        assert place == pytest.approx((width / 4 - 0.5, height / 2 - 0.5, width / 2, height / 2))


@pytest.mark.parametrize("dark", [False, True])
def test_a_question_stands_below_each_panel_and_is_marked_by_its_weights(dark: bool) -> None:
    text_weights = np.array([[0.0, 0.1, 0.4, 0.0, 0.0, 0.0], [0.2, 0.2, 0.2, 0.2, 0.0, 0.0]])
    figure = overlay_figure(
        an_image(),
        np.stack([np.full((2, 2), 0.125), np.full((2, 2), 0.05)]),
        ["red", "</s>"],
        context_weights=text_weights,
        context_words=QUESTION,
        dark=dark,
    )
    strips = [axes for axes in figure.axes if [text.get_text() for text in axes.texts] == QUESTION]
    opacity = [[patch.get_facecolor()[3] for patch in axes.patches] for axes in strips]
    assert len(strips) == 3
    assert opacity[0] == [0] * 6  # below the bare picture
    assert opacity[1][2] == max(opacity[1]) > opacity[1][1] > opacity[1][0] == 0
    assert opacity[2][0] == opacity[2][3] > opacity[2][4] == 0
    assert opacity[1][1] < opacity[2][0] < opacity[1][2]  # one scale for all: 0.1 < 0.2 < 0.4
    assert [axes.get_title(loc="right") for axes in panels_of(figure)] == ["", "image 50%", "image 20%"]
    assert [axes.get_ylabel() for axes in figure.axes[-2:]] == ["weight of a cell", "weight of a word"]
    assert figure.axes[-1].get_yticklabels()[-1].get_text() == "0.4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": ["one"]}, r"\(5, 3, 4\) with 1 words"),
        ({"weights": some_weights(5, 12)}, r"\(5, 12\) with 5 words"),
        ({"words": [], "weights": np.zeros((0, 3, 4))}, "with 0 words"),
        ({"image": np.zeros((3, 3, 3))}, "must be uint8"),
        ({"boxes": [None]}, "1 boxes with 5 words"),
        ({"context_words": QUESTION}, "go together"),
        ({"context_weights": np.zeros((5, 6))}, "go together"),
        ({"context_words": QUESTION, "context_weights": np.zeros((6, 5))}, r"\(6, 5\); they must be \(5, 6\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"image": an_image(), "weights": some_weights(5, 3, 4), "words": WORDS, **change}
    with pytest.raises(ValueError, match=message):
        overlay_figure(**arguments)


@pytest.mark.parametrize("dark", [False, True])
def test_a_sheet_has_a_row_a_head_and_a_column_a_word(dark: bool) -> None:
    weights = np.zeros((2, 3, 5, 4, 4))
    weights[1, 2, 3, 0, 3] = 0.9  # one head of all looks anywhere, at one word: up to the right
    figure = overlay_sheet(np.full((30, 30), 99, np.uint8), weights, WORDS, dark=dark, title="sheet")
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"layer {layer}, head {head}" for layer in (1, 2) for head in (1, 2, 3)]
    assert [label.get_text() for label in axes.get_xticklabels()] == WORDS
    dots = np.asarray(axes.images[0].get_array()).astype(int)
    redness = dots[..., 0] - dots[..., 2]
    down, across = np.unravel_index(redness.argmax(), redness.shape)
    rows, columns = axes.get_yticks(), axes.get_xticks()
    assert np.abs(rows - down).argmin() == 5
    assert down < rows[5]
    assert np.abs(columns - across).argmin() == 3
    assert across > columns[3]
    # Layers stand further apart than heads.
    assert np.diff(rows)[2] > np.diff(rows)[1] == np.diff(rows)[0]
    assert "sheet" in written(figure)


def test_the_panels_of_a_sheet_have_paper_between_them() -> None:
    figure = overlay_sheet(an_image(), some_weights(1, 2, 3, 2, 2), WORDS[:3])
    opaque = np.asarray(figure.axes[0].images[0].get_array())[..., 3] == 255
    across, down = opaque[0], opaque[:, 0]
    assert np.flatnonzero(np.diff(across.astype(int))).size == 4  # 3 columns, 2 gaps
    assert np.flatnonzero(np.diff(down.astype(int))).size == 2  # 2 rows, 1 gap


def test_a_sheet_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 5, 4, 4\) with 2 words"):
        overlay_sheet(an_image(), some_weights(2, 3, 5, 4, 4), WORDS[:2])
    with pytest.raises(ValueError, match="2×3 rows of maps, but 1 titles"):
        overlay_sheet(an_image(), some_weights(2, 3, 5, 4, 4), WORDS, row_titles=["one"])
