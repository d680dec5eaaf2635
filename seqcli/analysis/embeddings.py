"""Where words lie in a table of embeddings: its two directions of largest variance, and who is near whom.

Principal components (Pearson 1901; Hotelling 1933) are those of the centred table of all words, not only of those shown, so a picture
of other words of the same table has the same axes. Nearness is the cosine, as in Mikolov et al. 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import RecipeError
from seqcli.symbols import SPECIAL


@dataclass(frozen=True)
class EmbeddingMap:
    """Some words of one side: their places `points (N,2)` on the first two principal components, the share of all variance that each
    of these has, and of every word its neighbours with their cosines, nearest first. `vocabulary` words were compared."""

    side: str
    words: tuple[str, ...]
    points: NDArray[np.float64]
    explained: tuple[float, float]
    neighbours: tuple[tuple[tuple[str, float], ...], ...]
    vocabulary: int
    width: int

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        words = [
            {"word": word, "place": place, "neighbours": [{"word": other, "cosine": cosine} for other, cosine in near]}
            for word, place, near in zip(self.words, self.points.tolist(), self.neighbours, strict=True)
        ]
        about = {"side": self.side, "vocabulary": self.vocabulary, "width": self.width}
        return {**about, "explained": list(self.explained), "words": words}


def embedding_map(
    side: str,
    table: Tensor,
    tokenizer: Tokenizer,
    *,
    words: Sequence[str] = (),
    count: int = 60,
    neighbours: int = 5,
) -> EmbeddingMap:
    """Look at `table (V,D)`, the embeddings of a tokenizer's ids: at `words`, or at the `count` first, which are the most frequent.

    The special symbols are left out. Raises `RecipeError` for a word that has no id of its own.
    """
    labels = tokenizer.tokens(range(tokenizer.size))
    known = list(range(len(SPECIAL), tokenizer.size))
    chosen = [_find(word, labels, side) for word in dict.fromkeys(words)] if words else known[:count]
    vectors = table.detach().double().cpu()
    points, explained = principal_components(vectors[known])
    rows = [place - len(SPECIAL) for place in chosen]
    near = _nearest(vectors[known], rows, neighbours)
    return EmbeddingMap(
        side,
        tuple(labels[place] for place in chosen),
        points[rows].numpy(),
        explained,
        tuple(tuple((labels[known[row]], cosine) for row, cosine in one) for one in near),
        len(known),
        vectors.shape[1],
    )


def principal_components(vectors: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """The rows of `vectors (V,D)`, centred, on their two directions of largest variance, (V,2), and each direction's share of all variance.

    Signs are chosen so that the largest coordinate of each direction is positive; with one dimension the second is 0.
    """
    centred = vectors - vectors.mean(dim=0)
    # of D × D however long the table is; exact, where torch.pca_lowrank is a random approximation
    values, directions = torch.linalg.eigh(centred.T @ centred)
    two = directions[:, -2:].flip(1)
    largest = two.gather(0, two.abs().argmax(dim=0, keepdim=True))
    points = centred @ (two * largest.sign())
    total = values.clamp(min=0).sum()
    shares = [float(value / total) if total > 0 else 0.0 for value in values.clamp(min=0).flip(0)[:2].tolist()]
    if points.shape[1] == 1:
        return torch.nn.functional.pad(points, (0, 1)), (shares[0], 0.0)
    return points, (shares[0], shares[1])


def _nearest(vectors: Tensor, rows: Sequence[int], count: int) -> list[list[tuple[int, float]]]:
    """Of each of the rows the `count` others with the largest cosine; a row of zeros is near nobody."""
    unit = torch.nn.functional.normalize(vectors, dim=1)
    cosines = unit[list(rows)] @ unit.T
    cosines[torch.arange(len(rows)), torch.tensor(rows, dtype=torch.long)] = float("-inf")
    best = cosines.topk(min(count, len(vectors) - 1), dim=1)
    return [list(zip(*pair, strict=True)) for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _find(word: str, labels: Sequence[str], side: str) -> int:
    """The id of a word, or of the piece that starts a word and is all of it."""
    for spelling in (word, f"▁{word}"):
        if spelling in labels[len(SPECIAL) :]:
            return labels.index(spelling, len(SPECIAL))
    near = get_close_matches(word, labels[len(SPECIAL) :], n=3)
    hint = f"; it has {', '.join(near)}" if near else ""
    raise RecipeError(f"--words {word}: the {side}'s vocabulary has no such symbol{hint}")
