"""What `seqcli visualize attention` writes: maps over a text, or over an image, as figures, animations, pages, arrays and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.analysis.attention_kinds import AttentionKind, by_words, kinds_of, merged
from seqcli.analysis.heads import Head, measured_heads
from seqcli.cli.console import tell_missing_fonts
from seqcli.errors import RecipeError
from seqcli.evaluation.attention import AttentionMaps
from seqcli.figures.animation import save_animation
from seqcli.figures.attention import attention_beside, attention_figure
from seqcli.figures.attention_sheet import Block, sheet_of_kinds
from seqcli.figures.hover import HoverMap, attention_page
from seqcli.figures.overlay import overlay_figure, overlay_sheet
from seqcli.figures.saving import numbered, save_arrays, save_figures
from seqcli.storage import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqcli.run import Run

SHEET_NOTE = "H: entropy in nats; d: mean distance in symbols,\nin cross-attention from the diagonal;"


@dataclass(frozen=True)
class View:
    """What one model looked at for one source, and the model's name; `heads` as they were measured over more than this source, if they were."""

    name: str
    maps: AttentionMaps
    heads: Sequence[Head] | None = None

    def measured(self, kinds: Sequence[AttentionKind]) -> Sequence[Head]:
        """The heads' figures: over many sources, or over this one's `kinds` alone."""
        return measured_heads([kinds]) if self.heads is None else self.heads


@dataclass(frozen=True)
class Look:
    """How it is to be drawn: every layer and head or their mean, between words or their pieces, of which kinds (None: as is usual); and on how many
    examples heads were measured (None: on the sentence that is shown)."""

    sheet: bool = False
    words: bool = False
    kinds: tuple[str, ...] | None = None
    dark: bool = False
    measured: int | None = None


def names_of(runs: Sequence[Run]) -> list[str]:
    """What each of some runs is called beside the others: its folder, and the score of its attention."""
    folders = [run.folder.resolve() for run in runs]
    short = len({folder.name for folder in folders}) == len(folders)
    found = []
    for run, folder in zip(runs, folders, strict=True):
        attention = getattr(run.recipe.model.decoder, "attention", None)
        score = f" ({attention.kind})" if attention is not None else ""
        found.append(f"{folder.name if short else f'{run.folder} {run.checkpoint.name}'}{score}")
    return found


def draw_all(sentences: Sequence[Sequence[View]], output: Path, look: Look) -> list[Path]:
    """Draw the views of each sentence, and write them as the ending of `output` says; the files. RecipeError for what cannot be drawn."""
    views = [view for sentence in sentences for view in sentence]
    ending = output.suffix.lower()
    if ending == ".html":
        return [_page(sentences, output, look)]
    tell_missing_fonts([symbol for view in views for symbol in (*view.maps.source, *view.maps.target)])
    if ending == ".gif":
        return [_animation(view, path, look) for view, path in zip(views, numbered(output, len(views)), strict=True)]
    return save_figures([figure for sentence in sentences for figure in _figures(sentence, look)], output)


def save_all_arrays(sentences: Sequence[Sequence[View]], path: Path) -> list[Path]:
    """Write the arrays of each of the maps into a file; the files."""
    every = [view.maps for sentence in sentences for view in sentence]
    written = []
    for one, place in zip(every, numbered(path, len(every)), strict=True):
        kinds: dict[str, NDArray[Any] | None] = {"cross": one.cross, "encoder": one.encoder, "decoder": one.decoder}
        if one.cells is not None:
            kinds = {**kinds, "cross": one.cells, "text": one.cross if one.source else None, "image": one.image}
        present = {name: array for name, array in kinds.items() if array is not None}
        written.append(save_arrays(place, present, one.source, one.target))
    return written


def as_json(sentences: Sequence[Sequence[View]], look: Look) -> list[dict[str, object]]:
    """The figures of each head, for each source and model."""
    return [
        {
            "run": view.name,
            "source": list(view.maps.source),
            "target": list(view.maps.target),
            "heads": _as_json(view, shown_kinds(view.maps, look)),
        }
        for sentence in sentences
        for view in sentence
    ]


def _as_json(view: View, kinds: Sequence[AttentionKind]) -> list[dict[str, Any]]:
    shown = {kind.name for kind in kinds}
    return [head.as_json() for head in view.measured(kinds) if head.kind in shown]


def shown_kinds(maps: AttentionMaps, look: Look) -> list[AttentionKind]:
    """The kinds of attention that were asked for, between words where that was. RecipeError where the model has none of them."""
    there = kinds_of(maps)
    wanted = [kind for kind in there if look.kinds is None or kind.name in look.kinds]
    if not wanted:
        has = ", ".join(kind.name for kind in there)
        raise RecipeError(f"--kind {', '.join(look.kinds or ())}: this model has none; it has {has}")
    return [by_words(kind) for kind in wanted] if look.words else wanted


def _figures(sentence: Sequence[View], look: Look) -> Iterator[Figure]:
    """The pictures of one sentence: one of all models over a text, over an image one of each."""
    if sentence[0].maps.cells is None:
        yield _sheet(sentence, look) if look.sheet else _means(sentence, look)
        return
    for view in sentence:
        title = view.name if len(sentence) > 1 else None
        if look.kinds is None or "cross" in look.kinds:
            yield _overlay(view.maps, look, title)
        others = tuple(name for name in look.kinds or () if name != "cross")
        if others:
            yield (_sheet if look.sheet else _means)([view], replace(look, kinds=others))


def _means(sentence: Sequence[View], look: Look) -> Figure:
    """The last layer's mean: of cross-attention, unless other kinds are asked for."""
    look = replace(look, kinds=look.kinds or ("cross",))
    shown = [(view, kind) for view in sentence for kind in shown_kinds(view.maps, look)]
    if len(shown) == 1:
        ((_, kind),) = shown
        return attention_figure(kind.mean, kind.columns, kind.rows, dark=look.dark)
    maps = [(_title(sentence, view, kind), kind.mean, kind.columns, kind.rows) for view, kind in shown]
    return attention_beside(maps, dark=look.dark)


def _sheet(sentence: Sequence[View], look: Look) -> Figure:
    blocks = []
    for view in sentence:
        kinds = shown_kinds(view.maps, look)
        heads = view.measured(kinds)
        for kind in kinds:
            captions = [[_caption(head) for head in layer] for layer in _by_layer(heads, kind)]
            title = _title(sentence, view, kind)
            blocks.append(Block(title, kind.weights, kind.columns, kind.rows, captions))
    where = f"measured on {look.measured:,} examples" if look.measured else "measured on this sentence alone"
    return sheet_of_kinds(blocks, note=f"{SHEET_NOTE}\n{where}", dark=look.dark)


def _title(sentence: Sequence[View], view: View, kind: AttentionKind) -> str:
    """What a map is, where there are several."""
    return f"{view.name}: {kind.title}" if len(sentence) > 1 else kind.title


def _by_layer(heads: Sequence[Head], kind: AttentionKind) -> list[list[Head | None]]:
    """The heads of one kind, layer by layer; None where there was nothing to measure."""
    found = {(head.layer, head.head): head for head in heads if head.kind == kind.name}
    layers, across = kind.weights.shape[:2]
    return [[found.get((layer + 1, head + 1)) for head in range(across)] for layer in range(layers)]


def _caption(head: Head | None) -> tuple[str, str]:
    if head is None:
        return "", ""
    far = "" if head.distance is None else f"  d {head.distance:.1f}"
    pattern = "dead" if head.dead else head.pattern
    return "" if pattern == "mixed" else pattern, f"H {head.entropy:.2f}{far}"


def _overlay(maps: AttentionMaps, look: Look, title: str | None) -> Figure:
    shown = merged(maps) if look.words else maps
    picture = _picture(shown)
    assert shown.cells is not None
    if look.sheet:
        return overlay_sheet(picture, shown.cells, shown.target, dark=look.dark, title=title)
    return overlay_figure(picture, shown.mean_cells, shown.target, title=title, **_beside_image(shown, look.dark))


def _animation(view: View, path: Path, look: Look) -> Path:
    maps = merged(view.maps) if look.words else view.maps
    if maps.cells is None:
        raise RecipeError(
            f"{path}: only attention over an image is animated; write that over a text as .png, .svg, .pdf or .html"
        )
    return save_animation(path, _picture(maps), maps.mean_cells, maps.target, **_beside_image(maps, look.dark))


def _page(sentences: Sequence[Sequence[View]], path: Path, look: Look) -> Path:
    """One page with all sentences, which refers to nothing outside of itself."""
    shown = [[hover_map(view, look) for view in sentence] for sentence in sentences]
    write_file(path, attention_page("What the model looked at", shown).encode())
    return path


def hover_map(view: View, look: Look) -> HoverMap:
    """A view as a page shows it, with what is to be said of each head."""
    kinds = shown_kinds(view.maps, look)
    heads = view.measured(kinds)
    said: dict[str, list[list[str]]] = {
        kind.name: [[_spoken(head) for head in layer] for layer in _by_layer(heads, kind)] for kind in kinds
    }
    return HoverMap(view.name, kinds, view.maps.image, said)


def _spoken(head: Head | None) -> str:
    if head is None:
        return ""
    far = "" if head.distance is None else f", mean distance {head.distance:.1f}"
    return f"Entropy {head.entropy:.2f} nats{far}{f'; {head.words}' if head.words else ''}"


def _beside_image(maps: AttentionMaps, dark: bool) -> dict[str, Any]:
    """What panels and an animation of an image have in common."""
    return {**maps.context, "boxes": maps.boxes, "dark": dark}


def _picture(maps: AttentionMaps) -> NDArray[np.uint8]:
    if maps.image is None:
        raise RecipeError(
            "this run reads features, not pixels, so there is no picture to draw on; --arrays writes the weights"
        )
    return maps.image
