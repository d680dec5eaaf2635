"""Attention to be touched: HTML in which each word, when it is pointed at or focused, shows its row of weights."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.analysis.attention_kinds import AttentionKind
from seqcli.figures.page import json_in_script, whole_page

HOVER_CSS = files("seqcli.figures").joinpath("hover.css").read_text(encoding="utf-8")
"""The look of every `attention_hover` on a page; to stand in it once."""
HOVER_JS = files("seqcli.figures").joinpath("hover.js").read_text(encoding="utf-8")
"""What makes every `attention_hover` of a page move; to stand in it once, after all of them."""

APART = ".attention-hover { margin: 0 0 2rem; }"


@dataclass(frozen=True)
class HoverMap:
    """What one model looked at for one source: its kinds of attention under a `title`, and the `image` if it saw one, pixels `uint8 (h,w,3)` or
    `(h,w)`. `said` are words on each head, by the kind's name: a list of heads for each layer."""

    title: str
    kinds: Sequence[AttentionKind]
    image: NDArray[np.uint8] | None = None
    said: Mapping[str, list[list[str]]] | None = None


def attention_hover(maps: Sequence[HoverMap]) -> str:
    """A fragment of HTML with one or several models side by side; a page that has `HOVER_CSS` and `HOVER_JS` in it brings it to life.

    Each has a chooser of kind, layer and head; a word that is pointed at, or focused by the keyboard, shows what it looks at, a word that may be
    looked at shows by whom. Nothing outside of the page is referred to. Weights are rounded to thousandths. ValueError without maps.
    """
    if not maps or not all(each.kinds for each in maps):
        raise ValueError("there is no attention to show")
    content = json_in_script([_record(each) for each in maps])
    return (
        '<div class="attention-hover">\n'
        f'<script type="application/json">{content}</script>\n'
        "<noscript>These maps are drawn by the script in this page, which this browser does not run.</noscript>\n"
        "</div>\n"
    )


def attention_page(title: str, sentences: Sequence[Sequence[HoverMap]]) -> str:
    """A whole page that refers to nothing outside of itself: for each sentence the maps of one or several models side by side."""
    body = "\n".join(attention_hover(maps) for maps in sentences)
    return whole_page(title, body, style=f"{HOVER_CSS}\n{APART}", script=HOVER_JS)


def _record(one: HoverMap) -> dict[str, Any]:
    kinds = [_kind(kind, (one.said or {}).get(kind.name)) for kind in one.kinds]
    return {"title": one.title, "kinds": kinds, "picture": None if one.image is None else _png(one.image)}


def _kind(kind: AttentionKind, said: list[list[str]] | None) -> dict[str, Any]:
    return {
        "name": kind.name,
        "title": kind.title,
        "rows": kind.rows,
        "columns": kind.columns,
        "grid": kind.grid,
        "weights": np.rint(1000 * kind.weights).astype(int).tolist(),
        "seen": None if kind.seen.all() else kind.seen.astype(int).tolist(),
        "said": said,
    }


def _png(pixels: NDArray[np.uint8]) -> str:
    """The image as an address that carries it."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
