"""What the vanilla baseline cannot do, which is what it is there to show."""

from __future__ import annotations

import torch
from models.zoo import VOCABULARY, batch, rows

from seqcli.build.model import build_model
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.model import Model
from seqcli.types import Batch

WINDOW = 4


def build() -> Seq2Seq:
    side = {"kind": "feedforward", "window": WINDOW, "hidden_size": 8}
    torch.manual_seed(0)
    return build_model(Model.model_validate({"encoder": side, "decoder": side}), VOCABULARY, VOCABULARY).eval()


@torch.no_grad()
def test_what_lies_beyond_the_window_is_not_seen() -> None:
    model, given = build(), batch([7, 7], [3, 3])
    for position in range(7):
        source = given.source.clone()
        source[:, position] = (source[:, position] + 3) % 16 + 4
        changed = Batch(source, given.source_mask, given.target, given.index)
        assert torch.equal(model(given), model(changed)) == (position >= WINDOW)
    assert model.encoder(given).states.shape == (2, WINDOW, 8)


@torch.no_grad()
def test_beyond_the_window_the_last_answer_is_repeated() -> None:
    features = build()(batch([5], [7]))
    assert torch.equal(features[:, WINDOW:], features[:, WINDOW - 1 : WINDOW].expand(-1, 3, -1))
    assert not torch.equal(features[:, WINDOW - 1], features[:, WINDOW - 2])


@torch.no_grad()
def test_positions_have_weights_of_their_own() -> None:
    """The same symbols one place further on give other features: nothing is shared along the sequence."""
    model, given = build(), rows(batch([4, 4], [3, 3]), [0])
    moved = Batch(given.source.roll(1, dims=1), given.source_mask, given.target, given.index)
    assert not torch.allclose(model(given), model(moved))
