"""The search's options over models of the zoo: batch mates change nothing, attention of steps is that of a whole pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from models.zoo import ENCODER_KINDS, Specimen, alone, batch, models_with, rows

from seqcli.errors import SeqcliError
from seqcli.models.seq2seq import over_memory
from seqcli.nn.trace import trace_attention
from seqcli.search.beam import beam_search
from seqcli.search.demands import Demands
from seqcli.search.penalties import Coverage, uncovered
from seqcli.search.sampling import Sampling
from seqcli.symbols import BOS
from seqcli.types import Batch, Hypotheses

LIMITS = [8, 6, 7]
LENGTHS = [7, 5, 2]
GIVEN = batch(LENGTHS, [1, 1, 1])
DEMANDS = [
    Demands((5,), avoid=((6, 7),), source=(1,)),
    Demands(constraints=((8, 9), (10,))),
    Demands(min_length=4, source=(3,)),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "demands": {"beam_size": 3, "demands": DEMANDS, "no_repeat_ngram": 2, "repetition_penalty": 1.2},
    "groups": {"beam_size": 4, "groups": 2, "diversity": 0.5, "normalization": "gnmt", "patience": 2.0},
    "sampling": {
        "beam_size": 3,
        "sampling": Sampling(top_k=15),
        "demands": [replace(one, constraints=()) for one in DEMANDS],
    },
}


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def some(kind: str) -> list[Specimen]:
    return models_with(kind)[::5]


def search(specimen: Specimen, given: Batch, limits: list[int], *, coverage: float = 0.0, **how: Any) -> Hypotheses:
    state = specimen.model.start(given)
    looking = Coverage(specimen.model.step_with_attention, state.memory["mask"], coverage) if coverage else None
    return beam_search(specimen.model.step, state, limits, coverage=looking, **how)


def attends(specimen: Specimen) -> bool:
    return "mask" in specimen.model.start(GIVEN).memory


@pytest.mark.parametrize("kind", ENCODER_KINDS)
@pytest.mark.parametrize("name", OPTIONS)
def test_batch_mates_change_no_hypothesis(kind: str, name: str) -> None:
    for specimen in some(kind):
        how = {**OPTIONS[name], "coverage": 0.3 if attends(specimen) and name != "sampling" else 0.0}
        together = search(specimen, GIVEN, LIMITS, **how)
        assert (together.lengths[:, 0] > 0).all(), specimen
        for row, (length, limit) in enumerate(zip(LENGTHS, LIMITS, strict=True)):
            own = {**how, "demands": [how["demands"][row]]} if "demands" in how else how
            single = search(specimen, alone(GIVEN, row, length), [limit], **own)
            longest = single.ids.shape[2]
            assert torch.equal(single.ids[0], together.ids[row, :, :longest]), specimen
            assert not together.ids[row, :, longest:].any()
            assert (single.log_probs[0] - together.log_probs[row]).nan_to_num().abs().max() <= 1e-5, specimen
            assert (single.scores[0] - together.scores[row]).nan_to_num().abs().max() <= 1e-4, specimen


@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_coverage_is_that_of_a_whole_pass(kind: str) -> None:
    for specimen in some(kind):
        if not attends(specimen):
            with pytest.raises(SeqcliError, match="has no attention"):
                specimen.model.step_with_attention(torch.tensor([BOS] * 3), specimen.model.start(GIVEN))
            continue
        found = search(specimen, GIVEN, LIMITS, coverage=0.5, beam_size=3)
        for row in range(3):
            for column in range(3):
                length = int(found.lengths[row, column])
                target = torch.tensor([[BOS, *found.ids[row, column, :length].tolist()]])
                one = replace(rows(GIVEN, [row]), target=target)
                with trace_attention(specimen.model) as maps:
                    scores = specimen.model.logits(one).double().log_softmax(-1)
                log_prob = float(scores[0].gather(1, target[0, 1:, None]).sum())
                mask = specimen.model.start(one).memory["mask"]
                sums = over_memory(maps)[-1].mean(dim=1)[0].sum(dim=0).masked_fill(~mask[0], 1.0)
                expected = log_prob / length + 0.5 * float(uncovered(sums))
                assert float(found.scores[row, column]) == pytest.approx(expected, abs=1e-4), specimen
