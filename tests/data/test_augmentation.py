"""Training images varied at random: what follows from the image's number alone, and what each kind of change does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqcli.data.augmentation import Augmentation, recoloured

ALL = Augmentation(crop=0.3, flip=True, colour=0.3, rotate=20, shift=0.1, scale=0.2, shear=10)


def pixels_of(count: int, channels: int = 3, height: int = 9, width: int = 13) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, height, width, generator=draw) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_it_follows_from_seed_epoch_and_number(channels: int) -> None:
    pixels = pixels_of(1, channels)
    first = ALL(pixels, [5], seed=1, epoch=2)
    assert first.shape == pixels.shape
    assert torch.equal(first, ALL(pixels, [5], seed=1, epoch=2))
    for row, seed, epoch in ((6, 1, 2), (5, 2, 2), (5, 1, 3)):
        assert not torch.equal(first, ALL(pixels, [row], seed=seed, epoch=epoch))


@pytest.mark.parametrize(("height", "width"), [(9, 13), (40, 176), (64, 64)])
def test_company_and_order_change_nothing(height: int, width: int) -> None:
    pixels = pixels_of(33, 3, height, width)
    rows = torch.randperm(1000, generator=torch.Generator().manual_seed(2))[:33].tolist()
    together = ALL(pixels, rows, seed=7, epoch=1)
    for some in ([0], [32], [5, 3, 30], list(range(16, 33))):
        apart = ALL(pixels[some], [rows[place] for place in some], seed=7, epoch=1)
        assert torch.equal(apart, together[some])


def test_global_random_numbers_are_neither_read_nor_drawn() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    first = ALL(pixels_of(3), [0, 1, 2], seed=1, epoch=1)
    after = torch.rand(1), np.random.random()
    torch.manual_seed(0)
    np.random.seed(0)
    assert (torch.rand(1), np.random.random()) == after
    assert torch.equal(ALL(pixels_of(3), [0, 1, 2], seed=1, epoch=1), first)


def test_nothing_is_nothing() -> None:
    pixels = pixels_of(4)
    assert Augmentation()(pixels, range(4), seed=1, epoch=1) is pixels


def test_flip_is_an_exact_mirror_of_half_of_them() -> None:
    pixels = pixels_of(400, 1, 3, 5)
    flipped = Augmentation(flip=True)(pixels, range(400), seed=1, epoch=0)
    mirrored = [torch.equal(new, old.flip(2)) for new, old in zip(flipped, pixels, strict=True)]
    kept = [torch.equal(new, old) for new, old in zip(flipped, pixels, strict=True)]
    assert [one != other for one, other in zip(mirrored, kept, strict=True)] == [True] * 400
    assert 160 < sum(mirrored) < 240  # four standard deviations


def dot(height: int = 21, width: int = 41) -> Tensor:
    """A bright dot of 3 × 3 pixels in the middle of a dark image."""
    pixels = torch.full((1, 1, height, width), -1.0)
    pixels[..., height // 2 - 1 : height // 2 + 2, width // 2 - 1 : width // 2 + 2] = 1.0
    return pixels


def middle(pixels: Tensor) -> tuple[float, float]:
    """Where the brightness is, seen from the middle, in pixels: across and down."""
    light = (pixels[0, 0] + 1) / 2
    down, across = (torch.arange(size) - (size - 1) / 2 for size in light.shape)
    return float((light.sum(0) * across).sum() / light.sum()), float((light.sum(1) * down).sum() / light.sum())


class Known:
    """Random numbers that are the given ones, and then those in the middle."""

    def __init__(self, *shares: float) -> None:
        self.shares = list(shares)

    def share(self) -> float:
        return self.shares.pop(0) if self.shares else 0.5

    def within(self, bound: float) -> float:
        return bound * (2.0 * self.share() - 1.0)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what is drawn: angle, slant, crop, scale, where the crop lies and the shift across, the same down."""

    def set_shares(*shares: float) -> None:
        monkeypatch.setattr("seqcli.data.augmentation._Draw", lambda *_: Known(*shares))

    return set_shares


def test_a_shift_by_known_amounts_moves_a_dot(drawn: Any) -> None:
    # half of 0.2 to the left, 0.2 up: 0.1 · 41 and 0.2 · 21 pixels
    drawn(0.5, 0.5, 0.0, 0.5, 0.5, 0.75, 0.5, 1.0)
    moved = Augmentation(shift=0.2)(dot(), [0], seed=1, epoch=1)
    assert middle(moved) == pytest.approx((-4.1, -4.2), abs=1e-3)
    assert float((moved + 1).sum()) == pytest.approx(float((dot() + 1).sum()), rel=1e-3)


def test_what_comes_in_has_the_colour_of_the_edge(drawn: Any) -> None:
    drawn(0.5, 0.5, 0.0, 0.5, 0.5, 1.0)
    columns = torch.linspace(-1, 1, 10).expand(1, 1, 4, 10)
    moved = Augmentation(shift=0.5)(columns, [0], seed=1, epoch=1)
    assert torch.allclose(moved[0, 0, 0], columns[0, 0, 0, [5, 6, 7, 8, 9, 9, 9, 9, 9, 9]], atol=1e-6)


def test_enlarged_and_shrunk(drawn: Any) -> None:
    for share, size in ((1.0, 1.5), (0.0, 0.5)):
        drawn(0.5, 0.5, 0.0, share)
        square = torch.full((1, 1, 63, 63), -1.0)
        square[..., 21:42, 21:42] = 1.0
        scaled = Augmentation(scale=0.5)(square, [0], seed=1, epoch=1)
        assert middle(scaled) == pytest.approx((0, 0), abs=1e-3)
        # 21 · size pixels wide and high, of whose edge a part is between two pixels
        assert float((scaled + 1).sum() / 2) == pytest.approx((21 * size) ** 2, rel=0.1)


def test_cropped(drawn: Any) -> None:
    # half of the width and height is kept, its lower right quarter
    drawn(0.5, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5)
    ramp = torch.linspace(-1, 1, 8).expand(1, 1, 8, 8)
    cropped = Augmentation(crop=0.5)(ramp, [0], seed=1, epoch=1)
    # pixels of half the width: their middles are at 3.75, 4.25 … 7.25, the last of them beyond the middle of the last
    places = torch.tensor([3.75, 4.25, 4.75, 5.25, 5.75, 6.25, 6.75, 7.0])
    assert torch.allclose(cropped[0, 0, 0], places / 3.5 - 1, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(21, 41), (41, 21), (31, 31)])
def test_a_turn_keeps_distances_in_pixels(drawn: Any, height: int, width: int) -> None:
    """A dot 8 pixels right of the middle, turned by 90 degrees, is 8 pixels above it, whatever the image's shape."""
    drawn(1.0)
    pixels = dot(height, width).roll(8, dims=3)
    turned = Augmentation(rotate=90)(pixels, [0], seed=1, epoch=1)
    assert middle(turned) == pytest.approx((0.0, -8.0), abs=1e-2)


def test_a_slant_moves_rows_by_their_height(drawn: Any) -> None:
    """By 45 degrees a dot 6 pixels below the middle goes 6 pixels aside, and stays as low."""
    drawn(0.5, 1.0)
    slanted = Augmentation(shear=45)(dot(21, 41).roll(6, dims=2), [0], seed=1, epoch=1)
    assert middle(slanted) == pytest.approx((-6.0, 6.0), abs=1e-2)


def test_brightness_contrast_saturation_by_hand() -> None:
    pixels = torch.tensor([[[[0.0, -0.5]], [[0.0, -0.5]], [[0.0, -0.5]]]])  # two greys, 1 and 0.5 above black
    one = torch.ones(1, 3)
    assert torch.allclose(recoloured(pixels, one), pixels)
    brighter = recoloured(pixels, torch.tensor([[1.5, 1.0, 1.0]]))
    assert torch.allclose(brighter[0, 0], torch.tensor([[0.5, -0.25]]))  # 1.5 and 0.75 above black
    sharper = recoloured(pixels, torch.tensor([[1.0, 2.0, 1.0]]))
    assert torch.allclose(sharper[0, 0], torch.tensor([[0.25, -0.75]]))  # the mean, -0.25, ± twice 0.25
    assert torch.allclose(recoloured(pixels, torch.tensor([[1.0, 1.0, 0.2]])), pixels, atol=1e-6)  # grey has none
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None]
    # as grey: 0.299 · 1 - 0.587 - 0.114 = -0.402
    assert torch.allclose(recoloured(red, torch.tensor([[1.0, 1.0, 0.0]])), torch.full((1, 3, 1, 1), -0.402))


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_stay_in_their_range(channels: int) -> None:
    pixels = pixels_of(50, channels)
    pixels[:10] = pixels[:10].sign()
    changed = Augmentation(colour=1.0)(pixels, range(50), seed=1, epoch=1)
    assert float(changed.min()) >= -1.0
    assert float(changed.max()) <= 1.0
    moved = Augmentation(crop=1.0, rotate=180, shift=1.0, scale=0.99, shear=60)(pixels, range(50), seed=1, epoch=1)
    assert bool(moved.isfinite().all())
    assert float(moved.abs().max()) <= 1.0 + 1e-6
