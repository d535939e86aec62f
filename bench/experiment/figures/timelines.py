"""Memory and processor use by time, like the dissertation's figures 5.4 and 5.5: of one run, samples as they came."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.experiment import labels
from bench.experiment.figures import style
from bench.experiment.figures.parts import Part, Series
from bench.experiment.results import Numbers, Results, Timelines

HEIGHT: Final = 3.5
FILLED: Final = False
HOW_MEMORY: Final = (
    "What the processes cost the machine: a page that several share counts once, and what simulated enclaves hold"
    " counts too. One run of each."
)
HOW_PROCESSORS: Final = "Processors in use, mean between samples. One run of each."
_ROLES: Final = ("servers", "load-balancer", "routing-manager", "wrappers", "generator")
_POINTS: Final = 240


def paint_memory(figure: Figure, results: Results, part: Part) -> list[Series]:
    return _paint(figure, results, part, of_memory=True)


def paint_processors(figure: Figure, results: Results, part: Part) -> list[Series]:
    return _paint(figure, results, part, of_memory=False)


def _paint(figure: Figure, results: Results, part: Part, *, of_memory: bool) -> list[Series]:
    runs = [
        (series, timelines)
        for series in part.series
        for cell in series.cells
        if (timelines := results.timelines(cell.id))
    ]
    role = _role(timelines for _, timelines in runs)
    if role is None:
        return []
    axes = figure.add_subplot()
    highest, drawn = 0.0, []
    for series, timelines in runs:
        values = (timelines.memory if of_memory else timelines.processors).get(role)
        if values is not None and len(values):
            highest = max(highest, _line(axes, series.look, timelines.seconds, values))
            drawn.append(series)
    _finish(axes, f"{labels.role(role)}: {'memory (MiB)' if of_memory else 'processors'}", highest)
    return [series for series in part.series if series in drawn]


def _role(runs: Iterable[Timelines]) -> str | None:
    """Whose use is shown: the servers', or of the next part that there is."""
    present = {role for timelines in runs for role in timelines.memory}
    return next((role for role in _ROLES if role in present), None)


def _line(axes: Axes, look: style.Look, seconds: Numbers, values: Numbers) -> float:
    moments, shown = averaged(seconds[len(seconds) - len(values) :], values)
    axes.plot(
        moments,
        shown,
        color=look.colour,
        ls=look.dash,
        lw=1.6,
        marker=look.marker,
        ms=4,
        markevery=0.12,
    )
    return float(shown.max())


def averaged(seconds: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """Means of neighbours when there are more samples than a figure can show."""
    size = -(-len(values) // _POINTS)
    if size <= 1:
        return seconds, values
    starts = np.arange(0, len(values), size)
    counts = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(seconds, starts) / counts, np.add.reduceat(values, starts) / counts


def _finish(axes: Axes, label: str, highest: float) -> None:
    style.plain(axes)
    style.scale(axes, 0.0, highest)
    axes.set_ylabel(label)
    axes.set_xlabel("time since the run's start (s)")
    axes.set_xlim(left=0)
