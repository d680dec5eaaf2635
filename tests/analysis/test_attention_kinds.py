"""The kinds of attention: what names their rows and columns, and how pieces become words in each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.readers import PAIRS, SETTINGS, maps_between, reader
from evaluation.onlookers import GRU, pixels, translator_of

from seqcli.analysis.attention_kinds import by_words, kinds_of
from seqcli.evaluation.attention import attention_maps
from seqcli.symbols import Example

SOURCE, SOURCE_WORDS = ["▁ein", "▁hau", "s", "</s>"], [(0, 1), (1, 3), (3, 4)]
TARGET, TARGET_WORDS = ["▁a", "▁hou", "se", "</s>"], [(0, 1), (1, 3), (3, 4)]


def test_a_transformer_has_three_kinds() -> None:
    kinds = kinds_of(attention_maps(reader(), PAIRS[:1], SETTINGS)[0])
    assert [(kind.name, kind.weights.shape) for kind in kinds] == [
        ("encoder", (2, 2, 4, 4)),
        ("decoder", (2, 2, 3, 3)),
        ("cross", (2, 2, 3, 4)),
    ]
    encoder, decoder, cross = kinds
    assert encoder.rows == encoder.columns == cross.columns == ("blue", "red", "green", "</s>")
    assert decoder.rows == cross.rows == ("red", "green", "</s>")
    assert decoder.columns == ("<s>", "red", "green")  # what each step had read
    assert decoder.seen.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert (decoder.weights > 0)[0, 0].tolist() == decoder.seen.tolist()
    assert encoder.seen.all()
    assert cross.seen.all()
    for kind in kinds:
        np.testing.assert_allclose(kind.weights.sum(axis=-1), 1, atol=1e-5)


def test_a_recurrent_model_has_one() -> None:
    decoder = {**GRU, "attention": {"kind": "additive"}}
    maps = attention_maps(translator_of("gru", decoder), [Example("blue red", "red", 0, "here:1")], SETTINGS)[0]
    assert [kind.name for kind in kinds_of(maps)] == ["cross"]


@pytest.mark.parametrize(
    ("encoder", "names", "columns"),
    [
        ("patch", ["encoder", "decoder", "cross"], 8),
        ("conv", ["decoder", "cross"], 8),
        ("patch+transformer", ["encoder", "decoder", "cross"], 11),
    ],
)
def test_the_cells_of_an_image_come_before_the_text(encoder: str, names: list[str], columns: int) -> None:
    asked = Example("blue red" if "+" in encoder else "", "red", 0, "here:1", image=pixels(["red", "blue"]))
    maps = attention_maps(translator_of(encoder), [asked], SETTINGS)[0]
    kinds = {kind.name: kind for kind in kinds_of(maps)}
    assert list(kinds) == names
    cross = kinds["cross"]
    assert cross.grid == (2, 4)
    assert cross.columns[:6] == ("(1,1)", "(1,2)", "(1,3)", "(1,4)", "(2,1)", "(2,2)")
    assert len(cross.columns) == columns
    np.testing.assert_allclose(cross.weights.sum(axis=-1), 1, atol=1e-5)
    assert maps.cells is not None
    assert np.array_equal(cross.weights[..., 5], maps.cells[..., 1, 1])
    if encoder == "patch":
        assert kinds["encoder"].grid == (2, 4)
        assert kinds["encoder"].rows == cross.columns
    elif "encoder" in kinds:
        assert kinds["encoder"].grid is None
        assert kinds["encoder"].rows == ("blue", "red", "</s>")


def test_words_of_all_kinds() -> None:
    maps = maps_between(SOURCE, TARGET, SOURCE_WORDS, TARGET_WORDS)
    encoder, decoder, cross = (by_words(kind) for kind in kinds_of(maps))
    assert encoder.rows == encoder.columns == cross.columns == ("ein", "haus", "</s>")
    assert decoder.rows == cross.rows == ("a", "house", "</s>")
    assert decoder.columns == ("<s>", "a", "house")
    for kind in (encoder, decoder, cross):
        assert kind.weights.shape == (1, 1, 3, 3)
        np.testing.assert_allclose(kind.weights.sum(axis=-1), 1, atol=1e-6)
        assert by_words(kind).rows == kind.rows  # words are whole


def test_what_a_step_had_read_is_a_step_behind_what_it_writes() -> None:
    """Rows: a, hou, se, </s>; columns: <s>, a, hou, se. Word by word, row "house" is the mean of its two rows, and column "house" the sum of the
    last two columns: in row hou nothing, since it was not read yet, in row se .25; their mean is .125."""
    maps = maps_between(SOURCE, TARGET, SOURCE_WORDS, TARGET_WORDS)
    weights = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.25, 0.25, 0], [0.1, 0.2, 0.3, 0.4]], dtype=np.float32)
    _, decoder, _ = kinds_of(replace(maps, decoder=weights[None, None]))
    merged = by_words(decoder)
    expected = [[1, 0, 0], [0.5, 0.375, 0.125], [0.1, 0.2, 0.7]]
    np.testing.assert_allclose(merged.weights[0, 0], expected, atol=1e-6)
    assert merged.seen.tolist() == [[True, False, False], [True, True, True], [True, True, True]]


@pytest.mark.parametrize(
    ("target", "words", "columns"),
    [(["▁a", "▁b"], [(0, 1), (1, 2)], ("<s>", "a")), (["▁a", "▁hou", "se"], [(0, 1), (1, 3)], ("<s>", "a", "hou"))],
)
def test_a_target_that_was_cut_off(target: list[str], words: list[tuple[int, int]], columns: tuple[str, ...]) -> None:
    """Its last piece was written, and never read."""
    _, decoder, _ = kinds_of(maps_between(SOURCE, target, SOURCE_WORDS, words))
    merged = by_words(decoder)
    assert merged.columns == columns
    np.testing.assert_allclose(merged.weights.sum(axis=-1), 1, atol=1e-6)
