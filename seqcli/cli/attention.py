"""What `seqcli visualize attention` draws: maps over a text, or over an image, as figures, animations and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.cli.console import tell_missing_fonts
from seqcli.errors import RecipeError
from seqcli.evaluation.attention import AttentionMaps, Span
from seqcli.figures.animation import save_animation
from seqcli.figures.attention import attention_figure, attention_sheet, merge_words
from seqcli.figures.overlay import overlay_figure, overlay_sheet
from seqcli.figures.saving import numbered, save_arrays, save_figures
from seqcli.symbols import Box

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_all(maps: Sequence[AttentionMaps], output: Path, *, sheet: bool, words: bool, dark: bool) -> list[Path]:
    """Draw each of the maps, and write them as the ending of `output` says; the files. RecipeError for what cannot be drawn."""
    tell_missing_fonts([symbol for one in maps for symbol in (*one.source, *one.target)])
    shown = [merged(one) for one in maps] if words else list(maps)
    if output.suffix.lower() == ".gif":
        return [_animation(one, path, dark) for one, path in zip(shown, numbered(output, len(shown)), strict=True)]
    return save_figures([_figure(one, sheet=sheet, dark=dark) for one in shown], output)


def save_all_arrays(maps: Sequence[AttentionMaps], path: Path) -> list[Path]:
    """Write the arrays of each of the maps into a file; the files."""
    written = []
    for one, place in zip(maps, numbered(path, len(maps)), strict=True):
        kinds: dict[str, NDArray[Any] | None] = {"cross": one.cross, "encoder": one.encoder, "decoder": one.decoder}
        if one.cells is not None:
            kinds = {**kinds, "cross": one.cells, "text": one.cross if one.source else None, "image": one.image}
        present = {name: array for name, array in kinds.items() if array is not None}
        written.append(save_arrays(place, present, one.source, one.target))
    return written


def merged(maps: AttentionMaps) -> AttentionMaps:
    """The same attention between words, where it was between their pieces."""
    source_words, target_words = maps.source_words, maps.target_words
    words = replace(
        maps,
        source=_joined(maps.source, source_words),
        target=_joined(maps.target, target_words),
        boxes=_of_words(maps),
    )
    if maps.cells is None:
        return replace(words, cross=merge_words(maps.cross, target_words, source_words))
    # the cells of an image, each a word of its own, before the text's symbols
    *before, rows, columns = maps.cells.shape
    cells = rows * columns
    together = np.concatenate([maps.cells.reshape(*before, cells), maps.cross], axis=-1)
    spans = [(cell, cell + 1) for cell in range(cells)] + [(start + cells, end + cells) for start, end in source_words]
    together = merge_words(together, target_words, spans)
    grid = together[..., :cells].reshape(*together.shape[:-1], rows, columns)
    return replace(words, cells=grid, cross=together[..., cells:])


def _of_words(maps: AttentionMaps) -> tuple[Box | None, ...] | None:
    """The box of each word: that of its first piece that has one."""
    if maps.boxes is None:
        return None
    pieces = [[box for box in maps.boxes[start:end] if box is not None] for start, end in maps.target_words]
    return tuple(boxes[0] if boxes else None for boxes in pieces)


def _joined(symbols: Sequence[str], spans: Sequence[Span]) -> tuple[str, ...]:
    """The words that the spans make of the symbols; ▁ is sentencepiece's space."""
    return tuple("".join(symbols[start:end]).replace("▁", " ").strip() for start, end in spans)


def _figure(maps: AttentionMaps, *, sheet: bool, dark: bool) -> Figure:
    if maps.cells is not None:
        picture, grid = _picture(maps), maps.cells
        if sheet:
            return overlay_sheet(picture, grid, maps.target, dark=dark)
        return overlay_figure(picture, _mean(grid), maps.target, **_look(maps, dark))
    source, target = list(maps.source), list(maps.target)
    return (
        attention_sheet(maps.cross, source, target, dark=dark)
        if sheet
        else attention_figure(maps.mean, source, target, dark=dark)
    )


def _animation(maps: AttentionMaps, path: Path, dark: bool) -> Path:
    if maps.cells is None:
        raise RecipeError(
            f"{path}: only attention over an image is animated; write that over a text as .png, .svg or .pdf"
        )
    return save_animation(path, _picture(maps), _mean(maps.cells), maps.target, **_look(maps, dark))


def _look(maps: AttentionMaps, dark: bool) -> dict[str, Any]:
    """What a sheet and an animation of an image have in common."""
    text = {"context_weights": maps.mean, "context_words": maps.source} if maps.source else {}
    return {**text, "boxes": maps.boxes, "dark": dark}


def _mean(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last layer's attention (L,H,T,rows,columns) over an image, averaged over its heads."""
    average: NDArray[np.float32] = cells[-1].mean(axis=0)
    return average


def _picture(maps: AttentionMaps) -> NDArray[np.uint8]:
    if maps.image is None:
        raise RecipeError(
            "this run reads features, not pixels, so there is no picture to draw on; --arrays writes the weights"
        )
    return maps.image
