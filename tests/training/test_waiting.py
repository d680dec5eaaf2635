"""What the passes of a training step must not do on a GPU is to ask it for a number, since that is to wait for it.

No GPU is needed: whatever would wait is seen among torch's operations on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from models.zoo import ENCODER_KINDS, batch, built, pairs
from torch.utils._python_dispatch import TorchDispatchMode
from training.miniature import PLAIN

from seqcli.recipe.model import Model, NoAttention, RecurrentEncoder, text_encoder
from seqcli.training.scheduled_sampling import ScheduledSampling, linear
from seqcli.training.step import losses
from seqcli.training.team import Team

WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "index")
"""Operations that need a number, or the shape of a result, from the device; `index` because a list would be copied there."""


NONE = NoAttention(kind="none")


class Asked(TorchDispatchMode):
    """The names of those that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names += [name for name in WAITING if operation.overloadpacket.__name__ == name]
        return operation(*args, **(kwargs or {}))


def test_what_would_wait_is_seen() -> None:
    with Asked() as asked:
        given = batch([2, 1], [2, 1])
        assert given.target_tokens > 0
        float(given.source.sum())
        given.source[:, [0, 1]]
    assert sorted(set(asked.names)) == ["_local_scalar_dense", "index", "nonzero"]


def test_a_batch_takes_along_what_its_kernels_ask_for() -> None:
    """Its lengths stay in main memory, wherever it goes."""
    given = batch([5, 3, 2], [4, 6, 2])
    lengths = given.source_mask.sum(dim=1).tolist()
    gone = given.to("meta")
    assert gone.source.device.type == "meta"
    assert gone.lengths.tolist() == lengths
    assert gone.twice().lengths.tolist() == 2 * lengths
    assert given.select(torch.tensor([2, 0])).lengths.tolist() == [lengths[2], lengths[0]]


def attends(section: Model) -> bool:
    decoder = section.decoder
    return decoder.kind == "transformer" or not isinstance(getattr(decoder, "attention", NONE), NoAttention)


@pytest.mark.parametrize(
    "added",
    [
        pytest.param({}, id="", marks=pytest.mark.real),
        pytest.param({"r_drop": 5.0}, id="r_drop", marks=pytest.mark.real),
        pytest.param({"doubly_stochastic": 1.0}, id="penalty", marks=pytest.mark.real),
        pytest.param({"scheduled_sampling": ScheduledSampling(linear(1))}, id="sampling"),
    ],
)
def test_forward_and_backward_pass_ask_for_nothing(added: dict[str, Any]) -> None:
    """Of models of every kind; torch's recurrences ask a packed sequence, twice, for a size that is in main memory anyway. Without dropout,
    whose masks on a CPU are drawn there."""
    sections = pairs()
    assert {section.encoder.kind for section in sections} == {*ENCODER_KINDS}
    if "doubly_stochastic" in added:
        sections = [section for section in sections if attends(section)]
    assert len(sections) > 20
    for section in sections[::4]:
        torch.manual_seed(1)
        model = built(section.model_copy(update={"dropout": 0.0}))
        given = batch([5, 3, 2], [4, 6, 2]).to("cpu")
        with Asked() as asked:
            loss, _ = losses(Team().replica(model), given, replace(PLAIN, **added))
            torch.autograd.backward(loss)
        packed = isinstance(text_encoder(section.encoder), RecurrentEncoder)
        passes = 2 if "scheduled_sampling" in added else 1
        assert asked.names == ["_local_scalar_dense"] * (2 * passes if packed else 0), (
            section.encoder.kind,
            section.decoder.kind,
        )
