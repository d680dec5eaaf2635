"""Attention to be touched: HTML in which each word, when it is pointed at or focused, shows its row of weights."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.analysis.attention_kinds import AttentionKind

HOVER_CSS = files("seqcli.figures").joinpath("hover.css").read_text(encoding="utf-8")
"""The look of every `attention_hover` on a page; to stand in it once."""
HOVER_JS = files("seqcli.figures").joinpath("hover.js").read_text(encoding="utf-8")
"""What makes every `attention_hover` of a page move; to stand in it once, after all of them."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{css}
html {{ background: #ffffff; color: #1a1a1a; }}
@media (prefers-color-scheme: dark) {{ html {{ background: #16181d; color: #e8e8e8; }} }}
body {{ margin: 1rem; font: 15px/1.45 system-ui, sans-serif; }}
h1 {{ font-size: 1.25rem; margin: 0 0 .8rem; overflow-wrap: anywhere; }}
.attention-hover {{ margin: 0 0 2rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
<script>
{script}
</script>
</body>
</html>
"""


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
    content = json.dumps([_record(each) for each in maps], ensure_ascii=False, separators=(",", ":"))
    # within a script only these could end it, or start another
    safe = content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return (
        '<div class="attention-hover">\n'
        f'<script type="application/json">{safe}</script>\n'
        "<noscript>These maps are drawn by the script in this page, which this browser does not run.</noscript>\n"
        "</div>\n"
    )


def attention_page(title: str, sentences: Sequence[Sequence[HoverMap]]) -> str:
    """A whole page that refers to nothing outside of itself: for each sentence the maps of one or several models side by side."""
    body = "\n".join(attention_hover(maps) for maps in sentences)
    return PAGE.format(title=html.escape(title), css=HOVER_CSS, body=body, script=HOVER_JS)


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
