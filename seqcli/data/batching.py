"""Which examples make a batch: by length, so that little is padding, and as a pure function of seed and epoch.

Because the plan of an epoch follows from (seed, epoch) alone, the whole state of the data in a checkpoint is the pair
(epoch, batch): a resumed run plans the epoch again and goes on at its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Lengths = NDArray[np.int32]
Rows = NDArray[np.int64]

WINDOW = 200
"""Batches that are grouped by length together: enough for little padding, few enough to keep an epoch mixed."""

SLACK = 1.05
"""Batches are meant to be filled to 1/SLACK; the rest makes room for padding, so that few come out too large."""


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
    longer than that is a batch of its own. Lengths count EOS. The rows are shuffled and cut into windows of about `WINDOW`
    batches; those are grouped by length, and all batches shuffled.
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    rows = random.permutation(len(source_lengths))
    loads = _loads(source_lengths, target_lengths, batch_tokens, batch_sentences)
    batches: list[Rows] = []
    for part in np.array_split(rows, max(1, round(loads.sum() / WINDOW))):
        batches.extend(_group(part, source_lengths, target_lengths, loads))
    return [batches[place] for place in random.permutation(len(batches))]


def plan_by_image(
    source_lengths: Lengths,
    target_lengths: Lengths,
    images: NDArray[np.int64],
    together: int,
    *,
    batch_tokens: int,
    batch_sentences: int | None,
    seed: int,
    epoch: int,
) -> list[Rows]:
    """As `plan_batches`, but `together` rows at a time that look at the same of the `images` (N,) stand side by side, so that it is read once
    for those of them that a batch has room for; lengths are not looked at. All come in random order."""
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    loads = _loads(source_lengths, target_lengths, batch_tokens, batch_sentences)
    rows = random.permutation(len(images))
    bunches = [
        bunch[start : start + together] for bunch in _by_value(rows, images) for start in range(0, len(bunch), together)
    ]
    rows = np.concatenate([rows[:0], *(bunches[place] for place in random.permutation(len(bunches)))])
    batches: list[Rows] = []
    start, heaviest = 0, 0.0
    for end, row in enumerate(rows):
        heaviest = max(heaviest, float(loads[row]))
        if end > start and (end + 1 - start) * heaviest > 1 + 1e-9:
            batches.append(rows[start:end])
            start, heaviest = end, float(loads[row])
    return [*batches, rows[start:]] if len(rows) else batches


def _by_value(rows: Rows, values: NDArray[np.int64]) -> list[Rows]:
    """The rows in bunches of one value each, in the order they had."""
    ordered = rows[np.argsort(values[rows], kind="stable")]
    return np.split(ordered, np.flatnonzero(np.diff(values[ordered])) + 1)


def plan_sorted(
    source_lengths: Lengths, target_lengths: Lengths, *, batch_tokens: int, batch_sentences: int | None
) -> list[Rows]:
    """The batches of one pass, those of long examples first, the same every time: for validation and evaluation."""
    loads = _loads(source_lengths, target_lengths, batch_tokens, batch_sentences)
    batches = _group(np.arange(len(loads)), source_lengths, target_lengths, loads)
    longer = np.maximum(source_lengths, target_lengths)
    return sorted(batches, key=lambda rows: (-int(longer[rows].max()), int(rows[0])))


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


def _loads(
    source_lengths: Lengths, target_lengths: Lengths, batch_tokens: int, batch_sentences: int | None
) -> NDArray[np.float64]:
    """The share of a batch that each row takes up, padding left aside: by its longer side, or as one of so many rows."""
    by_tokens = np.maximum(source_lengths, target_lengths) / batch_tokens
    return by_tokens if batch_sentences is None else np.maximum(by_tokens, 1 / batch_sentences)


def _group(rows: Rows, source_lengths: Lengths, target_lengths: Lengths, loads: NDArray[np.float64]) -> list[Rows]:
    """Batches of rows that are alike in both lengths.

    Sorting by one length leaves the other one mixed, so the rows are cut in two again and again, by whichever length and
    at whichever place leaves the least padding, as a k-d tree is built (Bentley 1975), until each part is a batch.
    """
    batches: list[Rows] = []
    if len(rows) == 0:
        return batches
    parts = [(rows, int(np.ceil(loads[rows].sum() * SLACK)))]
    while parts:
        part, batches_expected = parts.pop()
        if len(part) == 1 or len(part) * loads[part].max() <= 1 + 1e-9:
            batches.append(part)
        else:
            parts.extend(_halves(part, max(2, batches_expected), source_lengths, target_lengths, loads))
    return batches


def _halves(
    rows: Rows, batches: int, source_lengths: Lengths, target_lengths: Lengths, loads: NDArray[np.float64]
) -> list[tuple[Rows, int]]:
    """`rows`, expected to make so many `batches`, in two parts, each with how many batches it is expected to make.

    Only cuts in the middle half are tried, which keeps the number of cuts that a row goes through logarithmic.
    """
    firsts = np.arange(max(1, batches // 4), max(1, 3 * batches // 4) + 1)
    found = []
    for key in (source_lengths, target_lengths):
        order = rows[np.argsort(key[rows], kind="stable")]
        filled = np.cumsum(loads[order])
        places = np.clip(np.searchsorted(filled, filled[-1] * firsts / batches), 1, len(rows) - 1)
        cuts, kept = np.unique(places, return_index=True)
        cells = _cells(source_lengths[order], cuts) + _cells(target_lengths[order], cuts)
        best = int(np.argmin(cells))
        found.append((int(cells[best]), int(cuts[best]), int(firsts[kept[best]]), order))
    _, cut, first, order = min(found, key=lambda choice: choice[0])
    return [(order[:cut], first), (order[cut:], batches - first)]


def _cells(lengths: Lengths, cuts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each cut of a column of lengths in two: the cells that both parts would have as rectangles, padding counted."""
    longest = np.maximum.reduceat(lengths, np.concatenate([[0], cuts])).astype(np.int64)
    left = np.maximum.accumulate(longest)[:-1]
    right = np.maximum.accumulate(longest[::-1])[::-1][1:]
    cells: NDArray[np.int64] = cuts * left + (len(lengths) - cuts) * right
    return cells
