"""What holds for every encoder and decoder that a recipe can name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from models.zoo import (
    ENCODER_KINDS,
    IMAGE_KINDS,
    TURNS,
    Specimen,
    batch,
    copying,
    decoders,
    encoders,
    models_with,
    padded,
    pairs,
    rows,
)
from torch import Tensor

from seqcli.models.seq2seq import Seq2Seq
from seqcli.models.vision import PlaceNorm
from seqcli.nn.batch_norm import BatchNorm
from seqcli.nn.trace import trace_attention
from seqcli.recipe import model as sections
from seqcli.recipe.section import Section
from seqcli.types import Batch, Memory, State

every_encoder_kind = pytest.mark.parametrize("kind", ENCODER_KINDS)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def same(left: Tensor, right: Tensor, specimen: Specimen, tolerance: float = 1e-5) -> None:
    assert left.shape == right.shape, specimen
    assert left.numel() > 0
    difference = (left.float() - right.float()).abs().max()
    assert difference <= tolerance, f"{difference:g} apart: {specimen}"


def step_by_step(model: Seq2Seq, state: State, inputs: Tensor) -> tuple[Tensor, State]:
    features = []
    for ids in inputs.split(1, dim=1):
        feature, state = model.decoder(ids, state)
        features.append(feature)
    return torch.cat(features, dim=1), state


def test_the_zoo_is_whole() -> None:
    """Written by hand, so that a kind cannot fall out of the tests unnoticed; a new kind changes these numbers."""
    assert IMAGE_KINDS == ["conv", "features", "patch"]
    assert sorted([*IMAGE_KINDS, "feedforward", "gru", "image_text", "lstm", "rnn", "transformer"]) == ENCODER_KINDS
    of_text = 4 + 3 * 2 + 2 * 4 * 2  # activations; cells × directions; norms × positions × activations
    of_image = 3 + 3 + 2 * 3 * 2  # positions; positions; norms × positions × activations
    assert len(encoders()) == of_text + of_image + 5 * 3
    without_attention = 2 * 3 - 1  # feed_summary × bridges, but for the one that never sees the source
    with_attention = 5 * 3 * 3  # scores × (luong, luong with input feeding, bahdanau) × bridges
    hard_monotonic = 2 * 3  # feed_summary × bridges
    assert len(decoders()) == 4 + 3 * (without_attention + with_attention + hard_monotonic) + 2 * 4 * 2
    assert len(copying()) == 5 * 4  # kinds of encoders of text × kinds of decoders that attend
    assert len(pairs()) == 5 * (of_text + of_image) + 5 * 3 + len(decoders()) + len(copying())
    assert sum(len(models_with(kind)) for kind in ENCODER_KINDS) == len(pairs())


def test_each_part_of_an_encoder_meets_each_other() -> None:
    both = [section.encoder for section in pairs() if isinstance(section.encoder, sections.ImageTextEncoder)]
    assert len({(encoder.image.kind, encoder.text.kind) for encoder in both}) == 3 * 5
    assert (
        len({str(encoder.image) for encoder in both}) == 3 + 3 + 5
    )  # all that conv and features can be, and a patch for each text
    assert {section.decoder.kind for section in pairs() if section.encoder in both} == {
        "gru",
        "lstm",
        "rnn",
        "transformer",
    }


def test_what_every_attention_has_is_met_in_every_score_and_order() -> None:
    assert TURNS[0] == {}
    assert {key for turn in TURNS for key in turn} == {*sections.AttentionSection.model_fields, "coverage"}
    met: dict[tuple[str, str, bool], set[tuple[bool, int]]] = {}
    for section in pairs():
        decoder = section.decoder
        if isinstance(decoder, sections.RecurrentDecoder) and isinstance(decoder.attention, sections.AttentionSection):
            way = (decoder.attention.kind, decoder.order, decoder.input_feeding)
            met.setdefault(way, set()).add((decoder.attention.gate, decoder.attention.hops))
    assert len(met) >= 5 * 3
    assert {len(turns) for turns in met.values()} == {4}


def test_coverage_is_met_in_every_cell_and_order() -> None:
    met: dict[tuple[str, str, bool], set[bool]] = {}
    for section in pairs():
        decoder = section.decoder
        if isinstance(decoder, sections.RecurrentDecoder) and isinstance(decoder.attention, sections.AdditiveAttention):
            way = (decoder.kind, decoder.order, decoder.input_feeding)
            met.setdefault(way, set()).add(decoder.attention.coverage)
    assert len(met) == 3 * 3
    assert all(coverage == {False, True} for coverage in met.values())


@every_encoder_kind
def test_all_at_once_equals_step_by_step(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    for specimen in models_with(kind):
        model, inputs = specimen.model, given.inputs
        start = model.start(given)
        whole, end = model.decoder(inputs, start)
        stepped, stepped_end = step_by_step(model, start, inputs)
        same(whole, stepped, specimen)
        assert end.position == stepped_end.position == 6
        assert end.cache.keys() == stepped_end.cache.keys()
        assert end.history.keys() == stepped_end.history.keys()
        for name, part in end.history.items():
            same(part, stepped_end.history[name], specimen)
        # a prefix in one call and the rest in another, as a forced prefix in search would do
        first, middle = model.decoder(inputs[:, :2], start)
        second, _ = model.decoder(inputs[:, 2:], middle)
        same(whole, torch.cat((first, second), dim=1), specimen)


@every_encoder_kind
def test_padding_changes_nothing(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    more = padded(given, source=4, target=3)
    for specimen in models_with(kind):
        same(specimen.model(given), specimen.model(more)[:, :6], specimen)
        difference = specimen.model.loss(given) - specimen.model.loss(more)
        assert abs(difference) < 1e-4, specimen


@every_encoder_kind
def test_batch_mates_and_their_order_change_nothing(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    alone = [_without_padding(rows(given, [row])) for row in range(3)]
    for specimen in models_with(kind):
        together = specimen.model(given)
        same(together[[2, 0, 1]], specimen.model(rows(given, [2, 0, 1])), specimen)
        for row, one in enumerate(alone):
            length = one.labels.shape[1]
            same(together[row : row + 1, :length], specimen.model(one), specimen)


@every_encoder_kind
def test_rows_that_share_an_image_see_it_as_if_each_had_its_own(kind: str) -> None:
    given, order = batch([7, 5, 2], [6, 3, 6]), torch.tensor([1, 0, 1])
    assert given.image is not None
    apart = replace(given, image=given.image[order])
    shared = replace(given, image=given.image[:2], image_of=order)
    for specimen in models_with(kind):
        same(specimen.model(apart), specimen.model(shared), specimen)


def _without_padding(one: Batch) -> Batch:
    assert one.target is not None
    source, target = int(one.source_mask.sum()), one.target_tokens + 1
    return Batch(one.source[:, :source], one.source_mask[:, :source], one.target[:, :target], one.index, one.image)


@every_encoder_kind
def test_future_symbols_change_no_past_output(kind: str) -> None:
    given = batch([7, 5, 2], [6, 6, 6])
    for specimen in models_with(kind):
        start = specimen.model.start(given)
        before, _ = specimen.model.decoder(given.inputs, start)
        for position in range(1, 6):
            changed = given.inputs.clone()
            changed[:, position:] = (changed[:, position:] + 3) % 16 + 4
            after, _ = specimen.model.decoder(changed, start)
            same(before[:, :position], after[:, :position], specimen, tolerance=1e-6)
            deaf = specimen.section.decoder.kind == "feedforward"
            assert torch.equal(before[:, position], after[:, position]) == deaf, specimen


@every_encoder_kind
def test_the_source_is_read(kind: str) -> None:
    """Each symbol by what reads symbols, each corner of an image by what looks at it; and nothing else by either."""
    given = batch([7, 5, 4], [6, 6, 6])
    assert given.image is not None
    for specimen in models_with(kind):
        before, encoder = specimen.model(given), specimen.section.encoder
        for position in range(4):
            source, image = given.source.clone(), given.image.clone()
            source[:, position] = (source[:, position] + 3) % 16 + 4
            image[:, :, -(position // 2), -(position % 2)] *= -1
            reads = not torch.equal(before, specimen.model(replace(given, source=source)))
            looks = not torch.equal(before, specimen.model(replace(given, image=image)))
            assert reads == (sections.text_encoder(encoder) is not None), specimen
            assert looks == (sections.image_encoder(encoder) is not None), specimen


def expected_maps(section: sections.Model) -> set[str]:
    """The names of all attentions of a model."""
    encoder, decoder = section.encoder, section.decoder
    if isinstance(encoder, sections.ImageTextEncoder):
        names = self_attention("encoder.image", encoder.image) | self_attention("encoder.text", encoder.text)
    else:
        names = self_attention("encoder", encoder)
    if isinstance(decoder, sections.TransformerDecoder):
        names |= self_attention("decoder", decoder)
        names |= {f"decoder.layers.{layer}.cross_attention" for layer in range(decoder.layers)}
    if isinstance(decoder, sections.RecurrentDecoder) and not isinstance(decoder.attention, sections.NoAttention):
        hops = getattr(decoder.attention, "hops", 1)
        names |= {"decoder.attention"} if hops == 1 else {f"decoder.attention.hops.{hop}" for hop in range(hops)}
    return names


def self_attention(name: str, section: Section) -> set[str]:
    if not isinstance(section, sections.TransformerStack):
        return set()
    return {f"{name}.layers.{layer}.attention" for layer in range(section.layers)}


def mask_of(name: str, memory: Memory, given: Batch) -> Tensor:
    """What an attention of the encoder, or one over the memory, may attend to, (B,S): cells are never padding, symbols may be."""
    if name.startswith("decoder"):
        return memory.mask
    if memory.grid is None or name.startswith("encoder.text"):
        return given.source_mask
    return memory.mask[:, : math.prod(memory.grid)]


@every_encoder_kind
def test_tracing_shows_the_weights_and_changes_nothing(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    seen = 0
    for specimen in models_with(kind):
        fast, memory = specimen.model(given), specimen.model.encoder(given)
        with trace_attention(specimen.model) as maps:
            same(fast, specimen.model(given), specimen)
        assert maps.keys() == expected_maps(specimen.section), specimen
        for name, weights in maps.items():
            seen += 1
            same(weights.sum(dim=-1), torch.ones(weights.shape[:-1]), specimen)
            causal = name.startswith("decoder.layers") and name.endswith(".attention")
            if causal:
                assert weights.shape[2:] == (6, 6)
                assert torch.equal(weights, weights.tril()), (name, specimen)
            else:
                hidden = ~mask_of(name, memory, given)[:, None, None, :].expand_as(weights)
                assert hidden.any() == (kind not in IMAGE_KINDS and not name.startswith("encoder.image")), (
                    name,
                    specimen,
                )
                assert (weights[hidden] == 0).all(), (name, specimen)
                assert (weights[~hidden] > 0).all(), (name, specimen)
        with trace_attention(specimen.model) as stepped:
            step_by_step(specimen.model, specimen.model.start(given), given.inputs)
        for name, weights in maps.items():
            same(weights, stepped[name], specimen)
    assert seen >= 20


CHANGES: tuple[tuple[list[int], list[int] | None], ...] = (
    ([1, 0, 3, 3], None),  # hypotheses change places
    ([3, 2], [1]),  # a sentence leaves
    ([2, 3, 2, 2, 1, 0], [1, 1, 0]),  # one is there twice
    ([1, 2], [0, 1]),  # of two hypotheses one is left
    ([1, 0, 1, 3, 3, 2], [0, 1]),  # and three are made of them
)
"""What is done to two hypotheses for each of two sentences: the rows that are left, and, where not all stay, the sentences."""


@every_encoder_kind
def test_what_search_does_to_a_state(kind: str) -> None:
    """After it, all is as if the prefixes had been read so from the start; in inference mode, in which keys and values are written in place, and
    without, in turn."""
    given = batch([7, 5], [5, 5])
    drawn = batch([7] * 6, [7] * 6, seed=1).inputs
    for number, specimen in enumerate(models_with(kind)):
        for turn, (order, sentences) in enumerate(CHANGES, start=number):
            with torch.inference_mode(turn % 2 == 0):
                walk = _Walk(specimen.model, given)
                walk.change([0, 0, 1, 1], [0, 1])
                walk.read(drawn[:4, :2])
                walk.change([1, 0, 2, 2])
                walk.read(drawn[:4, 2:3])
                walk.change(order, sentences)
                found = [walk.read(ids) for ids in drawn[: len(order), 3:5].split(1, dim=1)]
                whole, _ = specimen.model.decoder(walk.words, specimen.model.start(rows(given, walk.sentences)))
            same(torch.cat(found, dim=1), whole[:, -2:], specimen)


class _Walk:
    """A state, and beside it what each of its hypotheses has read, and of which sentence."""

    def __init__(self, model: Seq2Seq, given: Batch) -> None:
        self.decoder, self.state = model.decoder, model.start(given)
        self.sentences = list(range(len(given.source)))
        self.words = torch.empty(len(given.source), 0, dtype=torch.long)

    def change(self, order: list[int], sentences: list[int] | None = None) -> None:
        chosen = torch.tensor(order)
        self.state = (
            self.state.reorder(chosen) if sentences is None else self.state.select(chosen, torch.tensor(sentences))
        )
        self.words, self.sentences = self.words[chosen], [self.sentences[row] for row in order]

    def read(self, ids: Tensor) -> Tensor:
        features, self.state = self.decoder(ids, self.state)
        self.words = torch.cat((self.words, ids), dim=1)
        return features


@every_encoder_kind
def test_gradients_reach_every_parameter(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    for specimen in models_with(kind):
        for module in specimen.model.modules():
            if isinstance(module, (PlaceNorm, BatchNorm)):
                # behind one that starts at 0 the first step finds nothing
                torch.nn.init.ones_(module.weight)
        with torch.enable_grad():
            specimen.model.loss(given, label_smoothing=0.1).backward()
        unreached = {
            name
            for name, parameter in specimen.model.named_parameters()
            if parameter.grad is None or not parameter.grad.any()
        }
        specimen.model.zero_grad()
        expected = {name for name, _ in specimen.model.named_parameters() if name.startswith(_unused(specimen.section))}
        assert unreached == expected, specimen


def _unused(section: sections.Model) -> tuple[str, ...]:
    """The parameters that a pair of kinds has no use for."""
    attends = bool(expected_maps(section) - {name for name in expected_maps(section) if name.startswith("encoder")})
    if isinstance(section.encoder, sections.FeedforwardEncoder) and not attends:
        return ("encoder.states.",)  # one state a position, which nobody looks at
    return ()


@every_encoder_kind
def test_dropout_is_for_training_only(kind: str) -> None:
    given = batch([7, 5, 2], [6, 3, 6])
    for specimen in models_with(kind):
        assert torch.equal(specimen.model(given), specimen.model(given)), specimen
        specimen.model.train()
        try:
            assert not torch.equal(specimen.model(given), specimen.model(given)), specimen
        finally:
            specimen.model.eval()


@every_encoder_kind
def test_teacher_forcing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of nearly 1 whose draws all say "given" is the default; a share of 0 is the model's own greedy walk."""
    given = batch([7, 5, 2], [6, 3, 6])
    for specimen in models_with(kind):
        if specimen.section.decoder.kind == "transformer":
            continue  # the rules refuse it
        model = specimen.model
        with monkeypatch.context() as patch:
            patch.setattr(torch, "rand", torch.zeros)
            same(model(given), model(given, teacher_forcing=0.999), specimen)
        state, ids, walked = model.start(given), given.inputs[:, 0], []
        for _ in range(6):
            feature, _ = model.decoder(ids[:, None], state)
            scores, state = model.step(ids, state)
            ids = scores.argmax(dim=-1)
            walked.append(feature)
        same(torch.cat(walked, dim=1), model(given, teacher_forcing=0.0), specimen)
