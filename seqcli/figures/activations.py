"""What every layer does, for one start beside another: distributions of weights, pre-activations, activations and gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.figures.layer_profiles import SMALLEST, draw_profiles
from seqcli.figures.powers import number_powers, power_of_ten
from seqcli.figures.style import (
    DARK,
    LIGHT,
    LINES,
    SMALL,
    Theme,
    add_axes,
    add_title,
    cut_to_fit,
    drawing,
    paper,
    weight_colours,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from seqcli.analysis.activations import LayerActivity, Spread

WIDTH, HEIGHT, ACROSS, DOWN = 1.5, 0.62, 0.22, 0.5  # inches: a panel, and what is between two
BINS = 60
NAMED = 8
"""Layers that the key names; of more, the first and the last."""


def activations_figure(
    models: Mapping[str, Sequence[LayerActivity]], *, title: str | None = None, dark: bool = False
) -> Figure:
    """A row a model, a column a quantity, a line a layer, from pale for the first to dark for the last; below, the layers side by side.

    All curves have the same height. Weights and pre-activations have a scale of their own in each row, which its numbers tell;
    activations and gradients (as powers of ten) share one. Where layers go along a sequence, two more columns show the activations of the
    last of the encoder's (else of the decoder's) at every step, as bands of the middle 50 % and 90 %, and the size of its gradients.
    ValueError if there is no layer.
    """
    if not models or not all(models.values()):
        raise ValueError("there is no layer to draw")
    theme = DARK if dark else LIGHT
    stepwise = _stepwise(next(iter(models.values())))
    columns = 6 if stepwise else 4
    pitch = HEIGHT + DOWN
    with drawing(theme, [*models, title or ""]):
        figure = paper(_left(columns), len(models) * pitch)
        rows = [
            [
                add_axes(figure, _left(column), (len(models) - 1 - row) * pitch, WIDTH, HEIGHT)
                for column in range(columns)
            ]
            for row in range(len(models))
        ]
        limits = _shared_limits(models, stepwise)
        for row, (name, layers) in zip(rows, models.items(), strict=True):
            _draw_row(row, layers, theme, limits)
            row[0].set_title(f"{name}{_numbers(layers)}", loc="left", size=SMALL + 0.5, pad=4)
            if stepwise:
                _draw_steps(row[4:], layers, stepwise, theme, limits)
        _name_columns(rows[0], stepwise, theme)
        _key_of_layers(figure, rows[0][0], next(iter(models.values())), theme)
        draw_profiles(figure, models, _left(columns - 1) + WIDTH, -DOWN - 0.3, theme)
        if title:
            add_title(figure, title)
        cut_to_fit(figure)
    return figure


def _left(column: int) -> float:
    """Where a column starts, in inches; those that go by step have a scale at their left."""
    return column * (WIDTH + ACROSS) + 0.3 * max(0, column - 3)


def _stepwise(layers: Sequence[LayerActivity]) -> str | None:
    """The layer that is drawn step by step: the encoder's last that goes along a sequence, else the decoder's."""
    along = [layer.name for layer in layers if layer.steps is not None]
    encoders = [name for name in along if name.startswith("encoder")]
    return (encoders or along)[-1] if along else None


def _colours(layers: Sequence[LayerActivity], theme: Theme) -> list[Any]:
    scale = weight_colours(theme)
    return [scale(0.35 + 0.65 * place / max(1, len(layers) - 1)) for place in range(len(layers))]


def _shared_limits(
    models: Mapping[str, Sequence[LayerActivity]], stepwise: str | None
) -> dict[str, tuple[float, float]]:
    """The ends of the scales that all rows share."""
    layers = [layer for each in models.values() for layer in each]
    values = np.concatenate([layer.activations.sample for layer in layers])
    bounded = all(
        layer.nonlinearity in ("tanh", "sigmoid") or abs(layer.activations.sample).max() <= 1 for layer in layers
    )
    far = 1.0 if bounded else float(np.percentile(np.abs(values), 99.5)) or 1.0
    low = -1.0 if bounded else max(-far, float(values.min()))
    sizes = np.concatenate([_magnitudes(layer.gradients) for layer in layers])
    found = {"activations": (low * 1.04, far * 1.04), "gradients": _ends(sizes)}
    if stepwise:
        along = [layer.steps for layer in layers if layer.name == stepwise and layer.steps is not None]
        bands = np.concatenate([steps.percentiles.ravel() for steps in along])
        reach = max(float(np.abs(bands).max()), 1e-3) * 1.05
        found["bands"] = (-1.05 if reach > 0.5 and bounded else -reach, 1.05 if reach > 0.5 and bounded else reach)
        rms = np.concatenate([steps.gradients for steps in along])
        real = np.maximum(rms, SMALLEST)
        found["step gradients"] = (float(real.min()) / 2, float(real.max()) * 2)
    return found


def _ends(sizes: NDArray[Any]) -> tuple[float, float]:
    low, high = np.percentile(sizes, [0.5, 100])
    return float(np.floor(low)), float(np.ceil(high))


def _magnitudes(spread: Spread) -> NDArray[Any]:
    return np.asarray(np.log10(np.maximum(np.abs(spread.sample.astype(np.float64)), SMALLEST)))


def _draw_row(
    row: Sequence[Axes], layers: Sequence[LayerActivity], theme: Theme, limits: Mapping[str, tuple[float, float]]
) -> None:
    colours = _colours(layers, theme)
    for axes, spreads in ((row[0], [x.weights for x in layers]), (row[1], [x.pre for x in layers])):
        there = [one.sample for one in spreads if one is not None]
        far = max((float(np.percentile(np.abs(one), 99.5)) for one in there), default=0.0) or 1.0
        ends = (-1.1 * far, 1.1 * far)
        for spread, colour in zip(spreads, colours, strict=True):
            if spread is not None:
                _curve(axes, spread.sample, ends, colour)
        _scale(axes, ends, [-_round(far), 0, _round(far)])
    for layer, colour in zip(layers, colours, strict=True):
        _curve(row[2], layer.activations.sample, limits["activations"], colour)
        _curve(row[3], np.clip(_magnitudes(layer.gradients), *limits["gradients"]), limits["gradients"], colour)
    low, high = limits["activations"]
    _scale(row[2], (low, high), [_round(low / 1.04), 0, _round(high / 1.04)])
    low, high = limits["gradients"]
    ticks = sorted({int(low), int((low + high) // 2), int(high)})
    _scale(row[3], (low, high), ticks)
    # what is smaller, and a gradient of 0 too, stands at the lower end
    row[3].set_xticks(ticks, ["≤ " * (tick == ticks[0]) + power_of_ten(tick) for tick in ticks])


def _curve(axes: Axes, sample: NDArray[Any], ends: tuple[float, float], colour: Any) -> None:
    """The outline of a histogram, 1 at its highest."""
    counts, edges = np.histogram(sample, bins=BINS, range=ends)
    axes.stairs(counts / max(1, counts.max()), edges, color=colour, linewidth=0.9)


def _scale(axes: Axes, ends: tuple[float, float], ticks: Sequence[float]) -> None:
    axes.set_xlim(*ends)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([])
    axes.set_xticks(list(ticks), [f"{tick:g}".replace("-", "−") for tick in ticks])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="x", length=2, pad=2, labelsize=SMALL - 1)


def _round(value: float) -> float:
    return float(f"{value:.1g}")


def _numbers(layers: Sequence[LayerActivity]) -> str:
    """What stands behind a model's name: saturation, distinct units, and how much of the gradient reaches the first layer."""
    parts = []
    shares = [layer.saturated for layer in layers if layer.saturated is not None]
    if shares:
        parts.append(f"saturated {np.mean(shares):.0%}")
    known = [layer.symmetry for layer in layers if layer.symmetry is not None]
    if known:
        parts.append(f"{sum(one.distinct for one in known):,} of {sum(one.units for one in known):,} units distinct")
    return "".join(f"   ·   {part}" for part in parts)


def _draw_steps(
    pair: Sequence[Axes],
    layers: Sequence[LayerActivity],
    name: str,
    theme: Theme,
    limits: Mapping[str, tuple[float, float]],
) -> None:
    steps = next(layer.steps for layer in layers if layer.name == name)
    assert steps is not None
    colour, places = LINES[0] if theme is LIGHT else LINES[4], np.arange(1, len(steps.gradients) + 1)
    p5, p25, p50, p75, p95 = steps.percentiles.T
    for low, high, alpha in ((p5, p95, 0.25), (p25, p75, 0.35)):
        pair[0].fill_between(places, low, high, color=colour, alpha=alpha, linewidth=0)
    pair[0].plot(places, p50, color=colour, linewidth=1.0)
    pair[0].set_ylim(*limits["bands"])
    pair[1].plot(places, np.maximum(steps.gradients, SMALLEST), color=colour, linewidth=1.2)
    pair[1].set_yscale("log")
    pair[1].set_ylim(*limits["step gradients"])
    for axes in pair:
        axes.set_xlim(1, max(2, len(places)))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(length=2, pad=2, labelsize=SMALL - 1)
        axes.locator_params(axis="x", nbins=4, integer=True)
    pair[0].locator_params(axis="y", nbins=3)
    number_powers(pair[1], 4)


def _name_columns(row: Sequence[Axes], stepwise: str | None, theme: Theme) -> None:
    names = ["weights", "pre-activations", "activations", "|gradients|"]
    if stepwise:
        names += ["activations by step", "gradients by step"]
    for axes, name in zip(row, names, strict=True):
        # the layer that goes by step is named once, over both of its columns
        text = f"{stepwise}\n{name}" if name == "activations by step" else name
        axes.annotate(
            text,
            (0, 1),
            (0, 19),
            xycoords="axes fraction",
            textcoords="offset points",
            size=SMALL + 0.5,
            color=theme.faint,
        )


def _key_of_layers(figure: Figure, axes: Axes, layers: Sequence[LayerActivity], theme: Theme) -> None:
    from matplotlib.lines import Line2D

    shown = list(zip(layers, _colours(layers, theme), strict=True))
    if len(shown) > NAMED:
        shown = [shown[0], shown[len(shown) // 2], shown[-1]]
    key = [Line2D([], [], color=colour, linewidth=1.5, label=layer.name) for layer, colour in shown]
    axes.legend(
        handles=key,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0 + 36 / 72 / HEIGHT),
        borderaxespad=0,
        ncols=4,
        handlelength=1.4,
        columnspacing=1.2,
    )
