"""A beam search as a tree: what was written, what lived on beside it, and what was pruned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seqcli.figures.branches import Branch, best_path, rows_of
from seqcli.figures.labels import visible, widths_of
from seqcli.figures.style import (
    BODY,
    DARK,
    LIGHT,
    LINES,
    POINTS,
    SMALL,
    Theme,
    add_axes,
    add_title,
    cut_to_fit,
    drawing,
    paper,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW, GAP, BESIDE = 0.34, 0.24, 0.07  # inches: from row to row, between columns for the lines, and around a label
SHARE = SMALL - 1.5  # points of the probabilities
KEY = (
    ("best", "best hypothesis"),
    ("2: −0.61", "given back second, its score"),
    ("live", "kept"),
    ("pruned", "pruned"),
)


def beam_tree_figure(branches: Sequence[Branch], *, title: str | None = None, dark: bool = False) -> Figure:
    """The tree of one search: a column a step, each symbol with its probability after what stands before it, a line as wide as that is
    probable. ValueError where there is nothing to draw."""
    if not branches:
        raise ValueError("a tree needs at least one node")
    theme = DARK if dark else LIGHT
    with drawing(theme, [*(branch.label for branch in branches), title or ""]):
        rows = rows_of(branches)
        lefts, widths = _columns(branches)
        height = (max(rows) + 1) * ROW
        total = max(lefts[step] + widths[step] for step in lefts) + 0.8
        figure = paper(total, height)
        axes = add_axes(figure, 0.0, 0.0, total, height)
        axes.axis("off")
        axes.set_xlim(0, total)
        axes.set_ylim(height, 0)
        best = best_path(branches)
        for number in range(len(branches)):
            _draw_line(axes, branches, number, rows, lefts, widths, number in best, theme)
        for number, branch in enumerate(branches):
            _draw_node(axes, branch, lefts[branch.step], rows[number] * ROW, widths[branch.step], number in best, theme)
        _draw_key(figure, theme)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _columns(branches: Sequence[Branch]) -> tuple[dict[int, float], dict[int, float]]:
    """Where each step's column begins, and how wide it is, in inches."""
    labels = widths_of([visible(branch.label) for branch in branches], BODY)
    shares = widths_of([share(branch.probability) for branch in branches], SHARE)
    widths: dict[int, float] = {}
    for branch, label, beside in zip(branches, labels, shares, strict=True):
        widths[branch.step] = max(widths.get(branch.step, 0.0), label + beside + 2.6 * BESIDE)
    lefts: dict[int, float] = {}
    left = 0.0
    for step in sorted(widths):
        lefts[step] = left
        left += widths[step] + GAP
    return lefts, widths


def share(probability: float) -> str:
    """A probability in percent, as short as it can be."""
    percent = 100 * probability
    return f"{percent:.0f}%" if percent >= 9.95 else f"{percent:.1f}%" if percent >= 0.095 else "<0.1%"


def score(value: float) -> str:
    """A score with two places, or as many as it takes to tell it from 0."""
    return (f"{value:.2f}" if abs(value) >= 0.005 or value == 0 else f"{value:.1g}").replace("-", "−")


def _colour(branch: Branch, best: bool, theme: Theme) -> str:
    if best:
        return LINES[0] if theme is LIGHT else LINES[4]
    return theme.faint if branch.fate in ("pruned", "outdone") else theme.ink


def _draw_line(
    axes: Axes,
    branches: Sequence[Branch],
    number: int,
    rows: Sequence[int],
    lefts: dict[int, float],
    widths: dict[int, float],
    best: bool,
    theme: Theme,
) -> None:
    """From the parent's column across, down beside it, and to the node."""
    branch = branches[number]
    if branch.parent is None:
        return
    step = branch.step
    start, end = lefts[step - 1] + widths[step - 1], lefts[step]
    above, below = ((rows[each] + 0.5) * ROW for each in (branch.parent, number))
    turn = (start + end) / 2
    pruned = branch.fate == "pruned"
    axes.plot(
        [start, turn, turn, end] if above != below else [start, end],
        [above, above, below, below] if above != below else [above, above],
        color=_colour(branch, best, theme),
        linewidth=0.5 + 2.2 * branch.probability,
        linestyle=(0, (2, 1.5)) if pruned else "-",
        solid_joinstyle="round",
        zorder=3 if best else 1 if pruned else 2,
    )


def _draw_node(axes: Axes, branch: Branch, left: float, top: float, width: float, best: bool, theme: Theme) -> None:
    """The symbol with its probability, in a frame if it was kept; a hypothesis that was given back with its place and score."""
    from matplotlib.patches import FancyBboxPatch

    colour = _colour(branch, best, theme)
    middle = top + ROW / 2
    if branch.fate != "pruned":
        axes.add_patch(
            FancyBboxPatch(
                (left + 0.02, top + 0.05),
                width - 0.04,
                ROW - 0.1,
                boxstyle="round,pad=0,rounding_size=0.05",
                facecolor=theme.paper,
                edgecolor=colour,
                linewidth=1.6 if best else 0.6,
                zorder=4,
            )
        )
    text: dict[str, Any] = {"verticalalignment": "center_baseline", "color": colour, "zorder": 5}
    axes.text(left + BESIDE, middle, visible(branch.label), size=BODY, weight="bold" if best else "normal", **text)
    axes.text(left + width - BESIDE, middle, share(branch.probability), size=SHARE, horizontalalignment="right", **text)
    if branch.place is not None:
        told = f"{branch.place}: {score(branch.score)}" + (" (cut)" if branch.fate == "cut" else "")
        axes.text(left + width + 0.07, middle, told, size=SMALL, weight="bold" if best else "normal", **text)
    elif branch.fate == "stopped":
        axes.text(left + width + 0.05, middle, "…", size=SMALL, **text)


def _draw_key(figure: Figure, theme: Theme) -> None:
    """What the looks mean, below the tree."""
    lefts, left = [], 0.0
    for _, meaning in KEY:
        lefts.append(left)
        left += 0.36 + widths_of([meaning], SMALL)[0] + 0.45
    high = SMALL / POINTS * 1.6
    axes = add_axes(figure, 0.0, -high - 0.12, left, high)
    axes.axis("off")
    axes.set_xlim(0, left)
    axes.set_ylim(0, 1)
    for start, (look, meaning) in zip(lefts, KEY, strict=True):
        if look.startswith("2"):
            axes.text(start - 0.12, 0.5, look, size=SMALL, color=theme.ink, verticalalignment="center_baseline")
        else:
            colour = _colour(Branch(None, 1, "", 1.0, 0.0, look, None), look == "best", theme)
            style = (0, (2, 1.5)) if look == "pruned" else "-"
            width = 2.4 if look == "best" else 1.2
            axes.plot([start, start + 0.28], [0.5, 0.5], color=colour, linewidth=width, linestyle=style)
        axes.text(start + 0.36, 0.5, meaning, size=SMALL, color=theme.ink, verticalalignment="center_baseline")
