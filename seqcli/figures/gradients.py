"""How gradients flow back: their length by every state, how fast it fades, and what was clipped; several models on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqcli.analysis.flow import GradientFlow, GradientHistory, log_mean
from seqcli.errors import DataError
from seqcli.figures.gradient_layers import GRADIENT, LOWEST
from seqcli.figures.powers import number_powers
from seqcli.figures.style import (
    DARK,
    LIGHT,
    LINES,
    SMALL,
    Theme,
    add_axes,
    cut_to_fit,
    drawing,
    paper,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Look = Mapping[str, Any]
WIDTH, HEIGHT, BETWEEN, BELOW, ACROSS = 2.7, 1.75, 0.62, 0.62, 0.3  # inches
JACOBIAN = r"$\Vert\,\partial h_T\,/\,\partial h_t\,\Vert$"
CELL_ORDER = ("rnn", "lstm", "gru", "transformer")


def gradients_figure(histories: Sequence[GradientHistory], *, dark: bool = False) -> Figure:
    """The gradient by every state of each model, a column for each step of training that any of them was looked at.

    Below it the product of Jacobians, the half-lives, and, where there were records, the length of the whole gradient before clipping,
    with the limit. Time runs to the right, and 0 is the last target step, whose loss it is. DataError if there is nothing to draw.
    """
    steps = sorted({flow.step for history in histories for flow in history.flows})
    if not steps:
        raise DataError("there is nothing to draw: no model was measured")
    theme, looks = (DARK if dark else LIGHT), _looks(histories, DARK if dark else LIGHT)
    jacobians = any(chain.jacobian.size for history in histories for flow in history.flows for chain in flow.chains)
    bars = max(0.6, 0.19 * len(histories))
    rows = [HEIGHT, *([HEIGHT] if jacobians else []), bars]
    clipped = [pair for pair in zip(histories, looks, strict=True) if pair[0].clipping is not None]
    width = len(steps) * (WIDTH + ACROSS)
    height = sum(rows) + BETWEEN * len(rows) + (HEIGHT + BELOW if clipped else 0)
    with drawing(theme, [history.label for history in histories]):
        figure, top = paper(width, height), height
        for row, high in enumerate(rows):
            top -= high
            kind = ("gradient", "jacobian", "half-life")[row if jacobians or row == 0 else row + 1]
            _draw_row(figure, top, high, kind, steps, histories, looks, theme)
            top -= BETWEEN
        if clipped:
            _draw_clipping(add_axes(figure, 0, top - HEIGHT, width - ACROSS, HEIGHT), clipped, theme)
        _add_key(figure.axes[0], width, histories, looks)
        cut_to_fit(figure)
    return figure


def _looks(histories: Sequence[GradientHistory], theme: Theme) -> list[Look]:
    """A colour for each model; where models differ in cell and attention alone, a colour a cell, dashed with attention."""
    colours = [*LINES[:-1], theme.ink]
    kinds = [history.flows[-1].kind.rpartition("→ ")[2] for history in histories]
    if len(set(kinds)) == len(kinds):
        cells = [kind.partition(" + ")[0] for kind in kinds]
        order = [*[cell for cell in CELL_ORDER if cell in cells], *sorted({*cells} - {*CELL_ORDER})]
        both = any("+" in kind for kind in kinds) and not all("+" in kind for kind in kinds)
        return [
            {"color": colours[order.index(cell)], "linestyle": "--" if both and "+" in kind else "-"}
            for cell, kind in zip(cells, kinds, strict=True)
        ]
    dashes = ("-", "--", ":", "-.")
    return [
        {"color": colours[number % len(colours)], "linestyle": dashes[number // len(colours) % len(dashes)]}
        for number in range(len(histories))
    ]


def _draw_row(
    figure: Figure,
    bottom: float,
    high: float,
    kind: str,
    steps: Sequence[int],
    histories: Sequence[GradientHistory],
    looks: Sequence[Look],
    theme: Theme,
) -> None:
    """One row of panels, a step each, on one scale."""
    panels: list[Axes] = []
    for column, step in enumerate(steps):
        axes = add_axes(figure, column * (WIDTH + ACROSS), bottom, WIDTH, high)
        shown = [(history, _at(history, step), look) for history, look in zip(histories, looks, strict=True)]
        if kind == "half-life":
            _draw_half_lives(axes, shown, theme, named=column == 0)
        else:
            _draw_lengths(axes, kind, [(flow, look) for _, flow, look in shown if flow is not None], theme)
        if panels:
            axes.sharey(panels[0])
            axes.tick_params(labelleft=False)
            axes.set_ylabel("")
        panels.append(axes)
        if kind == "gradient":
            axes.set_title("at initialisation" if step == 0 else f"after {step:,} steps", loc="left")
    if kind != "half-life":
        _bound(panels)


def _at(history: GradientHistory, step: int) -> GradientFlow | None:
    return next((flow for flow in history.flows if flow.step == step), None)


def _draw_lengths(axes: Axes, kind: str, flows: Sequence[tuple[GradientFlow, Look]], theme: Theme) -> None:
    """Lines over the steps before the last, source and target apart."""
    for flow, look in flows:
        for chain in flow.chains:
            main = chain in flow.mains
            style: dict[str, Any] = {"linewidth": 1.4} if main else {"linewidth": 0.6, "alpha": 0.5}
            lengths = 2.0 ** log_mean(chain.gradient if kind == "gradient" else chain.jacobian)
            if len(lengths) and np.isfinite(lengths).all():
                order = np.argsort(-chain.steps_back)
                axes.plot(
                    -chain.steps_back[order],
                    np.where(lengths > 0, lengths, np.nan)[order],
                    gid=chain.name,
                    **style,
                    **look,
                )
    axes.set_yscale("log", nonpositive="mask")
    axes.set_ylabel(GRADIENT if kind == "gradient" else JACOBIAN, parse_math=True)
    axes.set_xlabel("steps before the last target step")
    _tidy(axes)
    boundaries = {flow.target_length for flow, _ in flows}
    if len(boundaries) == 1:
        place = 0.5 - boundaries.pop()
        axes.axvline(place, color=theme.faint, linewidth=0.6, linestyle=":")
        for name, side, offset in (("source", "right", -3), ("target", "left", 3)):
            axes.annotate(
                name,
                (place, 1),
                (offset, -2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                horizontalalignment=side,
                verticalalignment="top",
                size=SMALL - 1,
                color=theme.faint,
                bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 0.8, "alpha": 0.8},
            )


def _bound(panels: Sequence[Axes]) -> None:
    """One scale for some panels, in powers of ten: it has all lines, but goes no lower than `LOWEST`, nor flatter than two powers."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for axes in panels for line in axes.lines if line.get_gid()]
    lengths = np.concatenate([*drawn, np.ones(0)])
    lengths = lengths[np.isfinite(lengths) & (lengths > LOWEST)]
    lowest, highest = (lengths.min() / 1.5, lengths.max() * 2.5) if len(lengths) else (0.1, 10.0)
    if highest / lowest < 100:
        middle = np.sqrt(highest * lowest)
        lowest, highest = middle / 10, middle * 10
    first = panels[0]
    first.set_ylim(lowest, highest)
    number_powers(first, 7)


def _draw_half_lives(
    axes: Axes, shown: Sequence[tuple[GradientHistory, GradientFlow | None, Look]], theme: Theme, *, named: bool
) -> None:
    """A line for each model: ● where the source's gradient halves, ○ the target's; what does not halve is said in words."""
    limit = 100.0
    for row, (_, flow, look) in enumerate(shown):
        if flow is None:
            continue
        words = []
        for chain, filled in ((flow.main("encoder"), True), (flow.main("decoder"), False)):
            if chain is None:
                continue
            found = chain.fade
            if found.slope < 0 and not found.holds:
                face = look["color"] if filled else theme.paper
                place = min(max(found.half_life, 0.3), limit)
                axes.plot(
                    place, row, marker="o", markersize=4.5, markerfacecolor=face, color=look["color"], zorder=3 - filled
                )
            else:
                words.append(("● " if filled else "○ ") + found.words)
        axes.axhline(row, color=theme.faint, linewidth=0.3, zorder=0)
        if words:
            axes.annotate(
                "  ".join(words),
                (1, row),
                (-2, 1),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                horizontalalignment="right",
                verticalalignment="bottom",
                size=SMALL - 2,
                color=theme.faint,
            )
    axes.set_xscale("log")
    axes.set_xlim(0.25, limit)
    axes.set_xticks([0.3, 1, 3, 10, 30, 100], ["0.3", "1", "3", "10", "30", "100"])
    axes.minorticks_off()
    axes.set_ylim(len(shown) - 0.4, -0.7)
    axes.set_yticks(range(len(shown)), [history.label for history, _, _ in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("half-life in steps: ● source  ○ target")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_clipping(axes: Axes, histories: Sequence[tuple[GradientHistory, Look]], theme: Theme) -> None:
    """The length of the whole gradient before clipping over the steps, and the limit that longer ones are cut to."""
    from matplotlib.ticker import StrMethodFormatter

    limits = set()
    for history, look in histories:
        clipping = history.clipping
        assert clipping is not None
        axes.plot(clipping.steps, np.where(clipping.norms > 0, clipping.norms, np.nan), linewidth=0.9, **look)
        limits.add(clipping.limit)
    for limit in sorted(limit for limit in limits if limit is not None):
        axes.axhline(limit, color=theme.ink, linewidth=0.8, linestyle=(0, (1, 1.5)))
        axes.annotate(
            f"clipped to {limit:g} above",
            (1, limit),
            (0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            horizontalalignment="right",
            verticalalignment="bottom",
            size=SMALL - 1,
            bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 0.8, "alpha": 0.8},
        )
    axes.set_yscale("log", nonpositive="mask")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.minorticks_off()
    axes.set_xlim(0, max(clipping.steps[-1] for history, _ in histories if (clipping := history.clipping) is not None))
    axes.set_xlabel("step of training")
    axes.set_ylabel("gradient norm before clipping")
    _tidy(axes)


def _add_key(axes: Axes, width: float, histories: Sequence[GradientHistory], looks: Sequence[Look]) -> None:
    """Above the first panel, `width` inches wide: which line is which model, and what share of its steps was clipped."""
    from matplotlib.lines import Line2D

    key = []
    for history, look in zip(histories, looks, strict=True):
        clipping = history.clipping
        clipped = "" if clipping is None or clipping.limit is None else f" ({clipping.share:.0%} clipped)"
        key.append(Line2D([], [], linewidth=1.4, label=history.label + clipped, **look))
    widest = max(len(str(line.get_label())) for line in key) * 0.075 + 0.5  # inches, about
    columns = max(1, min(len(key), int((width + 0.8) / widest)))
    axes.legend(
        handles=key, loc="lower left", bbox_to_anchor=(-0.02, 1.16), borderaxespad=0, ncols=columns, handlelength=2.2
    )


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.4, alpha=0.4)
