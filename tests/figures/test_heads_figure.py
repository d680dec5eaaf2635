from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from seqcli.analysis.attention_kinds import KindName
from seqcli.analysis.heads import Head, Pattern
from seqcli.figures.heads import heads_figure


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts that are drawn over each other."""
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in texts]
    return [(one, other) for i, (one, box) in enumerate(boxes) for other, second in boxes[:i] if box.overlaps(second)]


def head_of(
    kind: KindName,
    layer: int,
    head: int,
    pattern: Pattern = "mixed",
    removal: float | None = None,
    distance: float | None = 2.5,
) -> Head:
    return Head(kind, layer, head, 10, 1.0, 0.25 * layer, distance, 0.5, pattern, "", removal)


def test_each_number_stands_in_its_cell() -> None:
    heads = [head_of("encoder", layer, head, "uniform" if head == 2 else "mixed") for layer in (1, 2) for head in (1, 2, 3)]  # fmt: skip
    entropy, distance = heads_figure(heads).axes
    assert entropy.images[0].get_array().tolist() == [[0.25] * 3, [0.5] * 3]
    assert entropy.images[0].get_clim() == (0, 1)
    assert distance.images[0].get_clim() == (0, 2.5)
    written = [(text.get_text(), text.get_position()[0]) for text in entropy.texts if text.get_text() == "uniform"]
    assert written == [("uniform", 1), ("uniform", 1)]
    assert [text.get_text() for text in distance.texts].count("2.50") == 6


def test_a_panel_for_each_measure_of_each_kind() -> None:
    heads = [
        head_of("decoder", 1, 1, removal=0.3),
        head_of("decoder", 1, 2, removal=0.0004),
        head_of("cross", 1, 1, removal=-0.1, distance=None),
        head_of("cross", 1, 2, "antidiagonal", removal=-0.2, distance=None),
    ]
    figure = heads_figure(heads, dark=True, title="a title")
    assert len(figure.axes) == 5  # what is looked at in an image is no distance away
    dead = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text() == "dead"]
    assert len(dead) == 3
    assert overlapping_texts(figure) == []
    with pytest.raises(ValueError, match="no heads"):
        heads_figure([])
