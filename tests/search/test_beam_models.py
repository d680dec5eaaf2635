"""Beam search over every model of the zoo: the score it reports is the score the model gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from models.zoo import ENCODER_KINDS, Specimen, alone, batch, models_with, rows
from torch import Tensor

from seqcli.search.beam import beam_search
from seqcli.symbols import BOS, EOS, PAD
from seqcli.types import Batch, Hypotheses

LIMITS = [8, 6, 5]
every_encoder_kind = pytest.mark.parametrize("kind", ENCODER_KINDS)
GIVEN = batch([7, 5, 2], [1, 1, 1])


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def search(specimen: Specimen, given: Batch, limits: list[int], beam_size: int) -> Hypotheses:
    return beam_search(specimen.model.step, specimen.model.start(given), limits, beam_size=beam_size)


def teacher_forced(specimen: Specimen, found: Hypotheses) -> Tensor:
    """The log-probabilities (B,K) that one pass of the model gives the hypotheses."""
    sentences, beam_size, longest = found.ids.shape
    ids = found.ids.flatten(0, 1)
    target = torch.cat((torch.full((len(ids), 1), BOS), ids), dim=1)
    given = rows(GIVEN, [row for row in range(sentences) for _ in range(beam_size)])
    log_probs = specimen.model.logits(replace(given, target=target)).log_softmax(-1)
    chosen = log_probs.gather(2, ids[:, :, None]).squeeze(2)
    written = torch.arange(longest) < found.lengths.flatten()[:, None]
    return (chosen * written).sum(dim=1).view(sentences, beam_size)


@every_encoder_kind
def test_the_reported_score_is_the_models_own(kind: str) -> None:
    for specimen in models_with(kind):
        found = search(specimen, GIVEN, LIMITS, beam_size=3)
        assert (found.lengths > 0).all()
        assert (found.lengths <= torch.tensor(LIMITS)[:, None]).all()
        log_probs = teacher_forced(specimen, found)
        assert (found.scores - log_probs / found.lengths).abs().max() <= 1e-5, specimen
        assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()


@every_encoder_kind
def test_batch_mates_change_no_hypothesis(kind: str) -> None:
    for specimen in models_with(kind)[::3]:
        together = search(specimen, GIVEN, LIMITS, beam_size=3)
        for row, (length, limit) in enumerate(zip([7, 5, 2], LIMITS, strict=True)):
            single = search(specimen, alone(GIVEN, row, length), [limit], beam_size=3)
            longest = single.ids.shape[2]
            assert torch.equal(single.ids[0], together.ids[row, :, :longest]), specimen
            assert not together.ids[row, :, longest:].any()
            assert (single.log_probs[0] - together.log_probs[row]).abs().max() <= 1e-5, specimen


@every_encoder_kind
def test_a_beam_of_one_is_an_argmax_loop(kind: str) -> None:
    for specimen in models_with(kind)[::3]:
        found = search(specimen, GIVEN, LIMITS, beam_size=1)
        for row, limit in enumerate(LIMITS):
            one, written = rows(GIVEN, [row]), [BOS]
            while len(written) <= limit and written[-1] != EOS:
                target = torch.tensor([[*written, EOS]])
                scores = specimen.model.logits(replace(one, target=target))[0, -1]
                scores[[PAD, BOS]] = -torch.inf
                written.append(int(scores.argmax()))
            assert found.ids[row, 0, : found.lengths[row, 0]].tolist() == written[1:], specimen
