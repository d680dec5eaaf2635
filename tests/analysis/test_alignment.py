"""Attention as alignment: the off-by-one between reading and writing, merged symbols, and what is outside of all units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from evaluation.onlookers import pixels, translator_of, words
from numpy.typing import NDArray

from seqcli.analysis import alignment
from seqcli.analysis.alignment import AlignmentSettings, Attended, attended, merged, target_rows
from seqcli.analysis.alignment_error import alignment_scores
from seqcli.data.pharaoh import format_links
from seqcli.errors import DataError, RecipeError
from seqcli.evaluation.attention import TracedPass, traced_pass
from seqcli.evaluation.translator import Translator
from seqcli.symbols import EOS, Box, Example, Link

TEXT = "red green blue"
LEFT: Box = (0.0, 0.0, 0.5, 1.0)
RIGHT: Box = (0.5, 0.0, 1.0, 1.0)

# Made by hand: the step that writes word i looks at word i of three; the last, which writes EOS, at EOS.
WRITING = np.eye(4)
# The step that reads word i looks at word i, one row later; the first, which has read BOS, at EOS.
READING = np.roll(np.eye(4), 1, axis=0)


def links_of(
    monkeypatch: pytest.MonkeyPatch,
    weights: NDArray[np.float64],
    settings: AlignmentSettings,
    translator: Translator | None = None,
    *,
    ids: list[int] | None = None,
    grid: tuple[int, int] | None = None,
    example: Example | None = None,
) -> str:
    """The links of one example that is attended to by `weights`, (T,S) or of layers (L,T,S), all heads alike."""
    layers = weights if weights.ndim == 3 else weights[None]
    cross = [torch.from_numpy(np.stack((layer, layer)))[None] for layer in layers]
    monkeypatch.setattr(alignment, "traced_pass", lambda translator, batch: TracedPass({}, cross, grid))
    example = example or Example(TEXT, TEXT, 0, "here:1")
    ids = [*words().encode(example.target or ""), EOS] if ids is None else ids
    (found,) = attended(translator or translator_of("gru", GRU), [example], [ids], settings)
    return format_links(found.links(settings.threshold))


GRU: dict[str, Any] = {
    "kind": "gru",
    "hidden_size": 16,
    "embedding_size": 8,
    "attention": {"kind": "additive"},
}


def test_the_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert links_of(monkeypatch, WRITING, AlignmentSettings("output")) == "0-0 1-1 2-2"
    assert links_of(monkeypatch, READING, AlignmentSettings("input")) == "0-0 1-1 2-2"
    # the other row is one off: of the word after, whose last is EOS, or of the word before
    assert links_of(monkeypatch, WRITING, AlignmentSettings("input")) == "1-0 2-1"
    assert links_of(monkeypatch, READING, AlignmentSettings("output")) == "0-1 1-2"


def test_what_is_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writing step; of a recurrent decoder the last layer, of a Transformer the last but one."""
    layers = np.stack((READING, WRITING))
    assert links_of(monkeypatch, layers, AlignmentSettings()) == "0-0 1-1 2-2"
    assert links_of(monkeypatch, layers, AlignmentSettings(), translator_of("gru")) == "0-1 1-2"
    assert links_of(monkeypatch, layers, AlignmentSettings(layer=2), translator_of("gru")) == "0-0 1-1 2-2"
    with pytest.raises(RecipeError, match="there is no layer 3 of attention over the source; there are 1 to 2"):
        links_of(monkeypatch, layers, AlignmentSettings(layer=3))


def test_a_reversed_source_is_numbered_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = translator_of("gru", GRU)
    translator.reverse_source = True
    assert links_of(monkeypatch, WRITING, AlignmentSettings(), translator) == "2-0 1-1 0-2"


def test_a_hypothesis_that_did_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last word was written, but never read."""
    ids = words().encode(TEXT)
    assert links_of(monkeypatch, WRITING[:3], AlignmentSettings("output"), ids=ids) == "0-0 1-1 2-2"
    assert links_of(monkeypatch, READING[:3], AlignmentSettings("input"), ids=ids) == "0-0 1-1"


def test_a_source_that_is_cut_and_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = translator_of("gru", GRU)
    translator.longest_source, translator.longest_target = 3, 3
    cut = WRITING[:3, :3].copy()
    assert links_of(monkeypatch, cut, AlignmentSettings("output"), translator) == "0-0 1-1"
    translator.reverse_source = True  # blue green are read, then EOS
    assert links_of(monkeypatch, cut, AlignmentSettings("output"), translator) == "2-0 1-1"


def test_rows_of_units() -> None:
    # three symbols and EOS; the first two are one word
    assert target_rows([(0, 2), (2, 3)], [7, 8, 9, EOS], "output") == [[0, 1], [2]]
    assert target_rows([(0, 2), (2, 3)], [7, 8, 9, EOS], "input") == [[1, 2], [3]]


def test_pieces_are_put_together() -> None:
    """The word of symbols 0 and 1 gets 0.2 + 0.3 and 0.1 + 0.1 of two pieces that look: 0.35 on average."""
    weights = np.array([[0.2, 0.3, 0.4, 0.1], [0.1, 0.1, 0.7, 0.1], [0.0, 0.0, 0.2, 0.8]])
    found = merged(weights, [[0, 1], [2], []], [[0, 1], [2]])
    np.testing.assert_allclose(found, [[0.35, 0.55], [0.0, 0.2], [0.0, 0.0]])
    # 0.8 of the second is outside of all words, and the third looks nowhere
    assert Attended(found, 1).links() == (Link(1, 0),)
    assert Attended(found, 1).links(0.2) == (Link(0, 0), Link(1, 0), Link(1, 1))


def test_digits_of_an_image_are_numbered_as_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cells in a row: the right half's two have 0.6 together, though the highest single one is on the left."""
    weights = np.array([[0.4, 0.0, 0.3, 0.3], [0.9, 0.1, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    example = Example("", "red green", 0, "here:1", image=pixels(["red", "green"]), boxes=(RIGHT, LEFT))
    translator = translator_of("conv")
    found = links_of(monkeypatch, weights, AlignmentSettings("output"), translator, grid=(1, 4), example=example)
    assert found == "0-0 1-1"
    scores = alignment_scores(translator, [example], AlignmentSettings("output"))
    assert [scores.metrics[name].value for name in ("aer", "precision", "recall")] == [0, 100, 100]


def test_a_real_model_and_its_own_step_by_step_attention() -> None:
    """Without hand-made weights: an untrained model's links are those of its largest weights."""
    translator = translator_of("gru", GRU)
    example = Example(TEXT, TEXT, 0, "here:1")
    ids = [*words().encode(TEXT), EOS]
    weights = traced_pass(translator, translator.batch([example], [ids])).cross[-1][0, 0].numpy()
    (found,) = attended(translator, [example], [ids], AlignmentSettings())
    np.testing.assert_allclose(found.weights, weights[:3, :3], atol=1e-6)


def test_what_cannot_be_aligned() -> None:
    with pytest.raises(DataError, match="nobody knows the right links of this data; give them with --gold"):
        alignment_scores(translator_of("gru", GRU), [Example(TEXT, TEXT, 0, "here:1")], AlignmentSettings())
    image = Example("", "red green", 0, "here:1", image=pixels(["red", "green"]))
    with pytest.raises(RecipeError, match="only where its boxes are known"):
        list(attended(translator_of("conv"), [image], [[*words().encode("red green"), EOS]], AlignmentSettings()))
