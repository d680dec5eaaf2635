"""Waves, tables and rotations."""

from __future__ import annotations

import math

import pytest
import torch

from seqcli.errors import RecipeError
from seqcli.nn.positions import LearnedPositions, SinusoidalPositions, rotate, sinusoidal

ANY = torch.zeros(())


def test_waves_are_those_of_the_paper() -> None:
    # PE(p, 2i) = sin(p / 10000^(2i/4)), PE(p, 2i+1) = cos(the same): wavelengths 2π and 2π·100
    for position, row in enumerate(sinusoidal(6, 4, like=ANY).tolist()):
        slow = position / 100
        expected = [math.sin(position), math.cos(position), math.sin(slow), math.cos(slow)]
        assert row == pytest.approx(expected, abs=1e-6)


def test_waves_of_an_odd_width_end_with_a_sine() -> None:
    assert sinusoidal(5, 3, like=ANY)[2].tolist() == pytest.approx(
        [math.sin(2), math.cos(2), math.sin(2 / 10000 ** (2 / 3))], abs=1e-6
    )


@pytest.mark.parametrize("positions", [SinusoidalPositions(), LearnedPositions(10, 8)])
def test_an_offset_goes_on_where_the_past_ended(positions: torch.nn.Module) -> None:
    embedded = torch.randn(2, 7, 8)
    whole = positions(embedded)
    torch.testing.assert_close(whole[:, 4:], positions(embedded[:, 4:], 4))
    assert not torch.allclose(whole[:, 4:], positions(embedded[:, 4:]))


def test_the_end_of_a_learned_table_is_told() -> None:
    positions = LearnedPositions(10, 8)
    positions(torch.zeros(1, 3, 8), 7)
    with pytest.raises(RecipeError, match=r"position 11 is beyond the learned table; .*max_positions more than 10"):
        positions(torch.zeros(1, 4, 8), 7)


def test_rotation_of_one_pair() -> None:
    # one pair of columns turns by one radian a position: (1, 0) → (cos p, sin p), (0, 1) → (-sin p, cos p)
    turned = rotate(torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 2))
    expected = [[math.cos(p), math.sin(p)] for p in range(3)] + [[-math.sin(p), math.cos(p)] for p in (3, 4)]
    torch.testing.assert_close(turned, torch.tensor(expected))


def test_the_second_pair_turns_a_hundred_times_slower() -> None:
    turned = rotate(torch.tensor([[0.0, 0.0, 1.0, 0.0]]), offset=50)
    torch.testing.assert_close(turned, torch.tensor([[0.0, 0.0, math.cos(0.5), math.sin(0.5)]]))


def test_rotation_keeps_lengths_and_dot_products_depend_on_the_distance_only() -> None:
    query, key = torch.randn(1, 8), torch.randn(1, 8)
    torch.testing.assert_close(rotate(query, 123).norm(), query.norm())

    def product(asked: int, asking: int) -> float:
        return float(rotate(query, asking) @ rotate(key, asked).T)

    for distance in (0, 1, 5, 40):
        assert product(3, 3 + distance) == pytest.approx(product(200, 200 + distance), abs=1e-3)
    assert product(3, 3) == pytest.approx(float(query @ key.T), abs=1e-5)
    assert product(3, 4) != pytest.approx(product(3, 5), abs=1e-3)


def test_many_positions_turn_as_one_by_one() -> None:
    vectors = torch.randn(2, 3, 5, 8)
    one_by_one = [rotate(vectors[:, :, [position]], 7 + position) for position in range(5)]
    torch.testing.assert_close(rotate(vectors, 7), torch.cat(one_by_one, dim=2))
