"""What samples are drawn by: another source draws others."""

from __future__ import annotations

import torch

from seqcli.evaluation.translator import _names
from seqcli.symbols import EOS
from seqcli.types import Batch


def test_images_are_told_apart() -> None:
    """Draws for one image say nothing of those for another, also where the question is the same."""
    images = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    sources = torch.tensor([[5, EOS], [5, EOS], [5, EOS], [5, EOS]])
    shared = Batch(sources, sources > 0, None, torch.arange(4), images, torch.tensor([0, 1, 1, 2]))
    names = _names(shared, [2] * 4)
    assert names[1] == names[2]
    assert len(set(names)) == 3
    own = Batch(sources[:3], sources[:3] > 0, None, torch.arange(3), images)
    assert _names(own, [2] * 3) == [names[0], names[1], names[3]]
    assert _names(Batch(sources, sources > 0, None, torch.arange(4)), [2] * 4) == [(5, EOS)] * 4
