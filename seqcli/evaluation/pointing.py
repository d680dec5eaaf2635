"""Whether attention points at the thing that is being named: its mass, and its highest point, against gold boxes.

After the pointing game of Zhang et al. 2018, "Top-down neural attention by excitation backprop", and the attention correctness of Liu et
al. 2017, "Attention correctness in neural image captioning" (the mass of attention inside the box).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli import __version__
from seqcli.errors import DataError
from seqcli.evaluation.attention import symbol_boxes, traced_pass
from seqcli.evaluation.counting import Counts
from seqcli.evaluation.metrics import INTERVAL_SEED, POINTING_METRICS
from seqcli.evaluation.translator import Translator
from seqcli.symbols import EOS, Box, Example
from seqcli.types import Metric

BATCH = 64

Boxes = Sequence[tuple[int, Box]]


def pointing_metrics(
    translator: Translator,
    examples: Sequence[Example],
    names: Sequence[str],
    *,
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
) -> dict[str, Metric]:
    """The metrics called `names`, 0–100, over all target symbols whose box is known, while the reference is written.

    `pointing` is the share of the attention on the image that lies inside the box, a cell counting by as much of it as is inside;
    `pointing_game` is how often the cell with the most attention is inside, by its centre or, in a box without a centre of a cell, by any
    part. Attention is that of the last layer (or hop), averaged over its heads. DataError where no example has boxes.
    """
    rows = list(_counts(translator, [one for one in examples if any(one.boxes)]))
    if not rows:
        raise DataError(
            f"{', '.join(names)}: the data tells of no symbol where in the image the thing is (data.columns.boxes)"
        )
    table = np.array(rows)
    settings = (
        f"unit:symbol|attention:last-layer-mean|symbols:{int(table[:, 0].sum())}|n:{{n}}|version:seqcli-{__version__}"
    )
    found = {}
    for name in names:
        column = 1 + POINTING_METRICS.index(name)
        counts = Counts(table[:, [column, 0]], _percentage, settings, np.ones(len(table), dtype=np.int64))
        found[name] = counts.metric(intervals, seed)
    return found


def inside(grid: tuple[int, int], box: Box) -> NDArray[np.float64]:
    """How much of each cell of a grid (rows, columns) lies inside a box: (rows,columns), from 0 to 1."""
    left, top, right, bottom = box
    down, across = (
        np.clip(np.minimum(np.arange(1, count + 1), end * count) - np.maximum(np.arange(count), start * count), 0, 1)
        for count, start, end in ((grid[0], top, bottom), (grid[1], left, right))
    )
    share: NDArray[np.float64] = down[:, None] * across[None, :]
    return share


def centres_inside(grid: tuple[int, int], box: Box) -> NDArray[np.bool_]:
    """Which cells of a grid have their centre in a box: (rows,columns)."""
    left, top, right, bottom = box
    down, across = ((np.arange(count) + 0.5) / count for count in grid)
    found: NDArray[np.bool_] = ((down >= top) & (down <= bottom))[:, None] & ((across >= left) & (across <= right))
    return found


def _percentage(total: NDArray[np.float64]) -> float:
    return float(100.0 * total[0] / total[1])


def _counts(translator: Translator, examples: Sequence[Example]) -> Iterator[tuple[float, float, float]]:
    """Of each example: symbols with a box, the attention inside their boxes, and how often its highest point is inside."""
    for start in range(0, len(examples), BATCH):
        group = examples[start : start + BATCH]
        targets = [translator.encode_target(example.target or "") for example in group]
        traced = traced_pass(translator, translator.batch(group, targets))
        if traced.grid is None:
            raise DataError("there is no image to point at: this model's sources are texts")
        rows, columns = traced.grid
        weights = traced.cross[-1].mean(dim=1)[..., : rows * columns].double().cpu().numpy()
        for one, example, ids in zip(weights, group, targets, strict=True):
            whole = [*translator.target_tokenizer.encode(example.target or ""), EOS]
            # a model with learned positions may not get to the end of the reference
            boxes = symbol_boxes(translator.target_tokenizer, translator.placed(example), whole)[: len(ids) - 1]
            named = [(place, box) for place, box in enumerate(boxes) if box is not None]
            yield _pointed(one.reshape(-1, rows, columns), named)


def _pointed(weights: NDArray[np.float64], boxes: Boxes) -> tuple[float, float, float]:
    """Of weights (T,rows,columns) and the boxes of some of the T symbols."""
    mass = hits = 0.0
    for place, box in boxes:
        seen, share = weights[place], inside((weights.shape[1], weights.shape[2]), box)
        # beside a text, all weights of the image may be too small to be told from 0
        mass += float((seen * share).sum() / seen.sum()) if seen.any() else 0.0
        centres = centres_inside((weights.shape[1], weights.shape[2]), box)
        # a box smaller than a cell may have no centre in it
        target = centres if centres.any() else share > 0
        hits += float(target.flat[int(seen.argmax())])
    return float(len(boxes)), mass, hits
