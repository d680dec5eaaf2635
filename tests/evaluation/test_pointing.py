"""Pointing: what of a box each cell holds, mass and game by hand, and the boxes of symbols."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.onlookers import COLOURS, FEATURES, pixels, translator_of, words
from numpy.typing import NDArray

from seqcli.data.images import PixelReader
from seqcli.data.subwords import learn_subwords
from seqcli.data.vocabulary import learn_characters
from seqcli.errors import DataError
from seqcli.evaluation import pointing
from seqcli.evaluation.attention import TracedPass, symbol_boxes
from seqcli.evaluation.pointing import inside, pointing_metrics
from seqcli.symbols import EOS, Box, Example
from seqcli.types import Metric

LEFT: Box = (0.0, 0.0, 0.5, 1.0)
RIGHT: Box = (0.5, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("grid", "box", "expected"),
    [
        ((2, 2), (0.0, 0.0, 1.0, 1.0), [[1, 1], [1, 1]]),
        ((2, 2), (0.5, 0.0, 1.0, 0.5), [[0, 1], [0, 0]]),
        # from the middle of the first column to a quarter of the last; the upper half of the row
        ((1, 4), (0.125, 0.0, 0.8125, 0.5), [[0.25, 0.5, 0.5, 0.125]]),
        # a box inside one cell, a tenth by a fifth of the image: 0.2 × 0.4 of the cell
        ((2, 2), (0.6, 0.7, 0.7, 0.9), [[0, 0], [0, 0.08]]),
        # rows and columns are not the same
        ((3, 2), (0.0, 1 / 3, 0.5, 1.0), [[0, 0], [1, 0], [1, 0]]),
    ],
)
def test_how_much_of_a_cell_is_inside(grid: tuple[int, int], box: Box, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(inside(grid, box), expected, atol=1e-12)


def scores(
    monkeypatch: pytest.MonkeyPatch, weights: NDArray[np.float64], examples: list[Example], intervals: int = 0
) -> dict[str, Metric]:
    """Of examples all of whose symbols are attended to by `weights` (L,H,rows,columns)."""
    layers, heads, rows, columns = weights.shape

    def traced(translator: object, batch: object) -> TracedPass:
        flat = torch.from_numpy(weights).view(layers, 1, heads, 1, rows * columns).expand(-1, len(examples), -1, 9, -1)
        # after the cells, two symbols of a text, which do not count
        cross = [torch.cat((0.5 * layer, torch.full((*layer.shape[:-1], 2), 0.25)), dim=-1) for layer in flat]
        return TracedPass({}, cross, (rows, columns))

    monkeypatch.setattr(pointing, "traced_pass", traced)
    return pointing_metrics(translator_of("conv"), examples, ["pointing", "pointing_game"], intervals=intervals)


def example(boxes: tuple[Box | None, ...], target: str = "red green") -> Example:
    return Example("", target, 0, "here:1", image=pixels(["red", "green"]), boxes=boxes)


def test_mass_and_game_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last layer's heads give 0.6 and 0.2, 0.3 and 0.3, 0.1 and 0.5 to three cells in a row: on average 0.4, 0.3, 0.3.

    In the left half are the first cell and half of the second: 0.4 + 0.15. In the right half 0.15 + 0.3. The highest is the first.
    """
    unseen = np.array([[[0.0, 0.0, 1.0]], [[0.0, 0.0, 1.0]]])
    weights = np.stack((unseen, np.array([[[0.6, 0.3, 0.1]], [[0.2, 0.3, 0.5]]])))
    found = scores(monkeypatch, weights, [example((LEFT, RIGHT)), example((LEFT, None))])
    assert found["pointing"].value == pytest.approx(100 * (0.55 + 0.45 + 0.55) / 3)
    assert found["pointing_game"].value == pytest.approx(100 * 2 / 3)
    assert "symbols:3|n:2|" in found["pointing"].signature


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        ((0.0, 0.0, 0.3, 0.3), True),  # the first cell's centre (0.25, 0.25) is in it
        ((0.2, 0.2, 1.0, 1.0), True),
        ((0.3, 0.0, 1.0, 1.0), False),  # part of the cell, but not its centre, and other centres are in it
        ((0.3, 0.3, 0.4, 0.4), True),  # no centre at all: part of the cell is enough
        ((0.3, 0.3, 0.6, 0.6), True),  # the same: part of each of the four
        ((0.6, 0.6, 0.7, 0.7), False),
    ],
)
def test_what_counts_as_a_hit(monkeypatch: pytest.MonkeyPatch, box: Box, hit: bool) -> None:
    weights = np.array([[[[0.7, 0.1], [0.1, 0.1]]]])
    found = scores(monkeypatch, weights, [example((box, None))])
    assert found["pointing_game"].value == 100 * hit


def test_no_attention_on_the_image_is_no_pointing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scores(monkeypatch, np.zeros((1, 1, 2, 2)), [example((LEFT, None))])["pointing"].value == 0


def test_an_interval_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scores(
        monkeypatch, np.array([[[[0.7, 0.3]]]]), [example((LEFT, None)), example((RIGHT, None))], intervals=50
    )
    assert found["pointing"].value == pytest.approx(50)
    low, high = found["pointing"].interval or (0, 0)
    assert low == pytest.approx(30)
    assert high == pytest.approx(70)


def test_even_attention_points_by_area() -> None:
    """An untrained model whose cells are all the same attends to all alike: to a box by its share of the image."""
    translator = translator_of("features")
    with torch.no_grad():
        for parameter in translator.model.encoder.parameters():
            parameter.zero_()
    boxed = replace(example(((0.0, 0.0, 0.3, 0.5), None)), image=np.ones(FEATURES, dtype=np.float32))
    found = pointing_metrics(translator, [boxed], ["pointing"])
    assert found["pointing"].value == pytest.approx(15)


def test_a_filled_up_image_moves_its_boxes() -> None:
    """An image of 8 × 8 in 8 × 16 pixels has the upper half of it, or the left half of 16 × 8."""
    box: Box = (0.25, 0.5, 1.0, 1.0)
    image = np.zeros((3, 8, 8), dtype=np.uint8)
    assert PixelReader(8, 16, fit="pad").framed((box, None), image) == ((0.25, 0.25, 1.0, 0.5), None)
    assert PixelReader(16, 8, fit="pad").framed((box,), image) == ((0.125, 0.5, 0.5, 1.0),)
    assert PixelReader(16, 8, fit="stretch").framed((box,), image) == (box,)
    translator = translator_of("conv")
    translator.image_reader = PixelReader(16, 8, fit="pad")
    assert translator.placed(replace(example((LEFT, None)), image=image)).boxes == ((0.0, 0.0, 0.25, 1.0), None)


def test_a_reference_that_is_cut_points_as_far_as_it_goes() -> None:
    translator = translator_of("conv")
    whole = pointing_metrics(translator, [example((LEFT, None))], ["pointing"])
    translator.longest_target = 2
    cut = pointing_metrics(translator, [example((LEFT, RIGHT))], ["pointing"])
    assert cut["pointing"].value == pytest.approx(whole["pointing"].value)


def test_boxes_of_symbols_and_of_words() -> None:
    ids = [*words().encode("red green"), EOS]
    assert symbol_boxes(words(), example((LEFT, None)), ids) == (LEFT, None, None)
    characters = learn_characters(COLOURS)
    spelt = [*characters.encode("ab cd"), EOS]
    each = (LEFT, LEFT, None, RIGHT, None)
    assert symbol_boxes(characters, example(each), spelt) == (*each, None)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_pieces_of_a_word_share_its_box(kind: str) -> None:
    subwords = learn_subwords(COLOURS * 5, kind=kind, vocabulary_size=24)  # type: ignore[arg-type]
    ids = [*subwords.encode("yellow red"), EOS]
    first = len(subwords.encode("yellow"))
    assert len(ids) > 3
    boxes = symbol_boxes(subwords, example((LEFT, RIGHT)), ids)
    assert boxes == (*[LEFT] * first, *[RIGHT] * (len(ids) - 1 - first), None)


@pytest.mark.parametrize("boxes", [(LEFT,), (LEFT, None, RIGHT)])
def test_too_few_boxes_or_too_many(boxes: tuple[Box | None, ...]) -> None:
    with pytest.raises(DataError, match=f"here:1: {len(boxes)} boxes for 2 symbols of the target; there must be one"):
        pointing_metrics(translator_of("conv"), [example(boxes)], ["pointing"])


def test_what_cannot_point() -> None:
    with pytest.raises(DataError, match="pointing, pointing_game: the data tells of no symbol where"):
        pointing_metrics(translator_of("conv"), [example(()), example((None, None))], ["pointing", "pointing_game"])
    with pytest.raises(DataError, match="there is no image to point at"):
        pointing_metrics(translator_of("gru"), [replace(example((LEFT, None)), source="red", image=None)], ["pointing"])
