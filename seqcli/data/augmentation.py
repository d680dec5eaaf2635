"""Training images varied at random: crop, flip, colour, and affine maps.

What becomes of an image follows from (seed, epoch, image) alone, so a resumed run sees what an uninterrupted one would, and neither the
order of batches nor the number of processes changes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601)."""


@dataclass(frozen=True)
class Augmentation:
    """How far images are varied. `crop`, `shift` and `scale` are shares of the image's size, `colour` a share of brightness, contrast and
    saturation, `rotate` and `shear` degrees; `flip` mirrors every other image, left and right."""

    crop: float = 0.0
    flip: bool = False
    colour: float = 0.0
    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    shear: float = 0.0

    def __call__(self, pixels: Tensor, numbers: Iterable[int], seed: int, epoch: int) -> Tensor:
        """Pixels (N,C,h,w) from -1 to 1 → the same, varied; `numbers` tell the images of the corpus apart.

        What is moved in from beyond the edge is the edge's own colour.
        """
        drawn = [_Draw(seed, epoch, number) for number in numbers]
        if self.moves:
            ratio = pixels.shape[3] / pixels.shape[2]
            maps = torch.tensor([self._map(draw, ratio) for draw in drawn], dtype=pixels.dtype)
            places = F.affine_grid(maps, list(pixels.shape), align_corners=False)
            pixels = F.grid_sample(pixels, places, mode="bilinear", padding_mode="border", align_corners=False)
        if self.flip:
            mirrored = torch.tensor([draw.share() < 0.5 for draw in drawn])
            pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
        if self.colour:
            factors = [[1 + draw.within(self.colour) for _ in range(3)] for draw in drawn]
            pixels = recoloured(pixels, torch.tensor(factors, dtype=pixels.dtype))
        return pixels

    @property
    def moves(self) -> bool:
        """Whether pixels go to places between others."""
        return any((self.crop, self.rotate, self.shift, self.scale, self.shear))

    def _map(self, draw: _Draw, ratio: float) -> list[list[float]]:
        """From places in the new image to places in the old one, both from -1 to 1; `ratio` is width / height."""
        angle, slant = math.radians(draw.within(self.rotate)), math.tan(math.radians(draw.within(self.shear)))
        # what is kept, enlarged: a crop takes the same share of both sides, and lies anywhere
        kept = 1.0 - self.crop * draw.share()
        size = kept / (1.0 + draw.within(self.scale))
        across, down = ((1.0 - kept) * draw.within(1.0) + 2.0 * draw.within(self.shift) for _ in range(2))
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        # turned and slanted in pixels, where both axes are alike
        stretch = np.diag([ratio, 1.0])
        linear = size * np.linalg.inv(stretch) @ turn @ np.array([[1.0, slant], [0.0, 1.0]]) @ stretch
        return [[linear[0, 0], linear[0, 1], across], [linear[1, 0], linear[1, 1], down]]


class _Draw:
    """Random numbers of one image in one epoch."""

    def __init__(self, seed: int, epoch: int, number: int) -> None:
        self._random = np.random.Generator(np.random.PCG64([seed, epoch, number]))

    def share(self) -> float:
        """From 0 to 1."""
        return float(self._random.random())

    def within(self, bound: float) -> float:
        """From -bound to bound."""
        return bound * (2.0 * self.share() - 1.0)


def recoloured(pixels: Tensor, factors: Tensor) -> Tensor:
    """Pixels (B,C,h,w) from -1 to 1 with brightness, contrast and saturation multiplied by `factors (B,3)`.

    Contrast is the distance from the image's mean grey, saturation the distance from the pixel's own grey.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(dim=1)
    pixels = (pixels + 1.0) * brightness - 1.0
    grey = _grey(pixels)
    pixels = (pixels - grey.mean(dim=(2, 3), keepdim=True)) * contrast + grey.mean(dim=(2, 3), keepdim=True)
    if pixels.shape[1] == 3:
        grey = _grey(pixels)
        pixels = grey + (pixels - grey) * saturation
    return pixels.clamp(-1.0, 1.0)


def _grey(pixels: Tensor) -> Tensor:
    """(B,C,h,w) → (B,1,h,w)."""
    if pixels.shape[1] == 1:
        return pixels
    return (pixels * pixels.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)
