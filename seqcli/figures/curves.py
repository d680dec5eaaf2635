"""Learning curves: what a run, or several side by side, did over its steps; runs that are repeats of each other as one line with a band."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import DataError, RecipeError
from seqcli.figures.style import DARK, LIGHT, LINES, Theme, add_title, cut_to_fit, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, object]
TRAINING_PANELS = ("loss", "learning_rate", "grad_norm")
LOGARITHMIC = ("perplexity", "grad_norm")
PANEL_WIDTH, PANEL_HEIGHT, ACROSS, BETWEEN = 3.0, 1.9, 0.65, 0.6  # inches
COLUMNS = 3
TRAINING: dict[str, Any] = {"linewidth": 1.0, "alpha": 0.55}
VALIDATION: dict[str, Any] = {"linewidth": 1.3, "marker": "o", "markersize": 2.5}
DASHES = ("-", "--", ":")
BAND, DARK_BAND = 0.18, 0.4  # opacity on light paper and on dark
Series = tuple[Sequence[float], Sequence[float]]
Groups = Mapping[str, Sequence[str]]


def curves_figure(
    runs: Mapping[str, Sequence[Record]],
    *,
    metrics: Sequence[str] | None = None,
    groups: Groups | None = None,
    dark: bool = False,
) -> Figure:
    """A panel for each of the loss, the learning rate, the gradient norm and every validation score, a colour for each group of runs.

    `runs` maps a run's name to its records (see `metrics.read_records`, and `Progress` for their fields); `metrics` picks the panels
    and their order. `groups` maps what the key says to the names of the runs that are one line with a band (see `band_of`), repeats of
    one experiment; each run is its own group if not given. RecipeError for a metric that no run has, DataError if there is nothing to
    draw at all.
    """
    panels = _panels(runs, metrics)
    lines = {
        label: [runs[name] for name in names] for label, names in (groups or {each: [each] for each in runs}).items()
    }
    theme = DARK if dark else LIGHT
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width, height = columns * (PANEL_WIDTH + ACROSS), rows * (PANEL_HEIGHT + BETWEEN)
    with drawing(theme, [*lines, *panels]):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height))
        for place, name in enumerate(panels):
            row, column = divmod(place, columns)
            left, bottom = column * (PANEL_WIDTH + ACROSS), height - row * (PANEL_HEIGHT + BETWEEN) - PANEL_HEIGHT
            box = (left / width, bottom / height, PANEL_WIDTH / width, PANEL_HEIGHT / height)
            axes = figure.add_axes(box, sharex=figure.axes[0] if place else None)
            _draw_panel(axes, name, lines, theme)
            if place + columns >= len(panels):  # nothing below it
                axes.set_xlabel("step")
        figure.axes[0].set_xlim(left=0)
        _add_key(figure.axes[0], panels, lines, theme)
        if len(lines) == 1:
            add_title(figure, *_with_counts(lines))
        cut_to_fit(figure)
    return figure


def band_of(series: Sequence[Series]) -> tuple[NDArray[np.float64], ...]:
    """Steps, and at each the mean, the lowest and the highest value of several series (steps, values), each rising in steps.

    At every step that any series has, between the last of their beginnings and the first of their ends: beyond it the mean would be
    that of other runs. A series without a value there is taken on the straight line between its neighbours. Lowest and highest, not a
    standard deviation, since with the three or five seeds of practice the band then shows what there is and supposes nothing.
    """
    known = [(np.asarray(steps, float), np.asarray(values, float)) for steps, values in series if len(steps)]
    if not known:
        return (np.empty(0),) * 4
    start, end = max(steps[0] for steps, _ in known), min(steps[-1] for steps, _ in known)
    union = np.unique(np.concatenate([steps for steps, _ in known]))
    common = union[(union >= start) & (union <= end)]
    values = np.stack([np.interp(common, *each) for each in known])
    return common, values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def _panels(runs: Mapping[str, Sequence[Record]], metrics: Sequence[str] | None) -> list[str]:
    records = [record for each in runs.values() for record in each]
    scores = [name for record in records for name in _scores(record)]
    training = [name for name in TRAINING_PANELS if any(record.get(name) is not None for record in records)]
    known = list(dict.fromkeys([*training, *scores]))
    if not known:
        raise DataError("there is nothing to draw: no record has a loss or a score yet")
    for name in metrics or ():
        if name not in known:
            raise RecipeError(f"no run has a metric called {name!r}; there are {', '.join(known)}")
    return list(metrics or known)


def _scores(record: Record) -> Mapping[str, float]:
    scores = record.get("scores")
    return scores if isinstance(scores, dict) else {}


def _training_series(records: Sequence[Record], name: str) -> tuple[list[int], list[float]]:
    return _series((each, each.get(name)) for each in records if each["event"] == "train")


def _validation_series(records: Sequence[Record], name: str) -> tuple[list[int], list[float]]:
    # The validation loss is a score, or the record's own loss.
    return _series(
        (each, _scores(each).get(name) if name in _scores(each) or name != "loss" else each.get("loss"))
        for each in records
        if each["event"] == "validation"
    )


def _series(points: Iterable[tuple[Record, object]]) -> tuple[list[int], list[float]]:
    """Steps and values, without gaps. A run that stopped and went on from a checkpoint has some steps twice: the later count."""
    steps: list[int] = []
    values: list[float] = []
    for record, value in points:
        step = record["step"]
        if not isinstance(step, int) or not isinstance(value, (int, float)):
            continue
        while steps and steps[-1] >= step:
            steps.pop()
            values.pop()
        steps.append(step)
        values.append(float(value))
    return steps, values


def _draw_panel(axes: Axes, name: str, lines: Mapping[str, Sequence[Sequence[Record]]], theme: Theme) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, StrMethodFormatter

    for number, runs in enumerate(lines.values()):
        look, band = _look(number, theme), _band_opacity(theme)
        _draw_line(axes, [_training_series(records, name) for records in runs], {**TRAINING, **look}, band)
        _draw_line(axes, [_validation_series(records, name) for records in runs], {**VALIDATION, **look}, band)
    axes.set_title(name.replace("_", " "), loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.4, alpha=0.4)
    if name in LOGARITHMIC and math.isfinite(axes.dataLim.minposy):  # something is above 0
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        axes.minorticks_off()
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _band_opacity(theme: Theme) -> float:
    return DARK_BAND if theme == DARK else BAND


def _draw_line(axes: Axes, series: Sequence[Series], look: dict[str, Any], band: float) -> None:
    """The one series, or the mean of several over the band that they fill."""
    if len(series) == 1:
        axes.plot(*series[0], **look)
        return
    steps, mean, lowest, highest = band_of(series)
    if len(steps):
        axes.fill_between(steps, lowest, highest, color=look["color"], alpha=band, linewidth=0)
    axes.plot(steps, mean, **look)


def _look(number: int, theme: Theme) -> dict[str, Any]:
    colours = (*LINES[:-1], theme.ink)  # black is lost on a dark paper
    return {"color": colours[number % len(colours)], "linestyle": DASHES[number // len(colours) % len(DASHES)]}


def _with_counts(lines: Mapping[str, Sequence[object]]) -> list[str]:
    """What the key says of each line: how many runs it is the mean of, if it is one."""
    return [f"{label} ({len(runs)} runs)" if len(runs) > 1 else label for label, runs in lines.items()]


def _add_key(axes: Axes, panels: Sequence[str], lines: Mapping[str, Sequence[Sequence[Record]]], theme: Theme) -> None:
    """Above the first panel: which colour is which group of runs, and which line is training and which validation."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    several = len(lines) > 1
    neutral = {"color": theme.faint} if several else _look(0, theme)
    told = _with_counts(lines) if several else []
    key: list[Any] = [
        Line2D([], [], linewidth=1.3, label=name, **_look(place, theme)) for place, name in enumerate(told)
    ]
    drawn = [(name, records) for name in panels for runs in lines.values() for records in runs]
    if any(_training_series(records, name)[0] for name, records in drawn):
        key.append(Line2D([], [], label="training", **TRAINING, **neutral))
    if any(_validation_series(records, name)[0] for name, records in drawn):
        key.append(Line2D([], [], label="validation", **VALIDATION, **neutral))
    if any(len(runs) > 1 for runs in lines.values()):
        key.append(Patch(facecolor=neutral["color"], alpha=_band_opacity(theme), label="lowest to highest run"))
    # long labels in fewer columns, so that the key is not much wider than the panels
    widest = max(len(each.get_label()) for each in key) if key else 1
    columns = max(1, min(5, 3 * 34 // (widest + 6)))
    axes.legend(
        handles=key, loc="lower left", bbox_to_anchor=(-0.02, 1.14), borderaxespad=0, ncols=columns, handlelength=1.6
    )
