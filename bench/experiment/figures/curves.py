"""Latency by percentile, one panel an operation, like the dissertation's figures 5.10 to 5.12.

The horizontal axis is stretched so that the tail has room: from 90 to 99 is as far as from 0 to 90, and from 99 to 99.9
again.
"""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.experiment import labels
from bench.experiment.figures import style
from bench.experiment.figures.parts import Part, Series, pooled
from bench.experiment.results import Numbers, Results

HEIGHT: Final = 4.0
FILLED: Final = False
HOW: Final = (
    "So many per cent of the requests were answered within so many milliseconds. The horizontal axis is stretched"
    " towards the slowest requests."
)
_TICKS: Final = (0.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
_POINTS: Final = 400
_PANEL: Final = 2.15
_NEAR: Final = 0.05
"""Of the axis: labels nearer to each other would touch."""


def paint(figure: Figure, results: Results, part: Part) -> list[Series]:
    """Draw what has values; returns those series."""
    found = [(series, pooled(results, series.cells)) for series in part.series]
    drawn = [(series, values) for series, values in found if values]
    if not drawn:
        return []
    operations = labels.in_order(name for _, values in drawn for name in values)
    panels = _panels(figure, len(operations))
    for operation, axes in zip(operations, panels, strict=True):
        shown = [(s.look, values[operation]) for s, values in drawn if operation in values]
        for look, values in shown:
            _curve(axes, look, values)
        axes.set_title(labels.operation(operation))
        style.plain(axes)
        everything = np.concatenate([values for _, values in shown])
        style.scale(axes, float(everything.min()), float(everything.max()))
        _percentiles(axes, max(len(values) for _, values in shown))
    return [series for series, _ in drawn]


def curve(values: Numbers) -> tuple[Numbers, Numbers]:
    """Where the ascending values are on the stretched axis, and they; thinned where points would coincide."""
    place = stretched(100 * (np.arange(len(values)) + 0.5) / len(values))
    if len(values) <= _POINTS:
        return place, values
    wanted = np.searchsorted(place, np.linspace(place[0], place[-1], _POINTS))
    chosen = np.unique(np.minimum(wanted, len(values) - 1))
    return place[chosen], values[chosen]


def stretched(percent: Numbers) -> Numbers:
    return np.asarray(-np.log10(1 - np.asarray(percent) / 100), dtype=np.float64)


def _panels(figure: Figure, count: int) -> list[Axes]:
    columns = min(2, count)
    rows = -(-count // columns)
    if count > 1:
        figure.set_size_inches(style.WIDTH, _PANEL * rows + 0.9)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in grid[count:]:
        spare.remove()
    for number, axes in enumerate(grid[:count]):
        if number % columns == 0:
            axes.set_ylabel("latency (ms)")
        if number + columns >= count:
            axes.set_xlabel("percentile")
    return list(grid[:count])


def _curve(axes: Axes, look: style.Look, values: Numbers) -> None:
    place, latency = curve(values)
    axes.plot(
        place,
        latency,
        color=look.colour,
        ls=look.dash,
        lw=1.6,
        marker=look.marker,
        ms=4,
        markevery=0.16,
    )


def _percentiles(axes: Axes, count: int) -> None:
    end = float(stretched(np.array([100 - 50 / count]))[0])
    axes.set_xlim(0, end * 1.02)
    chosen: list[float] = []
    columns = axes.get_subplotspec()
    near = _NEAR * (2 if columns and columns.get_gridspec().ncols > 1 else 1)
    for tick in _TICKS:
        place = float(stretched(np.array([tick]))[0])
        last = float(stretched(np.array([chosen[-1]]))[0]) if chosen else -1.0
        if place <= end and place - last >= near * end:
            chosen.append(tick)
    names = [f"{tick:g}" for tick in chosen]
    axes.set_xticks(stretched(np.array(chosen)).tolist(), names, fontsize=style.SMALL)
    axes.grid(visible=True, axis="x", alpha=0.25, lw=0.6)
