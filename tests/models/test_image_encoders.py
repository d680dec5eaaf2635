"""Encoders of images: their blocks against the formula, and on every layout in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from seqcli.models.vision import ResidualBlock


@pytest.mark.parametrize(("inputs", "size", "stride"), [(3, 8, 2), (3, 7, 2), (16, 8, 2), (8, 8, 1)])
def test_a_block_is_the_sum_of_its_two_ways(inputs: int, size: int, stride: int) -> None:
    torch.manual_seed(1)
    block, image = ResidualBlock(inputs, 16, stride), torch.randn(2, inputs, size, size + 2)
    first = torch.relu(block.first_norm(F.conv2d(image, block.first.weight, stride=stride, padding=1)))
    second = block.second_norm(F.conv2d(first, block.second.weight, padding=1))
    straight = F.conv2d(image, block.shortcut.weight, stride=stride)
    torch.testing.assert_close(block(image), torch.relu(second + straight))


LEARNT_WITH_CHANNELS_LAST = """
import torch
from seqcli.models.vision import ResidualBlock
block = ResidualBlock(3, 16, 2)
for _ in range(20):
    image = torch.randn(8, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    block(image).sum().backward()
"""


def test_gradients_of_colour_images_leave_the_memory_whole() -> None:
    """In a process of its own, since one whose memory is written over ends."""
    ended = subprocess.run([sys.executable, "-c", LEARNT_WITH_CHANNELS_LAST], timeout=100)
    assert ended.returncode == 0
