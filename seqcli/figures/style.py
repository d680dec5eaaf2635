"""The one look that all pictures share: colours, type sizes, and a sheet of paper cut to fit what is on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

from seqcli.extras import require
from seqcli.figures.fonts import font_families

DPI = 200
POINTS = 72  # to the inch
BODY, SMALL = 9.0, 7.5  # points
# Okabe and Ito's palette for all kinds of colour vision, without its yellow, which is lost on white; black last.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


@dataclass(frozen=True)
class Theme:
    """The colours of paper, ink and a marker's stroke under it, and where the scale of weights starts and ends (OKLab lightness)."""

    paper: str
    ink: str
    faint: str
    mark: str
    lightness: tuple[float, float]


LIGHT = Theme(paper="#ffffff", ink="#1a1a1a", faint="#767676", mark="#56B4E9", lightness=(1.0, 0.28))
DARK = Theme(paper="#16181d", ink="#e8e8e8", faint="#9a9a9a", mark="#0072B2", lightness=(0.22, 0.97))


@contextmanager
def drawing(theme: Theme, texts: Sequence[str]) -> Iterator[None]:
    """Within this block new figures wear `theme`, and their text is set in fonts that have the characters of `texts`.

    RecipeError where matplotlib is not installed.
    """
    require("plots", "a picture")
    import matplotlib

    look: dict[Any, object] = {
        "figure.dpi": DPI,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.faint,
        "axes.titlecolor": theme.ink,
        "axes.linewidth": 0.6,
        "axes.labelsize": SMALL,
        "axes.titlesize": BODY,
        "axes.unicode_minus": True,
        "font.family": font_families(texts),
        "font.size": BODY,
        "legend.fontsize": SMALL,
        "legend.frameon": False,
        "text.color": theme.ink,
        # Labels are the user's words: a dollar sign among them starts no formula.
        "text.parse_math": False,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
    }
    with matplotlib.rc_context(look), without_glyph_warnings():
        yield


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Drawn within this block, a character that no font has is a box and no warning: `missing_fonts` tells it once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def weight_colours(theme: Theme) -> ListedColormap:
    """The scale from 0 (paper) to 1 (ink) by way of blue, in equal steps of perceived lightness.

    Made in OKLab (Ottosson 2020, "A perceptual color space for image processing"), so that it is uniform to the eye and
    loses nothing in a black-and-white print.
    """
    from matplotlib.colors import ListedColormap

    share = np.linspace(0.0, 1.0, 256)
    start, end = theme.lightness
    lightness = start + (end - start) * share
    chroma = 0.13 * np.sin(np.pi * share) ** 0.8 + 0.03 * share
    hue = np.deg2rad(240 + 30 * (1 - lightness))
    return ListedColormap(_oklab_to_srgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue)))


def _oklab_to_srgb(
    lightness: NDArray[np.float64], green_red: NDArray[np.float64], blue_yellow: NDArray[np.float64]
) -> NDArray[np.float64]:
    cones = np.stack(
        [
            lightness + 0.3963377774 * green_red + 0.2158037573 * blue_yellow,
            lightness - 0.1055613458 * green_red - 0.0638541728 * blue_yellow,
            lightness - 0.0894841775 * green_red - 1.2914855480 * blue_yellow,
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_linear @ cones**3, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.clip(srgb, 0.0, 1.0).T)


def paper(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; `cut_to_fit` gives it the margins that its labels need."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def add_title(figure: Figure, title: str) -> None:
    """Write `title` above everything drawn so far, flush with the left edge of the first axes."""
    first = figure.axes[0]
    top = figure.get_size_inches()[1] * first.get_position(original=True).y1
    above = (_drawn_box(figure).y1 - top) * POINTS + 8
    first.annotate(title, (0, 1), (0, above), xycoords="axes fraction", textcoords="offset points", size=BODY + 1)


def cut_to_fit(figure: Figure, margin: float = 0.1) -> None:
    """Make the figure as large as what is drawn on it and `margin` inches around; all axes keep their size in inches."""
    width, height = figure.get_size_inches()
    drawn = _drawn_box(figure)
    new_width, new_height = drawn.width + 2 * margin, drawn.height + 2 * margin
    for axes in figure.axes:
        box = axes.get_position(original=True)
        left, bottom = box.x0 * width - drawn.x0 + margin, box.y0 * height - drawn.y0 + margin
        size = (box.width * width / new_width, box.height * height / new_height)
        axes.set_position((left / new_width, bottom / new_height, *size))
    figure.set_size_inches(new_width, new_height)


def _drawn_box(figure: Figure) -> Bbox:
    """What is drawn, in inches from the lower left corner of the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(
        figure
    )  # text can only be measured for one kind of canvas or another; this one becomes the figure's
    return figure.get_tightbbox()
