from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from seqcli.analysis.attention_kinds import merge_words
from seqcli.figures.attention import attention_beside, attention_figure
from seqcli.figures.attention_sheet import Block, attention_sheet, sheet_of_kinds
from seqcli.figures.style import DARK, LIGHT, weight_colours

SOURCE, TARGET = list("5. märz"), list("05-03")


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts that are drawn over each other."""
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in texts]
    return [(one, other) for i, (one, box) in enumerate(boxes) for other, second in boxes[:i] if box.overlaps(second)]


def random_weights(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(3).dirichlet(np.ones(shape[-1]), size=shape[:-1])


def drawn_labels(axis: object) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]  # type: ignore[attr-defined]


def test_a_map_shows_the_weights_and_names_every_row_and_column() -> None:
    weights = random_weights(5, 7)
    figure = attention_figure(weights, SOURCE, TARGET, title="$5$ → $x$")
    axes = figure.axes[0]
    assert np.array_equal(axes.images[0].get_array(), weights)
    assert axes.images[0].get_clim() == (0, 1)
    assert drawn_labels(axes.xaxis) == ["5", ".", "␣", "m", "ä", "r", "z"]
    assert drawn_labels(axes.yaxis) == TARGET
    assert axes.xaxis.get_ticks_position() == "top"
    assert axes.yaxis_inverted()  # the first target symbol is the top row
    assert [text.get_text() for text in axes.texts] == ["$5$ → $x$"]
    assert not axes.texts[0].get_parse_math()


@pytest.mark.parametrize(("length", "least_points"), [(1, 9), (10, 9), (40, 7), (80, 7), (150, 7)])
def test_cells_stay_square_and_labels_readable_and_apart_at_any_length(length: int, least_points: float) -> None:
    figure = attention_figure(random_weights(7, length), ["m"] * length, TARGET + ["7", "8"])
    axes = figure.axes[0]
    box = axes.get_position()
    width, height = figure.get_size_inches() * (box.width, box.height)
    assert width / length == pytest.approx(height / 7)
    labels = axes.get_xticklabels()
    assert all(label.get_fontsize() >= least_points for label in labels)
    edges = [label.get_window_extent() for label in labels]
    assert all(left.x1 <= right.x0 for left, right in zip(edges, edges[1:], strict=False))


@pytest.mark.parametrize("title", [None, "a title that is a good deal wider than the map below it"])
@pytest.mark.parametrize("target", [["1"], ["Donaudampfschifffahrtsgesellschaft", "."]])
def test_nothing_is_cut_off_and_no_paper_wasted(title: str | None, target: list[str]) -> None:
    figure = attention_figure(random_weights(len(target), 3), ["Ein", "sehr", "langes"], target, title=title)
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    margins = [drawn.x0, drawn.y0, width - drawn.x1, height - drawn.y1]
    assert margins == pytest.approx([0.1] * 4, abs=0.03)


def test_labels_that_do_not_fit_the_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(5, 7\) with 7 target and 5 source"):
        attention_figure(random_weights(5, 7), TARGET, SOURCE)
    with pytest.raises(ValueError, match="titles for 1×3"):
        attention_sheet(random_weights(2, 3, 5, 7), SOURCE, TARGET, row_titles=["only one"])


def test_a_mark_alone_stands_on_a_circle() -> None:
    figure = attention_figure(random_weights(1, 2), ["न", "ि"], ["\t"])
    assert drawn_labels(figure.axes[0].xaxis) == ["न", "◌ि"]
    assert drawn_labels(figure.axes[0].yaxis) == ["⇥"]


def test_a_sheet_shows_every_head_and_names_symbols_at_its_edges_only() -> None:
    weights = random_weights(6, 8, 5, 7)
    figure = attention_sheet(weights, SOURCE, TARGET, title="5. märz")
    maps, bar = figure.axes[:-1], figure.axes[-1]
    assert len(maps) == 48
    assert not bar.images or bar.get_label() == "<colorbar>"
    for place, axes in enumerate(maps):
        layer, head = divmod(place, 8)
        assert np.array_equal(axes.images[0].get_array(), weights[layer, head])
        assert len(drawn_labels(axes.xaxis)) == (7 if layer == 0 else 0)
        assert len(drawn_labels(axes.yaxis)) == (5 if head == 0 else 0)
        assert axes.get_title() == (f"head {head + 1}" if layer == 0 else "")
        assert axes.get_ylabel() == (f"layer {layer + 1}" if head == 0 else "")
    boxes = [axes.get_window_extent() for axes in maps]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_words_get_the_sum_and_give_the_mean() -> None:
    # Source: "a" + "b c"; target: "x y" + "z". Row x gives b and c .3 + .5 = .8, row y gives them .6; their mean is .7.
    weights = np.array([[0.2, 0.3, 0.5], [0.4, 0.1, 0.5], [1.0, 0.0, 0.0]])
    merged = merge_words(weights, [(0, 2), (2, 3)], [(0, 1), (1, 3)])
    assert merged == pytest.approx(np.array([[0.3, 0.7], [1.0, 0.0]]))


def test_rows_of_merged_words_still_sum_to_one_in_every_head() -> None:
    merged = merge_words(random_weights(2, 4, 6, 9), [(0, 1), (1, 4), (4, 6)], [(0, 5), (5, 6), (6, 9)])
    assert merged.shape == (2, 4, 3, 3)
    assert merged.sum(-1) == pytest.approx(np.ones((2, 4, 3)))


@pytest.mark.parametrize(
    "spans", [[(0, 2)], [(0, 2), (1, 3)], [(0, 1), (2, 3)], [(0, 0), (0, 3)], [], [(1, 3)], [(0, 4)]]
)
def test_spans_that_miss_or_repeat_a_position_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="do not cover"):
        merge_words(random_weights(3, 3), [(0, 3)], spans)
    with pytest.raises(ValueError, match="do not cover"):
        merge_words(random_weights(3, 3), spans, [(0, 3)])


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_equal_steps_of_weight_are_equal_steps_of_lightness(theme: object) -> None:
    colours = weight_colours(theme)(np.linspace(0, 1, 256))[:, :3]  # type: ignore[arg-type]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    # CIE L*, another measure of lightness than the one that the scale was made by.
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)
    steps = np.diff(lightness) * (1 if theme is DARK else -1)
    assert (steps > 0).all()
    assert abs(lightness[-1] - lightness[0]) > 70
    assert steps.max() < 2.5 * steps.mean()


def test_drawing_leaves_no_warnings_and_no_settings_behind() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention_figure(random_weights(2, 3), ["日本", "ꯀ", "🙂"], ["हि", "ع"], dark=True)
    assert dict(matplotlib.rcParams) == before


def test_maps_side_by_side_share_scale_and_size_and_keep_apart() -> None:
    maps = [
        ("a run with a rather long name, and with its score", random_weights(3, 2), ["▁ein", "</s>"], ["1", "2", "3"]),
        ("other", random_weights(2, 5), list("abcde"), ["Donaudampfschifffahrt", "."]),
    ]
    figure = attention_beside(maps, dark=True)
    first, second, _ = figure.axes
    assert np.array_equal(first.images[0].get_array(), maps[0][1])
    assert np.array_equal(second.images[0].get_array(), maps[1][1])
    assert [drawn_labels(axes.yaxis) for axes in (first, second)] == [maps[0][3], maps[1][3]]
    boxes = [axes.get_window_extent() for axes in (first, second)]
    assert boxes[0].width / 2 == pytest.approx(boxes[1].width / 5)
    assert boxes[0].y1 == pytest.approx(boxes[1].y1)
    names = [axes.texts[0].get_window_extent() for axes in (first, second)]
    assert names[0].y0 == pytest.approx(names[1].y0)
    assert names[0].x1 < names[1].x0
    labels = [label.get_window_extent() for label in second.get_yticklabels()]
    assert all(label.x0 > boxes[0].x1 for label in labels)
    with pytest.raises(ValueError, match="no map"):
        attention_beside([])


def test_maps_that_have_no_room_side_by_side_go_on_below() -> None:
    names = ["dot", "scaled_dot", "multiplicative", "additive", "content"]
    maps = [(name, random_weights(11, 22), list("samstag, 5. märz 2011") + ["</s>"], list("2011-03-05") + ["</s>"]) for name in names]  # fmt: skip
    figure = attention_beside(maps)
    boxes = [axes.get_window_extent() for axes in figure.axes[:-1]]
    assert [round(box.x0 - boxes[0].x0) == 0 for box in boxes] == [True, False, True, False, True]
    assert [boxes[i].y0 > boxes[j].y1 for i, j in ((0, 2), (1, 3), (2, 4))] == [True, True, True]
    assert len({(round(box.width), round(box.height)) for box in boxes}) == 1
    assert figure.get_size_inches()[0] < 14.5
    assert overlapping_texts(figure) == []


def test_a_sheet_of_kinds_has_a_block_for_each() -> None:
    captions = [[("diagonal", "H 0.10  d 1.2"), ("", "H 1.00  d 3.4")], [("antidiagonal", "H 0.50"), ("", "")]]
    blocks = [
        Block("encoder self-attention", random_weights(2, 2, 7, 7), SOURCE, SOURCE, captions),
        Block("cross-attention", random_weights(2, 2, 5, 7), ["lang", *SOURCE[1:]], TARGET, captions),
    ]
    figure = sheet_of_kinds(blocks, note="H: entropy", title="a title")
    maps = figure.axes[:-1]
    for place, axes in enumerate(maps):
        block, layer, head = blocks[place // 4], place % 4 // 2, place % 2
        assert np.array_equal(axes.images[0].get_array(), block.weights[layer, head])
        written = [text.get_text() for text in axes.texts]
        assert [line for line in captions[layer][head] if line] == [text for text in written if text in captions[layer][head] and text]  # fmt: skip
        assert (block.title in written) == (place % 4 == 0)
    assert "H: entropy" in [text.get_text() for text in maps[6].texts]
    assert overlapping_texts(figure) == []


def test_captions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="1×2 maps, but captions for"):
        sheet_of_kinds([Block("", random_weights(1, 2, 5, 7), SOURCE, TARGET, [[("", "")]])])
    with pytest.raises(ValueError, match="no kind of attention"):
        sheet_of_kinds([])
