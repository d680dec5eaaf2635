"""The pointer-generator against the formula in plain loops, and what it is for: words that no target has shown."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from models.zoo import COPIES, VOCABULARY, alone, batch
from torch import Tensor
from training.miniature import PLAIN

from seqcli.build.model import build_model
from seqcli.models.copying import PointerGenerator
from seqcli.models.ensemble import Ensemble, joint_batch
from seqcli.models.seq2seq import over_memory
from seqcli.nn.doubly_stochastic import doubly_stochastic_penalty
from seqcli.nn.pointer import mixture
from seqcli.nn.trace import collect_attention, trace_attention
from seqcli.recipe.model import Model
from seqcli.search.beam import beam_search
from seqcli.symbols import BOS, EOS, PAD
from seqcli.training.optim import Adam
from seqcli.training.step import losses, train_step
from seqcli.training.team import Team
from seqcli.types import Batch

GRU: dict[str, Any] = {"kind": "gru", "hidden_size": 8, "embedding_size": 6}
STACK: dict[str, Any] = {"kind": "transformer", "hidden_size": 8, "layers": 2, "heads": 2, "feedforward_size": 8}
DECODERS: dict[str, dict[str, Any]] = {
    "luong": {**GRU, "attention": {"kind": "additive"}},
    "bahdanau in gated hops": {
        **GRU,
        "order": "bahdanau",
        "attention": {"kind": "multiplicative", "gate": True, "hops": 3},
    },
    "input feeding": {**GRU, "input_feeding": True, "attention": {"kind": "content", "hops": 2}},
    "coverage": {**GRU, "order": "bahdanau", "attention": {"kind": "additive", "coverage": True}},
    "transformer": STACK,
}
LENGTHS = ([7, 5, 2], [6, 3, 6])
ONLY_IN_SOURCES = 4
every_decoder = pytest.mark.parametrize("decoder", DECODERS)


def model_of(decoder: str, dropout: float = 0.0) -> PointerGenerator:
    """In float64, and sharper than it starts, so that symbols differ."""
    torch.manual_seed(1)
    keys = {"encoder": STACK if decoder == "transformer" else GRU, "decoder": DECODERS[decoder], "dropout": dropout}
    section = Model.model_validate({**keys, "copying": True})
    model = build_model(section, VOCABULARY, VOCABULARY, copies=COPIES).double()
    assert isinstance(model, PointerGenerator)
    model.train(dropout > 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
        model.gate.bias.fill_(-0.5)
    return model


def given_batch() -> Batch:
    """With a symbol that only sources have, one that a source has twice, and padding."""
    given = batch(*LENGTHS)
    given.source[0, :3] = torch.tensor([ONLY_IN_SOURCES, 9, 9])
    given.source[1, 0] = ONLY_IN_SOURCES
    return given


def by_hand(model: PointerGenerator, given: Batch) -> list[list[list[float]]]:
    """p(y) of each row, step and symbol."""
    with torch.no_grad():
        memory = model.encoder(given)
        with trace_attention(model) as maps:
            features, _ = model.decoder(given.inputs, model.decoder.start(memory))
        attention = over_memory(maps)[-1]
        scores, gates = model.output(features), model.gate(features)
    rows, heads, steps, places = attention.shape
    found = []
    for row in range(rows):
        found.append([])
        for step in range(steps):
            powers = [math.exp(float(score)) for score in scores[row, step]]
            share = 1 / (1 + math.exp(-float(gates[row, step])))
            pointed = [0.0] * VOCABULARY
            for place in range(places):
                weight = sum(float(attention[row, head, step, place]) for head in range(heads)) / heads
                if COPIES[int(given.source[row, place])] >= 0:
                    pointed[COPIES[int(given.source[row, place])]] += (1 - share) * weight
            written = 1 - sum(pointed)
            found[-1].append([p + written * power / sum(powers) for p, power in zip(pointed, powers, strict=True)])
    return found


@every_decoder
def test_the_mixture_is_that_of_plain_loops_and_sums_to_1(decoder: str) -> None:
    model, given = model_of(decoder), given_batch()
    with torch.no_grad():
        probabilities = model.logits(given).exp()
    torch.testing.assert_close(probabilities, torch.tensor(by_hand(model, given), dtype=torch.float64))
    torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones_like(probabilities[..., 0]))


@every_decoder
def test_a_source_that_cannot_be_copied_leaves_the_softmax_alone(decoder: str) -> None:
    model, given = model_of(decoder), given_batch()
    model.copies.fill_(-1)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(given), model.output(model(given)).log_softmax(dim=-1))


@every_decoder
def test_steps_and_hypotheses_are_scored_as_under_teacher_forcing(decoder: str) -> None:
    model, given = model_of(decoder), given_batch()
    with torch.no_grad():
        whole, state = model.logits(given), model.start(given)
        # two hypotheses for each sentence, whose first has read what is given
        state = state.select(torch.arange(3).repeat_interleave(2), torch.arange(3))
        for step in range(whole.shape[1]):
            ids = torch.stack((given.inputs[:, step], (given.inputs[:, step] + step) % VOCABULARY), dim=1).flatten()
            scores, state = model.step(ids, state)
            torch.testing.assert_close(scores[::2], whole[:, step])
            assert step == 0 or not torch.allclose(scores[1::2], whole[:, step])


@every_decoder
def test_the_loss_and_its_smoothing(decoder: str) -> None:
    model, given = model_of(decoder), given_batch()
    probabilities = by_hand(model, given)
    for smoothing in (0.0, 0.3):
        expected = 0.0
        for row, labels in enumerate(given.labels.tolist()):
            for step, label in enumerate(labels):
                if label == PAD:
                    continue
                logarithms = [math.log(p) for p in probabilities[row][step]]
                expected -= (1 - smoothing) * logarithms[label] + smoothing / VOCABULARY * sum(logarithms)
        assert model.loss(given, label_smoothing=smoothing).item() == pytest.approx(expected)


@every_decoder
def test_gradients_are_the_slopes_of_the_loss(decoder: str) -> None:
    model, given = model_of(decoder), given_batch()
    draw = torch.Generator().manual_seed(2)
    parameters = list(model.parameters())
    ways = [torch.randn(each.shape, dtype=torch.float64, generator=draw) for each in parameters]

    def moved(distance: float) -> float:
        with torch.no_grad():
            for each, way in zip(parameters, ways, strict=True):
                each.add_(way, alpha=distance)
            return float(model.loss(given, label_smoothing=0.1))

    model.loss(given, label_smoothing=0.1).backward()
    assert model.gate.weight.grad is not None
    assert model.gate.weight.grad.any()
    expected = sum(
        float((each.grad * way).sum()) for each, way in zip(parameters, ways, strict=True) if each.grad is not None
    )
    small = 1e-6
    ahead, behind = moved(small), moved(-2 * small)
    assert (ahead - behind) / (2 * small) == pytest.approx(expected, rel=1e-5)


@every_decoder
def test_r_drop(decoder: str) -> None:
    model, given = model_of(decoder, dropout=0.3), given_batch()
    torch.manual_seed(5)
    objective, entropy = model.r_drop_loss(given, 0.7, label_smoothing=0.1)
    torch.manual_seed(5)
    real = given.labels != PAD
    p, q = (part[real] for part in model.logits(given.twice()).chunk(2))
    assert not torch.allclose(p, q)
    wanted = torch.full_like(p, 0.1 / VOCABULARY).scatter_add(
        1, given.labels[real][:, None], torch.full((len(p), 1), 0.9, dtype=torch.float64)
    )
    entropies = [-(wanted * each).sum() for each in (p, q)]
    apart = [F.kl_div(*pair, log_target=True, reduction="sum") for pair in ((q, p), (p, q))]
    torch.testing.assert_close(objective, sum(entropies) + 0.7 * sum(apart) / 2)
    torch.testing.assert_close(entropy, sum(entropies).detach() / 2)
    assert not entropy.requires_grad


def test_gradients_of_the_mixture() -> None:
    draw = torch.Generator().manual_seed(3)
    logits, gate, scores = (
        torch.randn(4, width, dtype=torch.float64, generator=draw).requires_grad_() for width in (6, 1, 5)
    )
    copies = torch.tensor([[2, 5, 5, -1, -1], [2, 2, 2, 2, 2], [-1] * 5, [0, 1, 2, 3, -1]])
    mask = torch.tensor([[True] * 5, [True, False] * 2 + [True], [True] * 5, [True] * 4 + [False]])

    def mixed(logits: Tensor, gate: Tensor, scores: Tensor) -> Tensor:
        return mixture(logits, gate, scores.masked_fill(~mask, -torch.inf).softmax(dim=-1), copies)

    assert torch.autograd.gradcheck(mixed, (logits, gate, scores))


@pytest.mark.parametrize("gate", [-300.0, 0.0, 300.0])
def test_what_comes_from_one_side_alone(gate: float) -> None:
    """In float32, where the other side's share has no number."""
    logits = torch.tensor([[0.0, 500.0, -500.0, -500.0]], requires_grad=True)
    gates = torch.tensor([[gate]], requires_grad=True)
    looked, copies = torch.tensor([[0.25, 0.75, 0.0]]), torch.tensor([[2, 1, 3]])
    found = mixture(logits, gates, looked, copies)
    write, copy = F.logsigmoid(torch.tensor(gate)).item(), F.logsigmoid(torch.tensor(-gate)).item()
    assert found[0, 0].item() == pytest.approx(write - 500.0)
    assert found[0, 2].item() == pytest.approx(max(copy + math.log(0.25), write - 1000.0))
    assert found[0, 3].item() == pytest.approx(write - 1000.0)
    assert found[0, 1].exp().item() == pytest.approx(math.exp(write) + 0.75 * math.exp(copy))
    found.sum().backward()
    assert logits.grad is not None
    assert gates.grad is not None
    assert logits.grad.isfinite().all()
    assert gates.grad.isfinite().all()
    # nothing to copy: all is written, whatever the gate says
    assert torch.equal(mixture(logits, gates, looked, torch.full((1, 3), -1)), logits.log_softmax(dim=-1))


@every_decoder
def test_an_onlooker_sees_what_the_model_looks_at(decoder: str) -> None:
    """Recordings inside a recording, of one attention or of all, take nothing from the outer one."""
    model, given = model_of(decoder), given_batch()
    with torch.no_grad():
        with trace_attention(model) as expected:
            model.decoder(given.inputs, model.decoder.start(model.encoder(given)))
        with trace_attention(model) as maps:
            model.loss(given)
        _, _, looked = model.step_with_attention(given.inputs[:, 0], model.start(given))
    assert maps.keys() == expected.keys()
    for name, weights in expected.items():
        torch.testing.assert_close(maps[name], weights)
    torch.testing.assert_close(looked, over_memory(expected)[-1].mean(dim=1)[:, 0])
    with trace_attention(model) as outer, collect_attention(model, model.pointer) as inner:
        model(given)
    assert inner.keys() == {model.pointer}
    assert inner[model.pointer].requires_grad
    assert outer.keys() == expected.keys()
    assert not outer[model.pointer].requires_grad


@every_decoder
def test_doubly_stochastic_attention_goes_with_it(decoder: str) -> None:
    model, given = model_of(decoder), given_batch()
    plain, _ = losses(Team().replica(model), given, PLAIN)
    objective, reported = losses(Team().replica(model), given, replace(PLAIN, doubly_stochastic=0.7))
    with torch.no_grad():
        _, looks = model.forward_with_looks(given)
        penalty = doubly_stochastic_penalty(looks.weights, looks.steps, looks.positions)
    torch.testing.assert_close(objective, plain + 0.7 * penalty)
    torch.testing.assert_close(reported, plain.detach())


def test_copying_belongs_to_the_weights() -> None:
    model = model_of("luong")
    assert model.state_dict()["copies"].tolist() == COPIES
    section = Model.model_validate({"encoder": GRU, "decoder": DECODERS["luong"], "copying": True})
    bare = build_model(section, VOCABULARY, VOCABULARY).double().eval()
    assert bare.state_dict()["copies"].tolist() == [-1] * VOCABULARY
    bare.load_state_dict(model.state_dict())
    assert torch.equal(bare.logits(given_batch()), model.logits(given_batch()))


def test_one_that_copies_and_one_that_does_not_write_together() -> None:
    one, given = model_of("luong"), given_batch()
    other = build_model(Model.model_validate({"encoder": GRU, "decoder": GRU}), VOCABULARY, VOCABULARY).double().eval()
    with torch.no_grad():
        found = Ensemble([one, other]).logits(joint_batch([given, given])).exp()
        torch.testing.assert_close(found, (one.logits(given).exp() + other.logits(given).softmax(dim=-1)) / 2)


def test_a_decoder_without_attention_has_nothing_to_copy_by() -> None:
    section = Model.model_validate({"encoder": GRU, "decoder": {**GRU, "attention": {"kind": "none"}}, "copying": True})
    with pytest.raises(ValueError, match="nothing to copy by"):
        build_model(section, VOCABULARY, VOCABULARY)


def sentences(draw: random.Random, words: range) -> Batch:
    """Three words each, and what is asked for: the same."""
    drawn = [[draw.choice(words) for _ in range(3)] for _ in range(32)]
    source = torch.tensor([[*one, EOS] for one in drawn])
    target = torch.tensor([[BOS, *one, EOS] for one in drawn])
    return Batch(source, source != PAD, target, torch.arange(32))


def test_words_that_the_training_data_never_show_are_written() -> None:
    """A model that only generates has learnt never to write them."""
    vocabulary = 64
    shown, unshown = range(4, 44), range(44, vocabulary)
    sides = {
        "encoder": {"kind": "gru", "hidden_size": 32, "embedding_size": 16, "bidirectional": True},
        "decoder": {"kind": "gru", "hidden_size": 32, "embedding_size": 16, "attention": {"kind": "additive"}},
    }
    right = {}
    for copying in (False, True):
        torch.manual_seed(1)
        section = Model.model_validate({**sides, "copying": copying})
        model = build_model(section, vocabulary, vocabulary, copies=range(vocabulary))
        optimizer = Adam(model.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=0.0, decoupled=True)
        draw = random.Random(1)
        lessons = [sentences(draw, shown) for _ in range(20)]
        for lesson in 3 * lessons:
            train_step(model, optimizer, 0.01, [lesson], PLAIN)
        fresh = sentences(draw, unshown)
        with torch.inference_mode():
            found = beam_search(model.eval().step, model.start(fresh), [4] * 32, beam_size=1)
        right[copying] = sum(
            one.tolist() == label.tolist() for one, label in zip(found.ids[:, 0], fresh.labels, strict=True)
        )
    assert right[False] == 0
    assert right[True] >= 24


def test_batch_mates_do_not_matter() -> None:
    model, given = model_of("transformer"), given_batch()
    with torch.no_grad():
        together = model.logits(given)
        torch.testing.assert_close(model.logits(alone(given, 1, 5)), together[1:2])
