"""Tail latency against throughput, one marker a cell, like the dissertation's figure 4.5."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.experiment import labels
from bench.experiment.figures import style
from bench.experiment.figures.parts import Part, Series, pooled, value
from bench.experiment.record import Cell, Estimate
from bench.experiment.results import Results

HEIGHT: Final = 3.9
FILLED: Final = False
HOW: Final = (
    "Each marker is one combination of levels: further right is more answers, further down is a shorter tail."
    " Bars are 95 % intervals."
)
_BESIDE: Final = ((8, 5), (-8, 5), (8, -12), (-8, -12))
"""Where names are, in points from their markers, series by series: neighbours do not write over each other."""
_FAR: Final = 5
"""Rates so many times apart need a logarithmic axis."""
_ROOM: Final = 2.5
"""Around them, as a factor, for the names."""
_NAMED: Final = 12
"""Markers that have room for their names."""


def paint(figure: Figure, results: Results, part: Part) -> list[Series]:
    """Draw what has values; returns those series."""
    found = [(s, cell, tail(results, cell)) for s in part.series for cell in s.cells]
    shown = [(s, cell, p99) for s, cell, p99 in found if p99 is not None]
    if not shown:
        return []
    axes = figure.add_subplot()
    telling = _telling([cell for _, cell, _ in shown]) if len(shown) <= _NAMED else []
    for series, cell, p99 in shown:
        _mark(axes, series, cell, p99)
        names = [name for name in telling if len({value(c, name) for c in series.cells}) > 1]
        _name(axes, cell, p99.value, names, _BESIDE[list(part.series).index(series) % len(_BESIDE)])
    for series in part.series:
        _join(axes, series, [(c.throughput, p99.value) for s, c, p99 in shown if s is series])
    _finish(axes, [p99 for _, _, p99 in shown], [cell.throughput for _, cell, _ in shown])
    return [series for series in part.series if any(s is series for s, _, _ in shown)]


def tail(results: Results, cell: Cell) -> Estimate | None:
    """The 99th percentile of all operations together; with an interval when there is only one operation."""
    measured = [operation.p99 for operation in cell.operations.values() if operation.p99]
    if len(measured) == 1:
        return measured[0]
    values = list(pooled(results, [cell]).values())
    if not values:
        return None
    p99 = float(np.percentile(np.concatenate(values), 99, method="inverted_cdf"))
    return Estimate(value=p99, low=p99, high=p99)


def _telling(cells: Sequence[Cell]) -> list[str]:
    """Levels that differ between the cells."""
    names = dict.fromkeys(name for cell in cells for name in cell.levels)
    return [name for name in names if len({value(cell, name) for cell in cells}) > 1]


def _mark(axes: Axes, series: Series, cell: Cell, p99: Estimate) -> None:
    axes.errorbar(
        [cell.throughput],
        [p99.value],
        yerr=[[max(0.0, p99.value - p99.low)], [max(0.0, p99.high - p99.value)]],
        color=series.look.colour,
        marker=series.look.marker,
        ms=7,
        mec="black",
        mew=0.6,
        capsize=3,
        lw=1.1,
        zorder=3,
    )


def _join(axes: Axes, series: Series, points: Sequence[tuple[float, float]]) -> None:
    if len(points) > 1:
        across, up = zip(*points, strict=True)
        axes.plot(across, up, color=series.look.colour, ls=series.look.dash, lw=1, alpha=0.6)


def _name(
    axes: Axes, cell: Cell, height: float, names: Sequence[str], beside: tuple[int, int]
) -> None:
    there = [name for name in names if name in cell.levels and name != "rate"]  # the axis says it
    if there:
        axes.annotate(
            "\n".join(labels.one(cell, name) for name in there),
            (cell.throughput, height),
            xytext=beside,
            ha="left" if beside[0] > 0 else "right",
            textcoords="offset points",
            fontsize=style.SMALL,
        )


def _finish(axes: Axes, tails: Sequence[Estimate], rates: Sequence[float]) -> None:
    style.plain(axes)
    axes.grid(visible=True, axis="x", alpha=0.25, lw=0.6)
    low, high = min(each.low for each in tails), max(each.high for each in tails)
    style.scale(axes, low, high * 1.1)
    axes.set_ylabel("99th percentile of latency (ms)")
    axes.set_xlabel("throughput (answers per second)")
    if max(rates) > _FAR * min(rates) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(min(rates) / _ROOM, max(rates) * _ROOM)
        return
    room = 0.75 * (max(rates) - min(rates)) or 0.5 * max(rates)
    axes.set_xlim(max(0.0, min(rates) - room), max(rates) + room)
