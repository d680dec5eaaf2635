"""Several models that write together: the mean of their probabilities, whatever they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from models.zoo import ENCODER_KINDS, Specimen, batch, built, pairs, rows
from torch import Tensor

from seqcli.models.ensemble import Ensemble, JointBatch, joint_batch
from seqcli.recipe.model import Model
from seqcli.search.beam import beam_search
from seqcli.symbols import BOS, EOS
from seqcli.types import Batch, Hypotheses, State

LIMITS = [8, 6, 5]
# the members read the same sentences in other symbols, and other images
READ = batch([7, 5, 2], [4, 2, 6]), batch([6, 6, 3], [4, 2, 6], seed=1), batch([4, 1, 9], [4, 2, 6], seed=2)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


class Says:
    """A member that says the same at every step, in raw scores (V,)."""

    def __init__(self, scores: list[float]) -> None:
        self.scores = torch.tensor(scores)

    def start(self, given: Batch) -> State:
        return State({"source": given.source}, {"steps": torch.zeros(len(given.source))})

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        return self.scores.expand(len(ids), -1).clone(), replace(state, cache={"steps": state.cache["steps"] + 1})

    def logits(self, given: Batch) -> Tensor:
        return self.scores.expand(*given.labels.shape, -1).clone()


def test_the_mean_of_probabilities() -> None:
    """(1/2, 1/4, 1/4) and (0, 1, 0), the one as raw scores that are no log-probabilities, give (1/4, 5/8, 1/8); a mean of logarithms would
    give (0, 1, 0)."""
    first = (torch.tensor([0.5, 0.25, 0.25]).log() + 7).tolist()
    ensemble = Ensemble([Says(first), Says([-torch.inf, 0.0, -torch.inf])])
    given = joint_batch(READ[:2])
    state = ensemble.start(given)
    assert list(state.memory) == ["0.source", "1.source"]
    scores, state = ensemble.step(torch.tensor([BOS] * 3), state)
    expected = torch.tensor([0.25, 0.625, 0.125]).expand(3, 3)
    torch.testing.assert_close(scores.exp(), expected)
    torch.testing.assert_close(ensemble.logits(given).exp(), expected[:, None].expand(3, given.labels.shape[1], 3))
    assert [part.tolist() for part in state.cache.values()] == [[1.0] * 3] * 2


def test_ten_members_and_more_keep_their_own_states() -> None:
    ensemble = Ensemble([Says([float(number), 0.0]) for number in range(12)])
    state = ensemble.start(joint_batch([READ[number % 3] for number in range(12)]))
    scores, state = ensemble.step(torch.tensor([BOS] * 3), state)
    assert len(state.memory) == len(state.cache) == 12
    expected = torch.stack([torch.tensor([float(number), 0.0]).softmax(dim=0) for number in range(12)]).mean(dim=0)
    torch.testing.assert_close(scores[0].exp(), expected)


@cache
def specimens() -> dict[str, list[Specimen]]:
    """Two models of each kind of encoder."""
    found = {}
    for seed, kind in enumerate(ENCODER_KINDS):
        sections = [section for section in pairs() if section.encoder.kind == kind]
        torch.manual_seed(seed)
        chosen = sections[seed % len(sections)], sections[-1]
        found[kind] = [Specimen(section, built(section).eval()) for section in chosen]
    return found


def members() -> list[list[Specimen]]:
    """Threes of models, each of another encoder kind; every kind is in some of them."""
    kinds = [*ENCODER_KINDS, *ENCODER_KINDS[:2]]
    return [[specimens()[kind][place % 2] for kind in kinds[place : place + 3]] for place in range(len(ENCODER_KINDS))]


def teacher_forced(ensemble: Ensemble, found: Hypotheses) -> Tensor:
    """The log-probabilities (B,K) that one pass of all members gives the hypotheses."""
    sentences, beam_size, longest = found.ids.shape
    ids = found.ids.flatten(0, 1)
    target = torch.cat((torch.full((len(ids), 1), BOS), ids), dim=1)
    order = [row for row in range(sentences) for _ in range(beam_size)]
    given = joint_batch([replace(rows(part, order), target=target) for part in READ])
    chosen = ensemble.logits(given).gather(2, ids[:, :, None]).squeeze(2)
    written = torch.arange(longest) < found.lengths.flatten()[:, None]
    return (chosen * written).sum(dim=1).view(sentences, beam_size)


def test_the_score_of_a_search_is_the_ensembles_own() -> None:
    """A state that mixed up its members, or the rows of one of them, would show here."""
    threes = members()
    assert len(threes) == len(ENCODER_KINDS)
    for three in threes:
        ensemble = Ensemble([specimen.model for specimen in three])
        found = beam_search(ensemble.step, ensemble.start(joint_batch(READ)), LIMITS, beam_size=3)
        assert (found.lengths > 0).all()
        assert (found.log_probs - teacher_forced(ensemble, found)).abs().max() <= 1e-5, three


def test_what_each_hypothesis_has_covered_goes_where_it_goes() -> None:
    """In a search that changes the places of hypotheses and drops sentences, with each member's own coverage, which here decides a lot."""
    side = {
        "kind": "lstm",
        "hidden_size": 16,
        "embedding_size": 12,
        "attention": {"kind": "additive", "coverage": True},
    }
    models = []
    for seed, keys in enumerate(({}, {"input_feeding": True}, {"order": "bahdanau"})):
        section = Model.model_validate(
            {"encoder": {"kind": "gru", "hidden_size": 16}, "decoder": {**side, **keys}, "copying": seed == 1}
        )
        torch.manual_seed(seed)
        model = built(section).eval()
        for parameter in model.parameters():
            parameter.mul_(2.0)
        model.decoder.attention.covered.weight.fill_(-3.0)
        models.append(model)
    ensemble = Ensemble(models)
    found = beam_search(ensemble.step, ensemble.start(joint_batch(READ)), LIMITS, beam_size=3)
    assert (found.log_probs - teacher_forced(ensemble, found)).abs().max() <= 1e-4
    state = ensemble.start(joint_batch(READ))
    assert {name for name in state.cache if name.endswith("covered")} == {"0.covered", "1.covered", "2.covered"}


def test_all_at_once_is_the_mean_of_the_members() -> None:
    for three in members():
        models = [specimen.model for specimen in three]
        found = Ensemble(models).logits(joint_batch(READ)).exp()
        alone = [model.logits(part).softmax(dim=-1) for model, part in zip(models, READ, strict=True)]
        torch.testing.assert_close(found, torch.stack(alone).mean(dim=0))


def test_a_model_with_itself_is_the_model() -> None:
    for kind in ENCODER_KINDS:
        model = specimens()[kind][0].model
        twice = Ensemble([model, model])
        search: dict[str, Any] = {"beam_size": 3}
        single = beam_search(model.step, model.start(READ[0]), LIMITS, **search)
        double = beam_search(twice.step, twice.start(joint_batch([READ[0], READ[0]])), LIMITS, **search)
        assert torch.equal(single.ids, double.ids)
        assert (single.log_probs - double.log_probs).abs().max() <= 1e-5


def test_a_joint_batch_is_the_first_members_to_all_others() -> None:
    joined = joint_batch(READ)
    assert isinstance(joined, JointBatch)
    assert torch.equal(joined.source, READ[0].source)
    assert torch.equal(joined.labels, READ[0].labels)
    assert joined.others == READ[1:]
    assert int((joined.labels == EOS).sum()) == 3
