"""Hard monotonic attention: what it sums over, counted out one way through the source at a time, and the losses of log-probabilities."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from models.zoo import VOCABULARY, alone, batch
from torch import Tensor, nn

from seqcli.build.model import build_model
from seqcli.models.copying import Copying
from seqcli.models.monotonic import MonotonicDecoder
from seqcli.models.seq2seq import Seq2Seq
from seqcli.nn.loss import projected_cross_entropy
from seqcli.nn.output import NamedAlready, OutputLayer
from seqcli.nn.trace import trace_attention
from seqcli.recipe.model import Model
from seqcli.symbols import PAD
from seqcli.types import Batch


def built(reach: int = 2, feed_summary: bool = False, **keys: object) -> Seq2Seq:
    """A small model in float64 whose shifts are not all alike."""
    torch.manual_seed(5)
    section = {
        "encoder": {"kind": "gru", "hidden_size": 6, "bidirectional": True, "embedding_size": 5},
        "decoder": {
            "kind": "lstm",
            "hidden_size": 8,
            "embedding_size": 8,
            "attention": {"kind": "hard_monotonic", "reach": reach, "feed_summary": feed_summary},
        },
        "initialization": {"weights": "normal", "scale": 0.7},
        **keys,
    }
    # two symbols change places, and one cannot be copied
    copies = [-1, -1, -1, -1, 5, 4, -1, *range(7, VOCABULARY)]
    model = build_model(Model.model_validate(section), VOCABULARY, VOCABULARY, copies=copies).double().eval()
    assert isinstance(model.decoder, MonotonicDecoder)
    nn.init.normal_(model.decoder.attention.shift)
    return model


def counted_out(model: Seq2Seq, one: Batch) -> float:
    """log p(target | source) of a batch of one, summed over every way through the source, each a product of plain numbers."""
    decoder = model.decoder
    assert isinstance(decoder, MonotonicDecoder)
    memory = model.encoder(one)
    inputs = decoder.embedding(one.inputs)
    if decoder.feed_summary:
        inputs = torch.cat((inputs, memory.summary[:, -1:].expand(-1, inputs.shape[1], -1)), dim=-1)
    outputs, _ = decoder.recurrence(inputs, decoder.bridge(memory))
    places, labels = memory.mask.shape[1], one.labels[0].tolist()

    def likely(step: int, place: int) -> Tensor:
        mixed = decoder.mix_state.weight @ outputs[0, step] + decoder.mix_place.weight @ memory.states[0, place]
        features = torch.tanh(mixed)
        own = torch.softmax(decoder.projection(features), dim=-1)
        if decoder.gate is None:
            return own
        assert isinstance(model, Copying)
        copied = int(model.copies[one.source[0, place]])
        if copied < 0:
            return own
        share = torch.sigmoid(decoder.gate(features))
        return share * own + (1 - share) * nn.functional.one_hot(torch.tensor(copied), VOCABULARY)

    def moving(step: int, start: int) -> Tensor:
        keys = decoder.attention.score.keys(memory.states)[0]
        scores = [
            outputs[0, step] @ keys[place]
            + decoder.attention.shift[min(place - start, len(decoder.attention.shift) - 1)]
            for place in range(start, places)
        ]
        return torch.softmax(torch.stack(scores), dim=0)

    total = 0.0
    for way in itertools.combinations_with_replacement(range(places), len(labels)):
        probability, at = 1.0, 0
        for step, place in enumerate(way):
            probability *= float(moving(step, at)[place - at]) * float(likely(step, place)[labels[step]])
            at = place
        total += probability
    return math.log(total)


@torch.no_grad()
@pytest.mark.parametrize("reach", [1, 3, 9])
@pytest.mark.parametrize("copying", [False, True])
def test_the_likelihood_is_the_sum_over_all_ways_that_never_go_back(reach: int, copying: bool) -> None:
    model, given = built(reach, feed_summary=reach == 3, copying=copying), batch([4, 2, 5], [3, 4, 2])
    for row in range(3):
        one = alone(given, row, int(given.source_mask[row].sum()))
        length = int((given.labels[row] != PAD).sum())
        one = Batch(one.source, one.source_mask, given.target[row : row + 1, : length + 1], one.index)  # type: ignore[index]
        assert -float(model.loss(one)) == pytest.approx(counted_out(model, one), abs=1e-9)


@torch.no_grad()
def test_padding_and_batch_mates_change_nothing_and_probabilities_add_up() -> None:
    model, given = built(), batch([4, 2, 5], [3, 4, 2])
    together = model.logits(given)
    assert torch.allclose(together.exp().sum(dim=-1), torch.ones(3, 4, dtype=torch.float64))
    for row in range(3):
        one = alone(given, row, int(given.source_mask[row].sum()))
        assert torch.allclose(model.logits(one), together[row : row + 1], atol=1e-12)


@torch.no_grad()
def test_what_is_shown_as_attention_never_looks_before_the_last_place_that_was_certain() -> None:
    """Each row adds up to 1, and the expected place never goes back while nothing is learnt from the symbols."""
    model, given = built(), batch([6], [6])
    assert isinstance(model.decoder, MonotonicDecoder)
    nn.init.zeros_(
        model.decoder.projection.weight
    )  # every place names every symbol alike, so symbols tell nothing of places
    with trace_attention(model) as maps:
        model.logits(given)
    weights = maps["decoder.attention"][0, 0]
    assert torch.allclose(weights.sum(dim=-1), torch.ones(6, dtype=torch.float64))
    expected = (weights * torch.arange(6)).sum(dim=-1)
    assert (expected.diff() >= 0).all()
    assert (weights.cumsum(dim=-1).diff(dim=0) <= 1e-12).all(), "at no place does the share that has not passed it grow"


def test_gradients_are_those_of_finite_differences() -> None:
    model, given = built(), batch([4, 2], [3, 3])
    assert isinstance(model.decoder, MonotonicDecoder)
    for parameter in (model.decoder.attention.shift, model.decoder.mix_place.weight, model.decoder.projection.bias):
        model.zero_grad()
        model.loss(given, label_smoothing=0.1).backward()
        assert parameter.grad is not None
        direction = torch.randn_like(parameter)
        with torch.no_grad():
            sides = []
            for sign in (1, -1):
                parameter += sign * 1e-5 * direction
                sides.append(float(model.loss(given, label_smoothing=0.1)))
                parameter -= sign * 1e-5 * direction
        assert float((parameter.grad * direction).sum()) == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_of_log_probabilities_are_those_of_the_scores_that_they_come_from(smoothing: float) -> None:
    torch.manual_seed(1)
    layer, given = OutputLayer(7, VOCABULARY).double(), batch([4, 2, 5], [3, 4, 2])
    features = torch.randn(6, *given.labels.shape[1:], 7, dtype=torch.float64)
    log_probs = layer(features).log_softmax(dim=-1)
    named = NamedAlready(VOCABULARY)
    assert named(log_probs) is log_probs
    plain = projected_cross_entropy(features[:3], layer.weight, layer.bias, given.labels, smoothing)
    assert float(named.cross_entropy(log_probs[:3], given.labels, smoothing, given.real_labels)) == pytest.approx(
        float(plain)
    )
    fused = layer.r_drop(features, given.labels, smoothing, 3.0, given.real_labels)
    direct = named.r_drop(log_probs, given.labels, smoothing, 3.0, given.real_labels)
    assert [float(each) for each in direct] == pytest.approx([float(each) for each in fused])


def test_the_output_may_be_the_targets_embeddings() -> None:
    model = built(tie="target_output")
    assert isinstance(model.decoder, MonotonicDecoder)
    assert model.decoder.projection.weight is model.decoder.embedding.weight
