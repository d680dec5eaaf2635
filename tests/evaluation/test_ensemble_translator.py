"""Texts and images through several models, each of which reads them in its own way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from evaluation.onlookers import CONV, GRU, pixels, translator_of, words

from seqcli.build.model import build_model
from seqcli.data.images import PixelReader
from seqcli.data.vocabulary import learn_characters
from seqcli.evaluation.ensemble import EnsembleTranslator
from seqcli.evaluation.evaluate import evaluate
from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.scoring import score_pairs
from seqcli.evaluation.translator import Translator
from seqcli.recipe.model import Model
from seqcli.symbols import Example

SETTINGS = SearchSettings(beam_size=2, length_penalty=1.0, max_length=5, max_ratio=None, batch_sentences=2)
EXAMPLES = [
    Example(text, target, row, f"here:{row + 1}")
    for row, (text, target) in enumerate(
        [("red green", "blue"), ("", ""), ("blue", "red red"), ("yellow yellow red", "green"), ("green", "")]
    )
]
"""Of several lengths, one of them blank."""


def by_characters() -> Translator:
    """A Transformer that reads characters, backwards, and writes words."""
    source = learn_characters(["red green blue yellow"])
    torch.manual_seed(7)
    section = Model.model_validate(
        {
            "encoder": {**GRU, "kind": "lstm"},
            "decoder": {"kind": "transformer", "hidden_size": 16, "layers": 1, "heads": 2, "feedforward_size": 16},
        }
    )
    model = build_model(section, source.size, words().size)
    return Translator(model, source, words(), reverse_source=True, longest_target=4)


def together() -> EnsembleTranslator:
    return EnsembleTranslator(translator_of("gru"), [by_characters()])


def test_scores_are_those_of_the_mean() -> None:
    """Each member alone gives each symbol a probability; the ensemble's is their mean."""
    joint = together()
    scored = [score_pairs(one, EXAMPLES, SETTINGS) for one in (joint, translator_of("gru"), by_characters())]
    compared = 0
    for both, first, second in zip(*scored, strict=True):
        if both is None:
            assert first is None
            continue
        assert first is not None
        assert second is not None
        mean = (np.exp(first.log_probs) + np.exp(second.log_probs)) / 2
        np.testing.assert_allclose(np.exp(both.log_probs), mean, rtol=1e-5)
        compared += 1
    assert compared == 4


def test_searching_and_scoring_agree() -> None:
    joint = together()
    found = joint.translate(EXAMPLES, SETTINGS)
    assert found[1][0].text == ""
    for example, hypotheses in zip(EXAMPLES, found, strict=True):
        for one in hypotheses:
            assert len(one.ids) <= 4  # the one member writes no more
            if one.ids and one.ids[-1] == 2:
                (scored,) = score_pairs(joint, [replace(example, target=one.text)], SETTINGS)
                assert scored is not None
                assert abs(scored.log_prob - one.log_prob) <= 1e-5


def test_batch_mates_and_order_change_nothing() -> None:
    joint = together()
    found = joint.translate(EXAMPLES, SETTINGS)
    backwards = joint.translate(EXAMPLES[::-1], SETTINGS)[::-1]
    for several, others, example in zip(found, backwards, EXAMPLES, strict=True):
        alone = joint.translate([example], SETTINGS)[0]
        assert [one.ids for one in several] == [one.ids for one in others] == [one.ids for one in alone]
        np.testing.assert_allclose([one.log_prob for one in several], [one.log_prob for one in alone], atol=1e-5)


def test_metrics_are_the_ensembles() -> None:
    joint = together()
    examples = [example for example in EXAMPLES if example.source]
    metrics = evaluate(joint, examples, ["loss", "token_accuracy", "exact_match"], SETTINGS).metrics
    scored = [one for one in score_pairs(joint, examples, SETTINGS) if one]
    symbols = sum(len(one.ids) for one in scored)
    assert metrics["loss"].value == pytest.approx(-sum(one.log_prob for one in scored) / symbols, abs=1e-5)
    assert f"n:{symbols}|" in metrics["loss"].signature


def test_images_of_two_sizes() -> None:
    """Each member has the picture at its own size; one that cannot be read is blank to both."""
    small = PixelReader(8, 4, 3)
    torch.manual_seed(2)
    section = Model.model_validate({"encoder": {**CONV, "channels": [8]}, "decoder": GRU})
    other = Translator(
        build_model(section, 4, words().size, image_shape=small.shape),
        translator_of("conv").source_tokenizer,
        words(),
        image_reader=small,
    )
    joint = EnsembleTranslator(translator_of("conv"), [other])
    examples = [
        Example("", "red", 0, "line 1", image=pixels(["red", "green"])),
        Example("", "red", 1, "line 2", image="nowhere.png"),
        Example("", "red", 2, "line 3"),
    ]
    seen, complaints = joint.seen(examples)
    assert [one.image is None for one in seen] == [False, True, True]
    assert len(complaints) == 1
    assert "nowhere.png" in complaints[0]
    batch: Any = joint.batch(seen[:1])
    assert (batch.image.shape, batch.others[0].image.shape) == ((1, 3, 8, 16), (1, 3, 4, 8))
    found = joint.translate(seen, SETTINGS)
    assert found[1] == found[2]
    assert found[1][0].ids == ()
    scored = [score_pairs(one, seen[:1], SETTINGS)[0] for one in (joint, *joint.members, translator_of("conv"))]
    assert all(one is not None for one in scored)
    both, _, second, first = [np.exp(one.log_probs) for one in scored if one is not None]
    np.testing.assert_allclose(both, (first + second) / 2, rtol=1e-5)
