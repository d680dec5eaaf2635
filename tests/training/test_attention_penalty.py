"""What doubly stochastic attention, and the coverage loss, add to what is minimised: from traced weights, through whole models, and over a
short run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from models.zoo import VOCABULARY, alone, batch, padded, rows
from torch import Tensor, nn
from training.miniature import FOR_EVER, PLAIN, Run, load, no_validation, plan
from training.miniature import LENGTHS as LENGTHS_OF_ALL

from seqcli.build.model import build_model
from seqcli.build.training import build_objective
from seqcli.models.seq2seq import Looks, Seq2Seq, over_memory
from seqcli.nn.coverage import coverage_loss
from seqcli.nn.doubly_stochastic import doubly_stochastic_penalty
from seqcli.nn.trace import trace_attention
from seqcli.recipe.model import Initialization, Model
from seqcli.recipe.training import Training
from seqcli.training.precision import computing_in
from seqcli.training.step import losses
from seqcli.training.team import Team
from seqcli.types import Batch, Memory

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
    "coverage": {**GRU, "attention": {"kind": "additive", "coverage": True}},
    "transformer": STACK,
}
LENGTHS = ([7, 5, 2], [6, 3, 6])
Penalty = Callable[[Looks], Tensor]
every_decoder = pytest.mark.parametrize("decoder", DECODERS)


def section_of(decoder: str, dropout: float = 0.0) -> Model:
    keys = {"encoder": STACK if decoder == "transformer" else GRU, "decoder": DECODERS[decoder], "dropout": dropout}
    return Model.model_validate(keys)


def model_of(decoder: str, dropout: float = 0.0) -> Seq2Seq:
    """In float64."""
    torch.manual_seed(1)
    return build_model(section_of(decoder, dropout), VOCABULARY, VOCABULARY).double()


def doubly_stochastic(looks: Looks) -> Tensor:
    return doubly_stochastic_penalty(looks.weights, looks.steps, looks.positions, looks.grid)


def looked_at_again(looks: Looks) -> Tensor:
    return coverage_loss(looks.weights, looks.steps)


both_penalties = pytest.mark.parametrize("penalty", [doubly_stochastic, looked_at_again])


@torch.no_grad()
def penalty_of(
    model: Seq2Seq, given: Batch, teacher_forcing: float = 1.0, penalty: Penalty = doubly_stochastic
) -> float:
    return float(penalty(model.forward_with_looks(given, teacher_forcing)[1]))


def from_traced_weights(model: Seq2Seq, given: Batch, cells: int | None = None) -> float:
    """Equation 14, sentence by sentence, over its own steps and positions, or over so many cells of an image."""
    total = 0.0
    for row in range(len(given.index)):
        with torch.no_grad(), trace_attention(model) as maps:
            model(rows(given, [row]))
        alpha = torch.cat(over_memory(maps), dim=1)[0].mean(dim=0)
        received = alpha[: int((given.labels[row] != 0).sum())].sum(dim=0)
        total += float((1 - received[: cells or int(given.source_mask[row].sum())]).square().sum())
    return total


@every_decoder
def test_it_is_added_to_what_is_minimised_and_not_to_what_is_reported(decoder: str) -> None:
    model, given = model_of(decoder), batch(*LENGTHS)
    expected = from_traced_weights(model, given)
    assert expected > 1
    plain, _ = losses(Team().replica(model), given, PLAIN)
    objective, reported = losses(Team().replica(model), given, replace(PLAIN, doubly_stochastic=0.7))
    assert not reported.requires_grad
    torch.testing.assert_close(objective, plain + 0.7 * expected)
    torch.testing.assert_close(reported, plain.detach())
    # two passes, which without dropout are the same, with a penalty each
    both = replace(PLAIN, r_drop=2.0, doubly_stochastic=0.7)
    objective, reported = losses(Team().replica(model), given, both)
    torch.testing.assert_close(objective, 2 * (plain + 0.7 * expected))
    torch.testing.assert_close(reported, plain.detach())


@torch.no_grad()
def looked_at_again_by_traced_weights(model: Seq2Seq, given: Batch) -> float:
    """Σ_t Σ_s min(a_t,s, Σ_{t'<t} a_t',s), sentence by sentence, over its own steps and positions."""
    total = 0.0
    for row, (source, target) in enumerate(zip(*LENGTHS, strict=True)):
        with trace_attention(model) as maps:
            model(alone(given, row, source))
        looks = torch.cat(over_memory(maps), dim=1)[0].mean(dim=0)[:target].tolist()
        for place in range(source):
            column = [look[place] for look in looks]
            total += sum(min(weight, sum(column[:step])) for step, weight in enumerate(column))
    return total


@every_decoder
def test_the_coverage_loss_is_added_too(decoder: str) -> None:
    model, given = model_of(decoder), batch(*LENGTHS)
    again, once = looked_at_again_by_traced_weights(model, given), from_traced_weights(model, given)
    assert again > 1
    plain, _ = losses(Team().replica(model), given, PLAIN)
    objective, reported = losses(Team().replica(model), given, replace(PLAIN, coverage_loss=0.3))
    torch.testing.assert_close(objective, plain + 0.3 * again)
    torch.testing.assert_close(reported, plain.detach())
    # beside the other penalty, and of two passes
    every = replace(PLAIN, r_drop=2.0, doubly_stochastic=0.7, coverage_loss=0.3)
    objective, reported = losses(Team().replica(model), given, every)
    torch.testing.assert_close(objective, 2 * (plain + 0.3 * again + 0.7 * once))
    torch.testing.assert_close(reported, plain.detach())


@both_penalties
@every_decoder
def test_its_gradient_is_the_slope(decoder: str, penalty: Penalty) -> None:
    """Along a random direction in the space of all weights."""
    model, given = model_of(decoder), batch(*LENGTHS)
    penalty(model.forward_with_looks(given)[1]).backward()
    directions = [torch.randn_like(parameter) for parameter in model.parameters()]
    pairs = list(zip(model.parameters(), directions, strict=True))
    slope = sum(
        float((parameter.grad * direction).sum()) for parameter, direction in pairs if parameter.grad is not None
    )
    sides = []
    with torch.no_grad():
        for step in (1e-5, -2e-5):
            for parameter, direction in pairs:
                parameter += step * direction
            sides.append(penalty_of(model, given, penalty=penalty))
    assert abs(slope) > 1e-3
    assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(slope, rel=1e-5)


@both_penalties
@every_decoder
def test_padding_and_batch_mates_change_nothing(decoder: str, penalty: Penalty) -> None:
    model, given = model_of(decoder), batch(*LENGTHS)
    expected = penalty_of(model, given, penalty=penalty)
    assert penalty_of(model, padded(given, source=4, target=3), penalty=penalty) == pytest.approx(expected)
    assert penalty_of(model, rows(given, [2, 0, 1]), penalty=penalty) == pytest.approx(expected)
    singles = [penalty_of(model, alone(given, row, length), penalty=penalty) for row, length in enumerate(LENGTHS[0])]
    assert sum(singles) == pytest.approx(expected)


@every_decoder
def test_nothing_times_the_penalty_is_no_penalty(decoder: str) -> None:
    """Also where dropout and scheduled sampling draw random numbers: the same ones."""
    forced = 1.0 if decoder == "transformer" else 0.5
    found = []
    for strength in (None, 0.0):
        model = model_of(decoder, dropout=0.3).train()
        objective = replace(PLAIN, teacher_forcing=forced, doubly_stochastic=strength)
        torch.manual_seed(2)
        loss, _ = losses(Team().replica(model), batch(*LENGTHS), objective)
        loss.backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        found.append([loss.detach(), *gradients])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("decoder", [decoder for decoder in DECODERS if decoder != "transformer"])
def test_steps_that_read_their_own_words_count_as_well(decoder: str) -> None:
    """What is read decides what is looked at next; each step counts once, and all weights of a step sum to 1."""
    model, given = model_of(decoder), batch([5], [4])
    walked = penalty_of(model, given, teacher_forcing=0.0)
    assert walked != pytest.approx(penalty_of(model, given), rel=1e-9)
    state, ids = model.start(given), given.inputs[:, :1]
    with torch.no_grad(), trace_attention(model) as maps:
        for _ in range(4):
            feature, state = model.decoder(ids, state)
            ids = model.output(feature).argmax(dim=-1)
    received = torch.cat(over_memory(maps), dim=1)[0].mean(dim=0).sum(dim=0)
    assert float(received.sum()) == pytest.approx(4)
    assert walked == pytest.approx(float((1 - received).square().sum()))


class Gridded(nn.Module):
    """An encoder whose first two states are the cells of an image."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, given: Batch) -> Memory:
        return replace(self.encoder(given), grid=(1, 2))


@every_decoder
def test_of_an_image_the_cells_alone_count(decoder: str) -> None:
    model, given = model_of(decoder), batch(*LENGTHS)
    everywhere = penalty_of(model, given)
    model.encoder = Gridded(model.encoder)
    found = penalty_of(model, given)
    assert found == pytest.approx(from_traced_weights(model, given, cells=2))
    assert found != pytest.approx(everywhere, rel=0.01)


@every_decoder
def test_over_accumulated_batches_it_is_that_of_one_big_batch(decoder: str) -> None:
    model = model_of(decoder)
    together = penalty_of(model, load(np.concatenate(plan(0))))
    assert sum(penalty_of(model, load(some)) for some in plan(0)) == pytest.approx(together)


@pytest.mark.parametrize("decoder", ["luong", "bahdanau in gated hops"])
def test_training_lowers_it(decoder: str) -> None:
    """The same run without and with, from weights so large that its attention is sharp; less than (S - T)²/S a sentence cannot be."""
    given = load(range(10))
    least = sum((source - target) ** 2 / source for source, target in LENGTHS_OF_ALL)
    section = section_of(decoder).model_copy(update={"initialization": Initialization(scale=2.0)})
    ends = []
    for strength in (None, 2.0):
        run = Run(section, seed=1)
        before = penalty_of(run.model, given) - least
        objective = replace(PLAIN, doubly_stochastic=strength)
        run.train(replace(FOR_EVER, steps=40), no_validation(), objective, learning_rate=0.05)
        ends.append(penalty_of(run.model, given) - least)
    assert 0 < ends[1] < 0.2 * before
    assert ends[1] < 0.2 * ends[0]


def test_training_lowers_the_coverage_loss() -> None:
    """The same run without and with."""
    given, ends = load(range(10)), []
    section = section_of("coverage").model_copy(update={"initialization": Initialization(scale=2.0)})
    for strength in (None, 2.0):
        run = Run(section, seed=1)
        objective = replace(PLAIN, coverage_loss=strength)
        run.train(replace(FOR_EVER, steps=40), no_validation(), objective, learning_rate=0.05)
        ends.append(penalty_of(run.model, given, penalty=looked_at_again))
    assert 0 < ends[1] < 0.7 * ends[0]


@both_penalties
@every_decoder
def test_in_16_bits_it_is_about_the_same(decoder: str, penalty: Penalty) -> None:
    torch.manual_seed(1)
    model, given = build_model(section_of(decoder), VOCABULARY, VOCABULARY), batch(*LENGTHS)
    with computing_in("bf16", torch.device("cpu")):
        found = penalty(model.forward_with_looks(given)[1])
    assert found.dtype == torch.float32
    found.backward()
    assert float(found.detach()) == pytest.approx(penalty_of(model, given, penalty=penalty), rel=0.02)
    assert all(bool(one.grad.isfinite().all()) for one in model.parameters() if one.grad is not None)


def test_the_recipes_key_reaches_the_objective() -> None:
    assert build_objective(Training(steps=1, doubly_stochastic=0.5)).doubly_stochastic == 0.5
    assert build_objective(Training(steps=1)).doubly_stochastic is None
    assert build_objective(Training(steps=1, coverage_loss=0.5)).coverage_loss == 0.5
    assert build_objective(Training(steps=1)).coverage_loss is None


def test_the_order_of_many_hops_is_theirs() -> None:
    """Not that of their names, in which 10 comes before 2."""
    section = Model.model_validate(
        {"encoder": GRU, "decoder": {**GRU, "attention": {"kind": "multiplicative", "hops": 11}}}
    )
    model = build_model(section, VOCABULARY, VOCABULARY)
    with trace_attention(model) as maps:
        model(batch(*LENGTHS))
    hops = over_memory(maps)
    assert len(hops) == 11
    assert all(hops[hop] is maps[f"decoder.attention.hops.{hop}"] for hop in range(11))


def test_of_a_transformer_all_layers_over_the_memory() -> None:
    model = model_of("transformer")
    with trace_attention(model) as maps:
        model(batch(*LENGTHS))
    layers = over_memory(maps)
    assert len(maps) == 6
    assert len(layers) == 2
    assert all(layers[layer] is maps[f"decoder.layers.{layer}.cross_attention"] for layer in range(2))
