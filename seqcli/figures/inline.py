"""Figures and images that stand in a page: SVG in the page's own colours, images as addresses that carry them."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.saving import NO_DATE
from seqcli.figures.style import LIGHT, LINES, without_glyph_warnings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image as PillowImage

PICTURE_DPI = 100
POINTS_TO_PIXELS = 96 / 72
IN_THE_PAGE = {
    LIGHT.paper: "var(--paper)",
    LIGHT.ink: "var(--ink)",
    LIGHT.faint: "var(--faint)",
    LINES[0]: "var(--first-line)",  # too dark for dark paper
    LINES[-1]: "var(--ink)",
}
"""What becomes of a figure's colours: those of the page, light or dark as it is."""


def inline_svg(figure: Figure, title: str) -> str:
    """The figure, drawn in the light theme, as an `<svg>` for a page that has --paper, --ink, --faint and
    --first-line among its CSS variables.

    `title` is what a screen reader says. Its letters are text, at most as large as the figure has them; it shrinks with the page.
    """
    import matplotlib

    content = io.BytesIO()
    look: dict[Any, object] = {"svg.fonttype": "none", "svg.hashsalt": title}
    with matplotlib.rc_context(look), without_glyph_warnings():
        figure.savefig(content, format="svg", metadata=NO_DATE["svg"])
    svg = content.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # ids of groups would be there several times in one page, and nothing refers to them
    svg = re.sub(r"<g id=\"[^\"]*\"", "<g", svg)
    for colour, variable in IN_THE_PAGE.items():
        svg = re.sub(re.escape(colour), variable, svg, flags=re.IGNORECASE)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    width, height = (size * 72 * POINTS_TO_PIXELS for size in figure.get_size_inches())
    _, _, inside = svg.partition(">")
    return (
        f'<svg class="figure" role="img" viewBox="0 0 {width / POINTS_TO_PIXELS:g} {height / POINTS_TO_PIXELS:g}" '
        f'style="width:{width:.0f}px" aria-label="{_attribute(title)}">{inside}'
    )


def inline_picture(figure: Figure) -> str:
    """The figure as an address that carries it, a PNG: for what is drawn over images, which an SVG would carry one by one."""
    from PIL import Image

    content = io.BytesIO()
    with without_glyph_warnings():
        figure.savefig(content, format="png", dpi=PICTURE_DPI)
    with Image.open(content) as drawn:
        return _address(drawn.convert("RGB"))


def image_address(pixels: NDArray[np.uint8], largest: int) -> str:
    """An image `uint8 (h,w,3)` or `(h,w)` as an address that carries it, a PNG no side of which is longer than `largest`."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((largest, largest))
    return _address(image)


def _address(image: PillowImage) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _attribute(title: str) -> str:
    return title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
