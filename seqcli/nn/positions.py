"""How a symbol knows its place: sinusoidal waves, a learned table, rotated queries and keys, or a learned vector for each distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqcli.errors import RecipeError


def sinusoidal(length: int, width: int, offset: int = 0, *, like: Tensor) -> Tensor:
    """Vaswani et al. 2017, §3.5: (length, width), sine in the even columns and cosine in the odd ones.

    Position p, column pair i: angle p / 10000^(2i/width). Computed on the fly, so there is no longest input.
    """
    angles = _angles(length, width, offset, like)
    waves = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
    return waves[:, :width].to(like.dtype)


def rotate(vectors: Tensor, offset: int = 0) -> Tensor:
    """Rotary positions (Su et al. 2021, §3.4.2): turn each pair of columns of `vectors (…,T,D)` by position × frequency.

    The dot product of two rotated vectors depends on their distance only. D must be even.
    """
    length, width = vectors.shape[-2:]
    angles = _angles(length, width, offset, vectors)
    cosine, sine = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    even, odd = vectors[..., 0::2], vectors[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)


def _angles(length: int, width: int, offset: int, like: Tensor) -> Tensor:
    # float32 whatever the model computes in: in half precision neighbouring positions would fall together
    positions = torch.arange(offset, offset + length, device=like.device, dtype=torch.float32)
    pairs = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    return positions[:, None] * torch.pow(10000.0, -pairs / width)


class SinusoidalPositions(nn.Module):
    """Adds fixed waves to embeddings (B,T,D)."""

    def forward(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """The embeddings of positions offset … offset+T-1, each with its wave."""
        return embedded + sinusoidal(embedded.shape[1], embedded.shape[2], offset, like=embedded)


class LearnedPositions(nn.Module):
    """Adds a learned vector for each position (Gehring et al. 2017, §3.1)."""

    def __init__(self, max_positions: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(max_positions, width)

    def forward(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """The embeddings (B,T,D) of positions offset … offset+T-1, each with its vector.

        Raises `RecipeError` where the table ends.
        """
        end = offset + embedded.shape[1]
        if end > self.embedding.num_embeddings:
            raise RecipeError(
                f"position {end} is beyond the learned table; give model…max_positions more than {self.embedding.num_embeddings}, "
                "or choose sinusoidal, rotary or relative positions"
            )
        return embedded + self.embedding.weight[offset:end]


class NoPositions(nn.Module):
    """Adds nothing: rotary positions turn queries and keys inside attention instead, and relative ones add to its scores."""

    def forward(self, embedded: Tensor, offset: int = 0) -> Tensor:
        """The embeddings as they are."""
        return embedded


class RelativePositions(nn.Module):
    """A learned vector a^K for each distance of a key from its query, those beyond ±`max_distance` being one (Shaw et al. 2018, §3.2).

    One table serves all heads of a layer, as in §3.3. Where no key is ahead of its query (`causal`), there are no vectors for distances above
    0. The paper's second table, a^V, which is added to the values, is left out: with a^K alone it measures the same BLEU (§4.3, Table 3),
    and a^V would have to be weighted, while the fused kernel of attention gives no weights.
    """

    def __init__(self, max_distance: int, width: int, *, causal: bool) -> None:
        super().__init__()
        self.max_distance, self.ahead = max_distance, 0 if causal else max_distance
        self.embedding = nn.Embedding(max_distance + 1 + self.ahead, width)

    def forward(self, query: Tensor, asking: Tensor, asked: Tensor) -> Tensor:
        """q_i·a^K_ij/√d, what eq. 4 adds to the scores: queries (B,H,T,d) at the positions `asking (T,)`, keys at the positions
        `asked (S,)` → (B,H,T,S).

        As in eq. 5 no tensor (T,S,d) is made: a query meets each vector of the table once, and each key takes what its distance has got.
        """
        by_distance = query @ self.embedding.weight.T / math.sqrt(query.shape[-1])
        rows = (asked - asking[:, None]).clamp(-self.max_distance, self.ahead) + self.max_distance
        return by_distance.gather(3, rows.expand(*query.shape[:2], -1, -1))


class SinusoidalGrid(nn.Module):
    """Adds fixed waves to cells (B,rows,columns,D): the first half of D tells the row, the second the column, each as a symbol's waves tell
    its place (Vaswani et al. 2017, §3.5). D must be a multiple of 4."""

    def forward(self, cells: Tensor) -> Tensor:
        """The cells, each with its waves."""
        rows, columns, width = cells.shape[1:]
        down = sinusoidal(rows, width // 2, like=cells)[:, None].expand(-1, columns, -1)
        across = sinusoidal(columns, width // 2, like=cells)[None].expand(rows, -1, -1)
        return cells + torch.cat((down, across), dim=-1)


class LearnedGrid(nn.Module):
    """Adds a learned vector for each cell of a grid of one size (Dosovitskiy et al. 2021, §3.1)."""

    def __init__(self, rows: int, columns: int, width: int) -> None:
        super().__init__()
        self.columns = columns
        self.embedding = nn.Embedding(rows * columns, width)

    def forward(self, cells: Tensor) -> Tensor:
        """The cells (B,rows,columns,D), each with its vector."""
        return cells + self.embedding.weight.view(-1, self.columns, cells.shape[-1])
