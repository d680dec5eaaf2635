"""The best symbols of each row of raw scores, without ordering, or even normalising, the whole vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64
"""So many symbols stand for the best of them, where there are many. Measured: over 8,000 symbols three times as fast as `topk` alone."""


def best_symbols(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Scores (N,V) → the `count` best of each row, or all there are, best first, and their symbols, (N,count) each.

    The best `count` symbols lie in the `count` blocks whose maxima are best, so only these are looked through: exact, but for the order of
    symbols with one score.
    """
    rows, vocabulary = scores.shape
    count, whole = min(count, vocabulary), vocabulary // BLOCK
    if whole < 4 * count:
        best, symbols = scores.topk(count, dim=1)
        return best, symbols
    blocks = scores[:, : whole * BLOCK].reshape(rows, whole, BLOCK)
    chosen = blocks.amax(dim=2).topk(count, dim=1).indices[:, :, None]
    among = blocks.gather(1, chosen.expand(-1, -1, BLOCK)).flatten(1)
    places = (chosen * BLOCK + torch.arange(BLOCK, device=scores.device)).flatten(1)
    if whole * BLOCK < vocabulary:
        rest = torch.arange(whole * BLOCK, vocabulary, device=scores.device)
        among = torch.cat((among, scores[:, whole * BLOCK :]), dim=1)
        places = torch.cat((places, rest.expand(rows, -1)), dim=1)
    best, order = among.topk(count, dim=1)
    return best, places.gather(1, order)


def on_host(numbers: list[Tensor], symbols: Tensor) -> tuple[list[Tensor], Tensor]:
    """Float tensors (N, some) and symbols (N,C) on the host, fetched from the device in one piece."""
    if symbols.device.type == "cpu":
        return numbers, symbols
    columns = [part.float().contiguous().view(torch.int32) for part in numbers]
    fetched = torch.cat([*columns, symbols.int()], dim=1).cpu()
    *parts, ids = torch.split(fetched, [part.shape[1] for part in (*numbers, symbols)], dim=1)
    return [part.contiguous().view(torch.float32) for part in parts], ids.long()
