"""Box plots of latency by operation, like the dissertation's figures 5.6 to 5.9 and 5.1."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.experiment import labels
from bench.experiment.figures import style
from bench.experiment.figures.parts import Part, Series, pooled
from bench.experiment.results import Numbers, Results

HEIGHT: Final = 4.0
FILLED: Final = True
HOW: Final = (
    "Boxes hold the middle half, the line in them is the median, whiskers reach to the last value within 1.5 times the"
    " box, dots are all values beyond."
)
_WIDEST: Final = 0.26


def paint(figure: Figure, results: Results, part: Part) -> list[Series]:
    """Draw what has values; returns those series."""
    found = [(series, pooled(results, series.cells)) for series in part.series]
    drawn = [(series, values) for series, values in found if values]
    if not drawn:
        return []
    operations = labels.in_order(name for _, values in drawn for name in values)
    axes = figure.add_subplot()
    extremes: list[Numbers] = []
    width = min(0.84 / len(drawn), _WIDEST)
    for place, (series, values) in enumerate(drawn):
        shift = (place - (len(drawn) - 1) / 2) * width
        for group, operation in enumerate(operations):
            if len(values.get(operation, ())):
                _box(axes, series.look, group + shift, width * 0.8, values[operation])
                extremes.append(values[operation][[0, -1]])
    _finish(axes, operations, np.concatenate(extremes))
    return [series for series, _ in drawn]


def statistics(values: Numbers) -> tuple[dict[str, float], Numbers]:
    """Of ascending values: the box and its whiskers, and the values beyond them."""
    low, middle, high = np.percentile(values, (25, 50, 75), method="inverted_cdf")
    reach = 1.5 * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    box = {"q1": low, "med": middle, "q3": high, "whislo": inside[0], "whishi": inside[-1]}
    beyond = values[(values < inside[0]) | (values > inside[-1])]
    return {name: float(each) for name, each in box.items()}, beyond


def _box(axes: Axes, look: style.Look, place: float, width: float, values: Numbers) -> None:
    box, beyond = statistics(values)
    line: dict[str, Any] = {"color": "black", "lw": 0.8}
    axes.bxp(
        [box],
        positions=[place],
        widths=[width],
        patch_artist=True,
        showfliers=False,
        manage_ticks=False,
        boxprops={"facecolor": look.colour, "hatch": look.hatch, "lw": 0.8, "alpha": 0.85},
        medianprops={"color": "black", "lw": 1.8},
        whiskerprops=line,
        capprops=line,
        zorder=3,
    )
    if len(beyond):
        apart = (np.arange(len(beyond)) % 7 - 3) * width * 0.06
        axes.scatter(
            place + apart,
            beyond,
            s=4,
            color=look.colour,
            alpha=0.35,
            lw=0,
            rasterized=True,
            zorder=2,
        )


def _finish(axes: Axes, operations: Sequence[str], extremes: Numbers) -> None:
    style.plain(axes)
    style.scale(axes, float(extremes.min()), float(extremes.max()))
    axes.set_ylabel("latency (ms)")
    names = [labels.operation(name) for name in operations]
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.55, len(names) - 0.45)
