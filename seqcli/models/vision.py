"""Encoders of images. An image becomes a grid of cells, each a state of the memory, and any attention over a memory is then spatial
attention (Xu et al. 2015); a text may follow the cells in the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.models.transformer import EncoderLayer
from seqcli.nn.batch_norm import BatchNorm
from seqcli.nn.dropout import Dropout
from seqcli.types import Batch, Memory


class ResidualBlock(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + x), the basic block of He et al. 2016, figure 2; with a stride above 1, or more channels, x
    goes through a convolution of 1 × 1 and a norm (option B of §3.3).

    Its norms, which `normalize` names, are over the batch, channel by channel, as there, or over the channels of each place (Liu et al. 2022,
    §2.6). One over a whole image would tell every place what is to be seen in others, and attention need then not look there.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, normalize: str = "layer") -> None:
        super().__init__()
        norm = NORMS[normalize]
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = norm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = norm(outputs)
        self.stride = stride
        alike = stride == 1 and inputs == outputs
        projection = (nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs))
        self.shortcut = nn.Identity() if alike else nn.Sequential(*projection)

    def forward(self, features: Tensor) -> Tensor:
        """(B,C,h,w) → (B,outputs,h/stride,w/stride), rounded up."""
        changed = torch.relu(self.first_norm(self.first(features)))
        # What a stride of the 1 × 1 convolution would choose is chosen before it: its gradient for few channels, channels last, writes
        # outside of its memory on CPUs (torch 2.13), and ends the process, if not at once.
        chosen = features[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.second_norm(self.second(changed)) + self.shortcut(chosen))


class PlaceNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al. 2016) over the channels of each place of a feature map."""

    def forward(self, features: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


NORMS: dict[str, Callable[[int], nn.Module]] = {"layer": PlaceNorm, "batch": BatchNorm}


def residual_stages(image_channels: int, channels: Sequence[int], blocks: int, normalize: str) -> nn.Sequential:
    """Stages of `blocks` residual blocks each, with these `channels`; the first block of a stage halves height and width."""
    stages: list[nn.Module] = []
    before = image_channels
    for width in channels:
        stages.append(ResidualBlock(before, width, 2, normalize))
        stages.extend(ResidualBlock(width, width, 1, normalize) for _ in range(blocks - 1))
        before = width
    return nn.Sequential(*stages)


class GridMemory(nn.Module):
    """What the encoders of images share: cells that know their place, and a memory of them."""

    def __init__(self, positions: nn.Module, *, dropout: float) -> None:
        super().__init__()
        self.positions = positions
        self.dropout = Dropout(dropout)

    def placed(self, cells: Tensor) -> Tensor:
        """Cells (N,rows,columns,D) → states (N,G,D), row by row, each with its place."""
        placed: Tensor = self.dropout(self.positions(cells).flatten(1, 2))
        return placed

    def memory(self, states: Tensor, grid: tuple[int, int], batch: Batch) -> Memory:
        """The images' states (N,G,D) as the memory of a batch, all of which may be attended to; the summary is their mean (Xu et al. 2015,
        §3.1.2). An image that several rows look at was read once."""
        if batch.image_of is not None:
            states = states.index_select(0, batch.image_of)
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        return Memory(states, mask, states.mean(dim=1, keepdim=True), grid=grid)


class ConvEncoder(GridMemory):
    """A residual network (He et al. 2016); the memory is its last feature map, cell by cell (Xu et al. 2015, §3.1.1)."""

    def __init__(
        self,
        image_channels: int,
        channels: Sequence[int],
        blocks: int,
        hidden_size: int,
        positions: nn.Module,
        *,
        dropout: float,
        normalize: str = "layer",
    ) -> None:
        super().__init__(positions, dropout=dropout)
        self.stages = residual_stages(image_channels, channels, blocks, normalize)
        self.states = nn.Linear(channels[-1], hidden_size)

    def forward(self, batch: Batch) -> Memory:
        """Pixels (N,C,h,w) → Memory with states (B,G,D), G = (h/2^stages) × (w/2^stages), rounded up."""
        features = self.stages(_image(batch).contiguous(memory_format=torch.channels_last))
        cells = self.states(features.permute(0, 2, 3, 1))
        return self.memory(self.placed(cells), _grid(cells), batch)


class PatchEncoder(GridMemory):
    """A Transformer over patches (Dosovitskiy et al. 2021, §3.1), each projected to the layers' width: patches of pixels, or, above a `stem` of
    residual stages, of its feature map (the hybrid of the same section)."""

    def __init__(
        self,
        image_channels: int,
        stem: Sequence[int],
        patch_size: int,
        hidden_size: int,
        layers: Sequence[EncoderLayer],
        norm: nn.Module,
        positions: nn.Module,
        *,
        dropout: float,
        normalize: str = "layer",
    ) -> None:
        super().__init__(positions, dropout=dropout)
        self.patch_size = patch_size
        self.stem = residual_stages(image_channels, stem, 1, normalize)
        self.patches = nn.Linear((stem[-1] if stem else image_channels) * patch_size**2, hidden_size)
        self.layers = nn.ModuleList(layers)
        self.norm = norm

    def forward(self, batch: Batch) -> Memory:
        """Pixels (N,C,h,w) → Memory with states (B,G,D), G = (h/patch) × (w/patch), h and w being those of the stem's map."""
        features: Tensor = self.stem(_image(batch).contiguous(memory_format=torch.channels_last))
        size = self.patch_size
        rows, columns = features.shape[2] // size, features.shape[3] // size
        patches = F.pixel_unshuffle(features, size).permute(0, 2, 3, 1)
        states = self.placed(self.patches(patches))
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        for layer in self.layers:
            states = layer(states, mask)
        return self.memory(self.norm(states), (rows, columns), batch)


class FeaturesEncoder(GridMemory):
    """A dense layer over grids of features that another network has computed beforehand, as Xu et al. 2015, §4.3, took theirs."""

    def __init__(self, feature_size: int, hidden_size: int, positions: nn.Module, *, dropout: float) -> None:
        super().__init__(positions, dropout=dropout)
        self.norm = nn.LayerNorm(feature_size)
        self.states = nn.Linear(feature_size, hidden_size)

    def forward(self, batch: Batch) -> Memory:
        """Features (N,rows,columns,F) → Memory with states (B,rows·columns,D)."""
        cells = self.states(self.norm(_image(batch)))
        return self.memory(self.placed(cells), _grid(cells), batch)


class ImageTextEncoder(nn.Module):
    """An image and a text (a question on it) as one memory: the image's cells, then the text's states.

    The summary is the text's, so that a decoder starts from the question (Yang et al. 2016, §3.2) and looks for the answer; unless
    `attend_text`, in the image alone, as there.
    """

    def __init__(self, image: Any, text: Any, *, attend_text: bool = True) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.attend_text = attend_text

    def forward(self, batch: Batch) -> Memory:
        """Memory with states (B,G+S,D)."""
        seen, read = self.image(batch), self.text(batch)
        states = torch.cat((seen.states, read.states), dim=1)
        mask = torch.cat((seen.mask, read.mask if self.attend_text else torch.zeros_like(read.mask)), dim=1)
        return Memory(states, mask, read.summary, read.cell, seen.grid)


def _image(batch: Batch) -> Tensor:
    if batch.image is None:
        raise ValueError("this batch has no images")
    return batch.image


def _grid(cells: Tensor) -> tuple[int, int]:
    return (cells.shape[1], cells.shape[2])
