"""Score against the length of the source, a line for each model, over how many sentences each point rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seqcli.figures.style import DARK, LIGHT, LINES, SMALL, Theme, add_axes, cut_to_fit, drawing, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from seqcli.analysis.lengths import LengthCurve, LengthScore

WIDTH, SCORES, COUNTS, BETWEEN = 4.6, 2.5, 0.55, 0.12  # inches
FEW = 30
"""A point that rests on fewer sentences is drawn hollow."""
MARKERS = "osD^vPX"
MOST_NUMBERS = 16
DODGE = 0.07  # of the widest bucket, from one line's points to the next one's


def lengths_figure(
    curves: Sequence[LengthCurve],
    metric: str,
    *,
    unit: str = "symbols",
    trained_to: Sequence[int] = (),
    dark: bool = False,
) -> Figure:
    """Above, the score of each bucket of lengths at the mean length of its sentences, with its 95 % interval; below, how many they are.

    A point of fewer than `FEW` sentences is hollow. Where a curve is the mean of several runs, each of them is a small dot. A dotted
    line stands at each length of `trained_to`, the longest in training, where longer ones were tested.
    """
    theme = DARK if dark else LIGHT
    buckets = curves[0].scores
    with drawing(theme, [curve.label for curve in curves]):
        from matplotlib.ticker import MaxNLocator

        figure = paper(WIDTH, SCORES + COUNTS + BETWEEN)
        scores = add_axes(figure, 0, COUNTS + BETWEEN, WIDTH, SCORES)
        counts = add_axes(figure, 0, 0, WIDTH, COUNTS)
        counts.sharex(scores)
        step = DODGE * max(bucket.high - bucket.low + 1 for bucket in buckets)
        for number, curve in enumerate(curves):
            _draw_curve(scores, curve, number, (number - (len(curves) - 1) / 2) * step, theme)
        _draw_counts(counts, buckets, theme)
        left, right = buckets[0].low - 0.7, buckets[-1].high + 0.7
        scores.set_xlim(left, right)
        scores.xaxis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
        beyond = [length for length in trained_to if length < buckets[-1].high]
        for axes in (scores, counts):
            axes.spines[["top", "right"]].set_visible(False)
            for length in beyond:
                axes.axvline(length + 0.5, color=theme.faint, linewidth=0.8, linestyle=":", zorder=0)
        scores.grid(axis="y", linewidth=0.4, alpha=0.4)
        scores.tick_params(labelbottom=False)
        scores.set_ylabel(metric.replace("_", " "))
        if _is_a_share(buckets, curves):
            scores.set_ylim(-4, 104)
        counts.set_xlabel(f"length of the source ({unit})")
        _add_key(scores, curves, beyond, theme)
        cut_to_fit(figure)
    return figure


def _is_a_share(buckets: Sequence[LengthScore], curves: Sequence[LengthCurve]) -> bool:
    """Whether all that is drawn lies from 0 to 100 and goes over much of it, so that the whole scale is worth showing."""
    drawn = [bound for curve in curves for score in curve.scores for bound in score.interval]
    return min(drawn) >= 0 and max(drawn) <= 100 and max(drawn) - min(drawn) > 40


def _draw_curve(axes: Axes, curve: LengthCurve, number: int, aside: float, theme: Theme) -> None:
    look = _look(number, theme)
    places = [score.mean_length + aside for score in curve.scores]
    axes.plot(
        places, [score.value for score in curve.scores], linewidth=1.3, color=look["color"], linestyle=look["linestyle"]
    )
    for place, score in zip(places, curve.scores, strict=True):
        axes.plot([place, place], score.interval, linewidth=0.9, color=look["color"], solid_capstyle="butt")
        if len(score.runs) > 1:
            axes.plot([place] * len(score.runs), score.runs, ".", markersize=2.5, alpha=0.6, color=look["color"])
        inside = theme.paper if score.count < FEW else look["color"]
        axes.plot(
            [place],
            [score.value],
            marker=look["marker"],
            markersize=4,
            markerfacecolor=inside,
            markeredgecolor=look["color"],
            clip_on=False,
            zorder=3,
        )


def _draw_counts(axes: Axes, buckets: Sequence[LengthScore], theme: Theme) -> None:
    """A bar over the lengths of each bucket, with its number of sentences where there is room."""
    most = max(bucket.count for bucket in buckets)
    for bucket in buckets:
        left, width = bucket.low - 0.5, bucket.high - bucket.low + 1
        axes.bar(
            left,
            bucket.count,
            width=width,
            align="edge",
            color=theme.faint,
            alpha=0.45,
            edgecolor=theme.paper,
            linewidth=0.8,
        )
        if len(buckets) <= MOST_NUMBERS:
            axes.annotate(
                f"{bucket.count:,}",
                (left + width / 2, bucket.count),
                (0, 1.5),
                textcoords="offset points",
                ha="center",
                size=SMALL - 1,
            )
    axes.set_ylim(0, 1.3 * most)
    if len(buckets) <= MOST_NUMBERS:
        axes.set_yticks([])
    axes.set_ylabel("sentences", labelpad=4)


def _look(number: int, theme: Theme) -> dict[str, Any]:
    colours = (*LINES[:-1], theme.ink)  # black is lost on a dark paper
    dashes = ("-", "--", ":")[number // len(colours) % 3]
    return {"color": colours[number % len(colours)], "linestyle": dashes, "marker": MARKERS[number % len(MARKERS)]}


def _add_key(axes: Axes, curves: Sequence[LengthCurve], beyond: Sequence[int], theme: Theme) -> None:
    from matplotlib.lines import Line2D

    key = []
    for number, curve in enumerate(curves):
        runs = len(curve.scores[0].runs)
        label = f"{curve.label} (mean of {runs} runs)" if runs > 1 else curve.label
        key.append(Line2D([], [], linewidth=1.3, markersize=4, label=label, **_look(number, theme)))
    key.append(Line2D([], [], color=theme.faint, linewidth=0.9, marker="o", markersize=0, label="95 % interval"))
    if any(score.count < FEW for curve in curves for score in curve.scores):
        hollow: dict[str, Any] = {"marker": "o", "markersize": 4, "markerfacecolor": theme.paper, "color": theme.faint}
        key.append(Line2D([], [], linestyle="", label=f"fewer than {FEW} sentences", **hollow))
    if beyond:
        key.append(Line2D([], [], color=theme.faint, linewidth=0.8, linestyle=":", label="longest in training"))
    columns = 1 if max(len(curve.label) for curve in curves) > 40 else 2
    axes.legend(
        handles=key, loc="lower left", bbox_to_anchor=(-0.02, 1.02), borderaxespad=0, ncols=columns, handlelength=2.2
    )
