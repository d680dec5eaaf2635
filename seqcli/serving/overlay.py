"""Attention over an image as a picture in bytes."""

from __future__ import annotations

import io

from seqcli.analysis.attention_kinds import merged
from seqcli.evaluation.attention import AttentionMaps
from seqcli.figures.animation import animation
from seqcli.figures.overlay import overlay_figure, overlay_sheet
from seqcli.figures.style import without_glyph_warnings
from seqcli.serving.refusal import INVALID, TOO_LARGE, Refusal

DPI = 110
MOST_WORDS = 80
"""Panels, or frames, of one picture."""


def draw_overlay(maps: AttentionMaps, *, figure: str, words: bool, dark: bool) -> tuple[bytes, str]:
    """The picture, and its media type: a panel a word, a sheet of every layer and head, or an animation with a frame a word.

    Refusal where the model saw no pixels, or wrote more words than fit. Draws with matplotlib: for one thread at a time.
    """
    shown = merged(maps) if words else maps
    if shown.image is None or shown.cells is None:
        raise Refusal(INVALID, "this run reads features, not pixels, so there is no picture to draw on; see /attention")
    if len(shown.target) > MOST_WORDS:
        raise Refusal(TOO_LARGE, f"{len(shown.target)} words are too many for one picture; {MOST_WORDS} can be drawn")
    if figure == "animation":
        return animation(shown.image, shown.mean_cells, shown.target, **shown.context, dark=dark), "image/gif"
    if figure == "sheet":
        drawn = overlay_sheet(shown.image, shown.cells, shown.target, dark=dark)
    else:
        drawn = overlay_figure(shown.image, shown.mean_cells, shown.target, **shown.context, dark=dark)
    content = io.BytesIO()
    with without_glyph_warnings():
        drawn.savefig(content, format="png", dpi=DPI)
    return content.getvalue(), "image/png"
