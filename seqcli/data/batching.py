"""Which examples make a batch: by length, so that little is padding, and as a pure function of seed and epoch.

Because the plan of an epoch follows from (seed, epoch) alone, the whole state of the data in a checkpoint is the pair
(epoch, batch): a resumed run plans the epoch again and goes on at its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Lengths = NDArray[np.int32]
Rows = NDArray[np.int64]

WINDOW = 100
"""Batches that are sorted by length together: enough for little padding, few enough to keep an epoch mixed."""


def plan_batches(
    source_lengths: Lengths,
    target_lengths: Lengths,
    *,
    batch_tokens: int,
    batch_sentences: int | None,
    seed: int,
    epoch: int,
) -> list[Rows]:
    """The rows of each batch of an epoch, every row in exactly one.

    A batch has at most `batch_sentences` rows, and its rows times its longest side are at most `batch_tokens`; an example
    longer than that is a batch of its own. Lengths count EOS. The rows are shuffled, sorted by length within windows of
    about a hundred batches, cut, and the batches shuffled.
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    rows = random.permutation(len(source_lengths))
    longer = np.maximum(source_lengths, target_lengths)
    window = _window(longer, batch_tokens, batch_sentences)
    batches: list[Rows] = []
    for start in range(0, len(rows), window):
        part = rows[start : start + window]
        part = part[_by_length(source_lengths[part], target_lengths[part])]
        batches.extend(_cut(part, longer[part], batch_tokens, batch_sentences))
    return [batches[place] for place in random.permutation(len(batches))]


def plan_sorted(
    source_lengths: Lengths, target_lengths: Lengths, *, batch_tokens: int, batch_sentences: int | None
) -> list[Rows]:
    """The batches of one pass in the order of length, the same every time: for validation and evaluation."""
    rows = _by_length(source_lengths, target_lengths)
    longer = np.maximum(source_lengths, target_lengths)[rows]
    return list(_cut(rows, longer, batch_tokens, batch_sentences))


def plan_padding(plan: Sequence[Rows], source_lengths: Lengths, target_lengths: Lengths) -> float:
    """The share of padding among all cells of the plan's batches, source and labels."""
    if not plan:
        return 0.0
    rows = np.concatenate(plan)
    sizes = np.array([len(batch) for batch in plan])
    starts = np.cumsum(sizes) - sizes
    cells = 0
    for lengths in (source_lengths, target_lengths):
        cells += int((np.maximum.reduceat(lengths[rows], starts) * sizes).sum())
    real = int(source_lengths[rows].sum(dtype=np.int64) + target_lengths[rows].sum(dtype=np.int64))
    return 1.0 - real / cells


def _window(longer: Lengths, batch_tokens: int, batch_sentences: int | None) -> int:
    """How many rows about a hundred batches have."""
    mean = float(longer.mean()) if len(longer) else 1.0
    rows = max(1.0, batch_tokens / mean)
    return int(WINDOW * (rows if batch_sentences is None else min(rows, batch_sentences)))


def _by_length(source_lengths: Lengths, target_lengths: Lengths) -> Rows:
    """The order by source length, and by target length among equals: rising and falling in turns.

    Thus the target's length does not jump where the source's grows by one, and batches across that border stay even.
    """
    falling = source_lengths % 2 == 1
    turned = np.where(falling, -target_lengths, target_lengths)
    return np.lexsort((turned, source_lengths)).astype(np.int64, copy=False)


def _cut(rows: Rows, longer: Lengths, batch_tokens: int, batch_sentences: int | None) -> Iterator[Rows]:
    """Consecutive rows as large batches as the limits allow; `longer` is the length of each row's longer side."""
    start = 0
    while start < len(rows):
        most = max(1, batch_tokens // int(longer[start]))
        if batch_sentences is not None:
            most = min(most, batch_sentences)
        widths = np.maximum.accumulate(longer[start : start + most])
        fits = widths * np.arange(1, len(widths) + 1) <= batch_tokens
        # What fits is a beginning of the rows, since both factors only grow.
        end = start + max(1, int(np.count_nonzero(fits)))
        yield rows[start:end]
        start = end
