"""A curve as a chart: in the terminal for a glance, as a PNG for a report.

Both show the same: one point per bucket in its middle, joined only where buckets follow each other, so a gap in the
readings is a gap in the line and not a straight guess across it. Times are those of the curve's zone, and the axes say
which; they say the year where a chart has more than one.

The drawing libraries take most of a second to load, so they are loaded only when a chart is drawn.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smartgrid_client import moments, periods
from smartgrid_client.curve import WANTED, Curve
from smartgrid_client.messages import Metric
from smartgrid_client.periods import DAY, HOUR, Bucket

_TICKS: Final = (
    *(Bucket(HOUR * hours) for hours in (1, 2, 3, 6, 12)),
    *(Bucket(DAY * days) for days in (1, 2, 4, 7, 14)),
    *(Bucket(months=months) for months in (1, 3, 6)),
    *(Bucket(months=12 * years) for years in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
_COLOUR: Final = "#1f6f8b"


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn, without how. The curve has a point at least."""

    curve: Curve
    uid: str

    @property
    def name(self) -> str:
        """What the numbers are, as on the axis."""
        return f"{self.curve.metric} ({self.curve.metric.unit})"

    @property
    def time(self) -> str:
        return f"time ({moments.name_of(self.curve.zone)})"

    @property
    def title(self) -> str:
        points, zone = self.curve.points, self.curve.zone
        first, last = periods.local(points[0].start, zone), periods.local(points[-1].end - 1, zone)
        period = f"{first:%-d %b %Y}"
        if last.date() != first.date():
            period += f" to {last:%-d %b %Y}"
        return f"Average {self.curve.metric} per {self.curve.bucket}, {self.uid}, {period}"


def terminal(chart: Chart, width: int, height: int) -> str:
    """The chart as text of at most `width` columns and `height` rows.

    In the terminal's own colours: a chosen background is ugly on half of all terminals.
    """
    import plotext  # noqa: PLC0415  # see the module's docstring

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, height)
    for run in chart.curve.runs():
        middles, values = [each.middle for each in run], [each.average for each in run]
        figure.draw(figure.signal(middles, values, marker="hd").lines())
    figure.title(chart.title)
    figure.label(f"{chart.name} against {chart.time}", "x")
    averages = [each.average for each in chart.curve.points]
    levels = nice_levels(min(averages), max(averages), height // 4)
    figure.ruler("y").lim(levels[0], levels[-1])
    figure.ruler("y").ticks(levels, [f"{level:,g}" for level in levels])
    ticks = time_ticks(chart.curve, max(2, width // 14))
    figure.ruler("x").ticks(list(ticks), list(ticks.values()))
    return str(figure.build().string(colorless=True))


def png(chart: Chart, path: Path) -> None:
    """Write the chart as a PNG of 1500 x 750 pixels.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # see above
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    size = 3.0 if len(chart.curve.points) <= WANTED else 1.2
    for run in chart.curve.runs():
        middles, values = [each.middle for each in run], [each.average for each in run]
        axes.plot(middles, values, color=_COLOUR, linewidth=1.2, marker="o", markersize=size)
    axes.set_title(chart.title)
    axes.set_xlabel(chart.time)
    axes.set_ylabel(f"average {chart.name}")
    ticks = time_ticks(chart.curve, 12)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.yaxis.set_major_formatter("{x:,g}")
    if chart.curve.metric is Metric.POWER:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png")


def nice_levels(lowest: float, highest: float, wanted: int) -> list[float]:
    """About `wanted` round numbers (1, 2 or 5 times a power of ten apart) around all values."""
    spread = (highest - lowest) or abs(highest) or 1.0
    rough = spread / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    first, last = math.floor(lowest / step), math.ceil(highest / step)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def time_ticks(curve: Curve, wanted: int) -> dict[int, str]:
    """At most about `wanted` round moments within the curve (Unix seconds), and what is written at them."""
    first, last = curve.points[0].start, curve.points[-1].end
    step = next((each for each in _TICKS if (last - first) / each.about <= wanted), _TICKS[-1])
    days = step.seconds // DAY
    edges = periods.edges(first, last, Bucket(DAY) if days else step, curve.zone)
    found = [each for each in edges if first <= each <= last][:: days or 1] or [first]
    years = {periods.local(each, curve.zone).year for each in (first, last - 1)}
    ticks, year = {}, years.pop() if len(years) == 1 else None
    for each in found:
        moment = periods.local(each, curve.zone)
        midnight = (moment.hour, moment.minute) == (0, 0)
        if step.months % 12 == 0 and step.months:
            text = f"{moment:%Y}"
        else:
            text = (
                f"{moment:%b}"
                if step.months
                else f"{moment:%-d %b}"
                if midnight
                else f"{moment:%H:%M}"
            )
            if moment.year != year and (midnight or step.months):
                text, year = f"{text} {moment:%Y}", moment.year
        ticks[each] = text
    return ticks
