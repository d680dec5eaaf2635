"""Encoders of images on every layout in memory."""

from __future__ import annotations

import subprocess
import sys

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
