"""The kinds of attention of a model, each as weights between named rows and columns: encoder self, decoder self, cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.symbols import BOS, SPECIAL, Box

if TYPE_CHECKING:
    from seqcli.evaluation.attention import AttentionMaps, Span

KindName = Literal["encoder", "decoder", "cross"]
KINDS: tuple[KindName, ...] = ("encoder", "decoder", "cross")
TITLES: dict[KindName, str] = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention",
}


@dataclass(frozen=True)
class AttentionKind:
    """All layers' and heads' `weights (L,H,R,C)` of one kind: a row is what asks, a column what is looked at.

    `rows (R)` and `columns (C)` name them, `row_words` and `column_words` are the spans that make up words and cover all of them;
    `seen (R,C)` is what a row could look at: all columns, or, in a decoder, those that had been read by then.
    Of the decoder's self-attention a row is named by the symbol that the step writes, a column by the one that it had read, BOS first.
    Where an image is looked at, the first columns are the cells of its `grid` (rows, columns), and so are the rows of the encoder's
    self-attention over it; those are named by their place, "(1,2)" for the second cell of the first row.
    """

    name: KindName
    weights: NDArray[np.float32]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_words: tuple[Span, ...]
    column_words: tuple[Span, ...]
    seen: NDArray[np.bool_]
    grid: tuple[int, int] | None = None

    @property
    def title(self) -> str:
        """What it is called."""
        return TITLES[self.name]

    @property
    def mean(self) -> NDArray[np.float32]:
        """The last layer's weights, averaged over its heads: (R,C)."""
        average: NDArray[np.float32] = self.weights[-1].mean(axis=0)
        return average


def kinds_of(maps: AttentionMaps) -> list[AttentionKind]:
    """The kinds of attention that a model has, in the order of `KINDS`; a recurrent one has cross-attention alone."""
    found = [_encoder(maps), _decoder(maps), _cross(maps)]
    return [kind for kind in found if kind is not None]


def by_words(kind: AttentionKind) -> AttentionKind:
    """The same attention between words, where it was between their pieces (Clark et al. 2019, §4.1): a word is given the sum over its
    columns, and gives the mean over its rows. Cells of an image are left as they are.
    """
    rows, columns = kind.row_words, kind.column_words
    return replace(
        kind,
        weights=merge_words(kind.weights, rows, columns),
        rows=joined(kind.rows, rows),
        columns=joined(kind.columns, columns),
        row_words=_singly(len(rows)),
        column_words=_singly(len(columns)),
        seen=merge_words(kind.seen.astype(np.float32), rows, columns) > 0,
    )


def merged(maps: AttentionMaps) -> AttentionMaps:
    """The same attention over a source between words, where it was between their pieces."""
    cross = next(by_words(kind) for kind in kinds_of(maps) if kind.name == "cross")
    rows, columns = cross.grid or (0, 0)
    cells = rows * columns
    grid = cross.weights[..., :cells].reshape(*cross.weights.shape[:-1], rows, columns)
    return replace(
        maps,
        source=joined(maps.source, maps.source_words),
        target=cross.rows,
        boxes=_of_words(maps),
        cross=cross.weights[..., cells:],
        cells=grid if cross.grid else None,
    )


def _of_words(maps: AttentionMaps) -> tuple[Box | None, ...] | None:
    """The box of each word: that of its first piece that has one."""
    if maps.boxes is None:
        return None
    pieces = [[box for box in maps.boxes[start:end] if box is not None] for start, end in maps.target_words]
    return tuple(boxes[0] if boxes else None for boxes in pieces)


def merge_words(weights: NDArray[Any], target_spans: Sequence[Span], source_spans: Sequence[Span]) -> NDArray[Any]:
    """Weights between words from `weights (…,T,S)` between their pieces; rows that summed to 1 still do.

    A span is the (start, stop) of one word's pieces. What a word is given is the sum over its source pieces; what it gives is
    the mean over its target pieces (Clark et al. 2019, "What does BERT look at?", §4.1). ValueError unless the spans cover all
    positions, in order and once.
    """
    for spans, length in ((target_spans, weights.shape[-2]), (source_spans, weights.shape[-1])):
        starts, stops = [start for start, _ in spans], [stop for _, stop in spans]
        if [*starts, length] != [0, *stops] or any(start >= stop for start, stop in spans):
            raise ValueError(f"the spans {list(spans)} do not cover the positions 0 to {length}, in order and once")
    summed = np.add.reduceat(weights, [start for start, _ in source_spans], axis=-1)
    summed = np.add.reduceat(summed, [start for start, _ in target_spans], axis=-2)
    pieces = np.array([stop - start for start, stop in target_spans])
    return np.asarray(summed / pieces[:, None], dtype=weights.dtype)


def joined(symbols: Sequence[str], spans: Sequence[Span]) -> tuple[str, ...]:
    """The words that the spans make of the symbols; ▁ is sentencepiece's space."""
    return tuple("".join(symbols[start:end]).replace("▁", " ").strip() or "␣" for start, end in spans)


def _encoder(maps: AttentionMaps) -> AttentionKind | None:
    """Self-attention of what reads the text, or of what reads the image where there is no text."""
    if maps.encoder is None:
        return None
    if maps.source:
        words = maps.source_words
        return AttentionKind("encoder", maps.encoder, maps.source, maps.source, words, words, _all(maps.encoder))
    assert maps.cells is not None
    grid = (maps.cells.shape[-2], maps.cells.shape[-1])
    names, each = _cells(grid), _singly(grid[0] * grid[1])
    return AttentionKind("encoder", maps.encoder, names, names, each, each, _all(maps.encoder), grid)


def _decoder(maps: AttentionMaps) -> AttentionKind | None:
    """Columns are what each step had read: BOS, then the target without its last symbol."""
    if maps.decoder is None:
        return None
    read = len(maps.target)
    shifted = ((start + 1, min(end + 1, read)) for start, end in maps.target_words)
    words = ((0, 1), *((start, end) for start, end in shifted if start < end))
    columns = (SPECIAL[BOS], *maps.target[:-1])
    return AttentionKind(
        "decoder", maps.decoder, maps.target, columns, maps.target_words, words, _all(maps.decoder, causal=True)
    )


def _cross(maps: AttentionMaps) -> AttentionKind:
    """Over the text, or over the cells of an image, and then the text beside it."""
    if maps.cells is None:
        words = maps.source_words
        return AttentionKind("cross", maps.cross, maps.target, maps.source, maps.target_words, words, _all(maps.cross))
    *before, down, across = maps.cells.shape
    cells = down * across
    weights = np.concatenate([maps.cells.reshape(*before, cells), maps.cross], axis=-1)
    words = (*_singly(cells), *((start + cells, end + cells) for start, end in maps.source_words))
    columns = (*_cells((down, across)), *maps.source)
    return AttentionKind(
        "cross", weights, maps.target, columns, maps.target_words, words, _all(weights), (down, across)
    )


def _all(weights: NDArray[Any], *, causal: bool = False) -> NDArray[np.bool_]:
    """Every column for every row of weights (…,R,C), or those up to itself."""
    everything = np.ones(weights.shape[-2:], dtype=np.bool_)
    return np.tril(everything) if causal else everything


def _cells(grid: tuple[int, int]) -> tuple[str, ...]:
    return tuple(f"({row + 1},{column + 1})" for row in range(grid[0]) for column in range(grid[1]))


def _singly(count: int) -> tuple[Span, ...]:
    return tuple((place, place + 1) for place in range(count))
