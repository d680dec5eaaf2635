"""Attention maps of sources that are images, texts or both: their shapes, what sums to 1, and what is said where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation.onlookers import ENCODERS, FEATURES, GRU, pixels, translator_of

from seqcli.data.images import PixelReader
from seqcli.errors import DataError, SeqcliError
from seqcli.evaluation.attention import AttentionMaps, attention_maps
from seqcli.evaluation.reader import SearchSettings
from seqcli.symbols import Box, Example

SETTINGS = SearchSettings(beam_size=2, length_penalty=1.0, max_length=5, max_ratio=None, batch_sentences=8)
GRIDS = {"conv": (2, 4), "patch": (2, 4), "features": FEATURES[:2], "conv+gru": (2, 4), "patch+transformer": (2, 4)}
LEFT: Box = (0.0, 0.0, 0.5, 1.0)


def example(encoder: str, target: str | None = "red green") -> Example:
    image = (
        np.random.default_rng(1).random(FEATURES, dtype=np.float32)
        if encoder == "features"
        else pixels(["red", "blue"])
    )
    return Example("blue red" if "+" in encoder else "", target, 0, "here:1", image=image)


def maps_of(encoder: str, target: str | None = "red green", decoder: dict[str, object] | None = None) -> AttentionMaps:
    return attention_maps(translator_of(encoder, decoder), [example(encoder, target)], SETTINGS)[0]


@pytest.mark.parametrize(
    "decoder", [None, {**GRU, "attention": {"kind": "additive", "hops": 2}}], ids=["heads", "hops"]
)
@pytest.mark.parametrize("encoder", GRIDS)
def test_cells_and_text_share_the_attention(encoder: str, decoder: dict[str, object] | None) -> None:
    maps = maps_of(encoder, decoder=decoder)
    heads, read = (2 if decoder is None else 1), (3 if "+" in encoder else 0)
    assert maps.target == ("red", "green", "</s>")
    assert maps.source == (("blue", "red", "</s>") if read else ())
    assert maps.cells is not None
    assert maps.cells.shape == (2, heads, 3, *GRIDS[encoder])
    assert maps.cross.shape == (2, heads, 3, read)
    np.testing.assert_allclose(maps.cells.sum(axis=(3, 4)) + maps.cross.sum(axis=3), 1, atol=1e-5)
    assert maps.source_words == tuple((place, place + 1) for place in range(read))
    assert (maps.decoder is None) == (decoder is not None)


@pytest.mark.parametrize(
    ("encoder", "seen"), [("patch", 8), ("patch+transformer", 3), ("conv", None), ("conv+gru", None)]
)
def test_self_attention_is_the_texts_or_else_the_images(encoder: str, seen: int | None) -> None:
    maps = maps_of(encoder)
    if seen is None:
        assert maps.encoder is None
    else:
        assert maps.encoder is not None
        assert maps.encoder.shape == (2, 2, seen, seen)
        np.testing.assert_allclose(maps.encoder.sum(axis=3), 1, atol=1e-5)


@pytest.mark.parametrize("encoder", ["conv", "patch+transformer"])
def test_the_picture_is_what_the_model_saw(encoder: str) -> None:
    maps = maps_of(encoder)
    assert maps.image is not None
    assert np.array_equal(maps.image, pixels(["red", "blue"]).transpose(1, 2, 0))


def test_features_are_no_picture() -> None:
    """Though they have three rows, as a picture has three colours."""
    maps = maps_of("features")
    assert FEATURES[0] == 3
    assert maps.image is None


def test_shades_of_grey_have_no_third_dimension() -> None:
    shades = np.arange(128, dtype=np.uint8).reshape(1, 8, 16)
    maps = attention_maps(translator_of("conv", channels=1), [replace(example("conv"), image=shades)], SETTINGS)[0]
    assert maps.image is not None
    assert np.array_equal(maps.image, shades[0])


@pytest.mark.parametrize("encoder", GRIDS)
def test_a_target_is_searched_for_where_none_is_given(encoder: str) -> None:
    maps, translator = maps_of(encoder, target=None), translator_of(encoder)
    found = translator.translate([example(encoder, None)], SETTINGS)[0][0]
    assert maps.target == tuple(translator.target_tokenizer.tokens(found.ids))
    assert 1 <= len(maps.target) <= 5


def test_maps_are_those_of_the_search() -> None:
    """What a search wrote, given as the target, has the same maps, but for the end of the sentence, which a search may not reach."""
    found = maps_of("conv", target=None)
    given = maps_of("conv", target=" ".join(token for token in found.target if token != "</s>"))
    assert found.cells is not None
    assert given.cells is not None
    steps = min(len(found.target), len(given.target))
    np.testing.assert_allclose(found.cells[:, :, :steps], given.cells[:, :, :steps], atol=1e-6)


@pytest.mark.parametrize("encoder", GRIDS)
def test_boxes_go_with_the_symbols(encoder: str) -> None:
    translator = translator_of(encoder)
    boxed = replace(example(encoder), boxes=(LEFT, None))
    assert attention_maps(translator, [boxed], SETTINGS)[0].boxes == (LEFT, None, None)
    assert maps_of(encoder).boxes is None
    with pytest.raises(DataError, match="here:1: 1 boxes for 2 symbols"):
        attention_maps(translator, [replace(boxed, boxes=(LEFT,))], SETTINGS)


def test_a_target_ends_where_the_model_can_write_no_more() -> None:
    translator = translator_of("conv")
    translator.longest_target = 2
    maps = attention_maps(translator, [replace(example("conv"), boxes=(LEFT, LEFT))], SETTINGS)[0]
    assert maps.target == ("red", "</s>")
    assert maps.boxes == (LEFT, None)


def test_boxes_move_with_an_image_that_is_filled_up() -> None:
    """8 × 8 pixels are the left half of 16 × 8."""
    translator = translator_of("conv")
    translator.image_reader = PixelReader(16, 8, fit="pad")
    boxed = replace(example("conv"), image=pixels(["red"]), boxes=(LEFT, None))
    maps = attention_maps(translator, [boxed], SETTINGS)[0]
    assert maps.boxes == ((0.0, 0.0, 0.25, 1.0), None, None)
    assert maps.image is not None
    assert maps.image.shape == (8, 16, 3)


def test_text_alone_has_no_cells() -> None:
    translator = translator_of("gru")
    maps = attention_maps(translator, [Example("blue red", "red", 0, "here:1")], SETTINGS)[0]
    assert maps.cells is None
    assert maps.image is None
    assert maps.cross.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(maps.cross.sum(axis=3), 1, atol=1e-5)


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if "+" not in name])
def test_where_there_is_no_attention(encoder: str) -> None:
    blind = {**GRU, "attention": {"kind": "none"}}
    asked = Example("blue", "red", 0, "here:1") if encoder == "gru" else example(encoder)
    with pytest.raises(SeqcliError, match="this model has no attention"):
        attention_maps(translator_of(encoder, blind), [asked], SETTINGS)


def test_where_there_is_nothing_to_look_at() -> None:
    with pytest.raises(SeqcliError, match="nothing to look at: the source 'here:1' or its translation is empty"):
        attention_maps(translator_of("gru"), [Example("", "red", 0, "here:1")], SETTINGS)
    with pytest.raises(DataError, match="here:1: has no image"):
        attention_maps(translator_of("conv+gru"), [replace(example("conv+gru"), image=None)], SETTINGS)
