"""Half-lives and what is said of them, worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from seqcli.analysis.flow import Chain, Clipping, GradientFlow, GradientHistory, RecurrentMatrix, fade


def chain(*powers: list[float], side: str = "decoder", start: int = 0, layer: int = 1) -> Chain:
    """A chain whose gradients are these powers of 2, an example each, the last state last."""
    lengths = 2.0 ** np.array(powers)
    steps = start + np.arange(lengths.shape[1])[::-1]
    return Chain(side, layer, False, steps, lengths, np.zeros((0, lengths.shape[1])))  # type: ignore[arg-type]


def test_half_life_of_a_straight_line() -> None:
    found = chain([-3.0, -2.5, -2.0, -1.5]).fade  # a factor of √2 a step: half after two
    assert found.half_life == pytest.approx(2.0)
    assert found.whole == pytest.approx(-1.5)
    assert found.words == "halves every 2"


def test_examples_count_by_their_geometric_mean() -> None:
    # 2^-4 and 2^0 at the first state have the geometric mean 2^-2; the arithmetic one would be over a half
    assert chain([-4.0, 0.0], [0.0, 0.0]).fade.half_life == pytest.approx(0.5)


def test_what_does_not_halve() -> None:
    growing = chain([4.0, 2.0, 0.0]).fade
    assert (growing.half_life, growing.words) == (math.inf, "doubles every 0.5")
    still = chain([-0.9, 0.0]).fade  # less than a factor of 2 in all
    assert still.holds
    assert still.words == "holds"
    with np.errstate(divide="ignore"):
        gone = chain([-math.inf, -math.inf, 0.0]).fade
    assert (gone.half_life, gone.words) == (0.0, "gone at once")


def test_chains_have_levels_of_their_own() -> None:
    # both halve every step; the leap of 2^9 between them, a bridge's, is no part of the slope
    target, source = chain([-2.0, -1.0, 0.0]), chain([-14.0, -13.0, -12.0], side="encoder", start=3)
    assert fade([source, target]).half_life == pytest.approx(1.0)
    # weighted by what each says: Σ (t-t̄)·level over Σ (t-t̄)², (2·1 + 2·3) / (2 + 2) for slopes -1 and -3
    steeper = chain([-6.0, -3.0, 0.0], side="encoder", start=3)
    assert fade([steeper, target]).half_life == pytest.approx(0.5)


def flow(*chains: Chain) -> GradientFlow:
    matrices = (
        RecurrentMatrix("decoder layer 1", "hidden", 0.9, 1.2),
        RecurrentMatrix("encoder layer 1", "hidden", 1.1, 1.3),
    )
    return GradientFlow("rnn → rnn", 0, 3, 3, 1, 2.5, chains, matrices)


def test_what_stands_for_a_side() -> None:
    recurrent = flow(chain([0.0, 0.0]), chain([-1.0, 0.0], layer=2))
    assert recurrent.main("decoder") == recurrent.chains[1]
    assert recurrent.main("encoder") is None
    transformer = flow(chain([0.0, 0.0], layer=0), chain([-1.0, 0.0], layer=1))
    assert transformer.main("decoder") == transformer.chains[0]
    both = flow(chain([-7.0, -6.0], side="encoder", start=2), chain([-1.0, 1.0]))
    assert both.first_by_last == pytest.approx(2.0**-8)
    assert both.radius == 1.1


def test_clipping_counts_what_is_above() -> None:
    norms = np.array([0.5, 1.0, 1.5, 4.0])
    assert Clipping(np.arange(4), norms, 1.0, 1).share == 0.5
    assert Clipping(np.arange(4), norms, None, 1).share == 0.0


def test_json_has_no_infinity() -> None:
    history = GradientHistory("x", (flow(chain([0.0, 0.0, 0.0])),), Clipping(np.array([1]), np.array([2.0]), 1.0, 1))
    read = json.loads(json.dumps(history.as_json(), allow_nan=False))
    assert read["flows"][0]["half_life"] == {"decoder": None, "both": None}
    assert read["flows"][0]["chains"][0]["fade"] == "holds"
    assert read["clipping"]["share"] == 1.0
