"""Gates over a sentence and over many: those of the run's own weights, and hand-made ones that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import seqcli
from seqcli.analysis.gates import gate_maps, unit_saturation
from seqcli.build.model import build_model
from seqcli.errors import SeqcliError
from seqcli.evaluation.translator import Translator
from seqcli.nn.unrolled import unroll
from seqcli.recipe.load import load_recipe
from seqcli.run import Run
from seqcli.symbols import Example


@pytest.fixture(scope="module")
def run(copy_run: Path) -> Run:
    return seqcli.load(copy_run)


def test_every_gate_over_the_symbols_of_a_sentence(run: Run) -> None:
    (maps,) = gate_maps(run.translator, run.examples(["abcd"], ["dcba"]), run.settings())
    assert [one.name for one in maps] == [
        "encoder layer 1 reset",
        "encoder layer 1 update",
        "encoder layer 1 backward reset",
        "encoder layer 1 backward update",
        "decoder layer 1 reset",
        "decoder layer 1 update",
    ]
    assert maps[0].symbols == ("a", "b", "c", "d", "</s>")
    # the decoder's steps by what they read
    assert maps[-1].symbols == ("<s>", "d", "c", "b", "a")
    assert [one.values.shape for one in maps] == [(24, 5)] * 4 + [(48, 5)] * 2
    encoder = run.translator.model.encoder
    ids = torch.tensor([run.translator.encode(run.examples(["abcd"])[0])])
    taken = unroll(encoder.recurrence.stack, encoder.embedding(ids))  # type: ignore[attr-defined]
    for layer, pair in zip(taken.layers, (maps[:2], maps[2:4]), strict=True):
        for one in pair:
            expected = layer.parts[one.gate].values[0].T.detach().numpy()
            np.testing.assert_allclose(one.values, expected, atol=1e-6)


def test_without_a_target_the_models_own_is_read(run: Run) -> None:
    (maps,) = gate_maps(run.translator, run.examples(["abcd"]), run.settings())
    assert maps[-1].symbols == ("<s>", "a", "b", "c", "d")


def test_shares_by_hand(run: Run) -> None:
    (maps,) = gate_maps(run.translator, run.examples(["ab"], ["ab"]), run.settings())
    made = replace(
        maps[0], values=np.array([[0.05, 0.95, 0.5], [0.09, 0.91, 0.11], [0.5, 0.89, 0.05], [0.2, 0.99, 1.0]])
    )
    assert made.shut.tolist() == [0.5, 0.0, 0.25]
    assert made.open.tolist() == [0.0, 0.75, 0.25]
    assert made.mean.tolist() == pytest.approx([0.21, 0.935, 0.415])


def fixed(kind: str, run: Run, biases: dict[str, float]) -> Translator:
    """A model all of whose weights are 0, so that its gates are the sigmoids of their biases."""
    keys = [f"model.{side}={{kind: {kind}, hidden_size: 4, embedding_size: 3}}" for side in ("encoder", "decoder")]
    recipe = load_recipe("copy", keys)
    old = run.translator
    model = build_model(recipe.model, old.source_tokenizer.size, old.target_tokenizer.size)
    rows = {
        "lstm": ("input", "forget", "candidate", "output"),
        "gru": ("reset", "update", "candidate"),
        "rnn": ("hidden",),
    }
    for name, parameter in model.named_parameters():
        parameter.data.zero_()
        if "bias_ih" in name:
            for part, block in zip(rows[kind], parameter.data.split(4), strict=True):
                block.fill_(biases.get(part, 0.0))
    return Translator(model, old.source_tokenizer, old.target_tokenizer)


def test_units_that_are_always_open_or_shut(run: Run) -> None:
    # σ(3) = 0.953 is open, σ(−3) = 0.047 shut, σ(0) = 0.5 neither
    translator = fixed("lstm", run, {"forget": 3.0, "input": -3.0})
    examples = [Example("abc", "ab", 0, "here"), Example("a", "bcda", 1, "here")]
    found = {one.name: one for one in unit_saturation(translator, examples)}
    assert len(found) == 6
    for side, steps in (("encoder", 4 + 2), ("decoder", 3 + 5)):
        forget, taken, written = (found[f"{side} layer 1 {gate}"] for gate in ("forget", "input", "output"))
        assert forget.steps == taken.steps == written.steps == steps
        assert (forget.open.tolist(), forget.shut.tolist()) == ([1.0] * 4, [0.0] * 4)
        assert (taken.open.tolist(), taken.shut.tolist()) == ([0.0] * 4, [1.0] * 4)
        assert (written.open.tolist(), written.shut.tolist()) == ([0.0] * 4, [0.0] * 4)
        assert forget.mean == pytest.approx(0.9526, abs=1e-4)
        assert written.mean == pytest.approx(0.5)


def test_many_sentences_are_the_sum_of_each(run: Run) -> None:
    examples = [Example(text, text, 0, "here") for text in ("abcd", "b", "da")]
    together = unit_saturation(run.translator, examples)
    apart = [unit_saturation(run.translator, [example]) for example in examples]
    for number, one in enumerate(together):
        assert one.steps == sum(each[number].steps for each in apart)
        summed = sum(each[number].shut * each[number].steps for each in apart)
        np.testing.assert_allclose(one.shut * one.steps, summed, atol=1e-6)


def test_what_has_no_gates_says_so(run: Run) -> None:
    with pytest.raises(SeqcliError, match="no gates: LSTMs and GRUs have them"):
        gate_maps(fixed("rnn", run, {}), run.examples(["ab"], ["ab"]), run.settings())
    with pytest.raises(SeqcliError, match="no example"):
        unit_saturation(run.translator, [])
