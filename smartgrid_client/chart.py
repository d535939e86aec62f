"""The averages of a period as a chart: in the terminal for a glance, as a PNG for a report.

Both show the same: one point per bucket in its middle, joined only where buckets follow each other, so a gap in the
readings is a gap in the line and not a straight guess across it. Times are UTC, and the axes say so.

The drawing libraries take most of a second to load, so they are loaded only when a chart is drawn.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smartgrid_client.messages import Averages, BucketAverage, Metric

HOUR: Final = 3600
DAY: Final = 86_400
BUCKETS: Final = (60, 300, 900, HOUR, 6 * HOUR, DAY, 7 * DAY)
"""Lengths that people think in, in seconds."""
WANTED: Final = 200
"""Points of a chart at most, when the bucket is ours to choose: about one per two columns of a wide terminal."""
_TICKS: Final = tuple(HOUR * hours for hours in (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 2160))
_COLOUR: Final = "#1f6f8b"


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn, without how."""

    averages: Averages
    bucket: int
    """Seconds."""
    uid: str

    @property
    def unit(self) -> str:
        return self.averages.metric.unit

    @property
    def name(self) -> str:
        """What the numbers are, as on the axis."""
        return f"{self.averages.metric} ({self.unit})"

    @property
    def title(self) -> str:
        buckets = self.averages.buckets
        first, last = _utc(buckets[0].start), _utc(buckets[-1].start + self.bucket - 1)
        period = f"{first:%-d %b %Y}"
        if last.date() != first.date():
            period += f" to {last:%-d %b %Y}"
        return f"Average {self.averages.metric} per {length(self.bucket)}, {self.uid}, {period}"

    def runs(self) -> Iterator[Sequence[BucketAverage]]:
        """Buckets in order of time, split where one is missing."""
        run: list[BucketAverage] = []
        for each in self.averages.buckets:
            if run and each.start != run[-1].start + self.bucket:
                yield run
                run = []
            run.append(each)
        if run:
            yield run


def choose_bucket(start: int | None, end: int | None) -> int:
    """A length that shows the period in at most `WANTED` points; an hour when the period is open."""
    if start is None or end is None:
        return HOUR
    return next((each for each in BUCKETS if (end - start) / each <= WANTED), BUCKETS[-1])


def length(seconds: int) -> str:
    """The bucket in words: `hour`, `15 minutes`."""
    for size, name in ((DAY, "day"), (HOUR, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            count = seconds // size
            return name if count == 1 else f"{count} {name}s"
    raise ValueError("a length is a whole number of seconds")


def terminal(chart: Chart, width: int, height: int) -> str:
    """The chart as text of at most `width` columns and `height` rows; needs at least one bucket.

    In the terminal's own colours: a chosen background is ugly on half of all terminals.
    """
    import plotext  # noqa: PLC0415  # see the module's docstring

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, height)
    for run in chart.runs():
        middles = [each.start + chart.bucket / 2 for each in run]
        signal = figure.signal(middles, [each.average or 0.0 for each in run], marker="hd")
        figure.draw(signal.lines())
    figure.title(chart.title)
    figure.label(f"{chart.name} against time (UTC)", "x")
    values = [each.average or 0.0 for each in chart.averages.buckets]
    levels = nice_levels(min(values), max(values), height // 4)
    figure.ruler("y").lim(levels[0], levels[-1])
    figure.ruler("y").ticks(levels, [f"{level:,g}" for level in levels])
    moments = time_ticks(chart, max(2, width // 14))
    figure.ruler("x").ticks(moments, [_moment(each) for each in moments])
    return str(figure.build().string(colorless=True))


def png(chart: Chart, path: Path) -> None:
    """Write the chart as a PNG of 1500 x 750 pixels; needs at least one bucket.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # see above
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    size = 3.0 if len(chart.averages.buckets) <= WANTED else 1.2
    for run in chart.runs():
        middles = [each.start + chart.bucket / 2 for each in run]
        values = [each.average or 0.0 for each in run]
        axes.plot(middles, values, color=_COLOUR, linewidth=1.2, marker="o", markersize=size)
    axes.set_title(chart.title)
    axes.set_xlabel("time (UTC)")
    axes.set_ylabel(f"average {chart.name}")
    moments = time_ticks(chart, 12)
    axes.set_xticks(moments, [_moment(each) for each in moments])
    axes.yaxis.set_major_formatter("{x:,g}")
    if chart.averages.metric is Metric.POWER:
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


def time_ticks(chart: Chart, wanted: int) -> list[int]:
    """At most about `wanted` round moments within the chart, in Unix seconds."""
    first = chart.averages.buckets[0].start
    last = chart.averages.buckets[-1].start + chart.bucket
    step = next((each for each in _TICKS if (last - first) / each <= wanted), _TICKS[-1])
    return list(range(-(-first // step) * step, last + 1, step)) or [first]


def _moment(timestamp: int) -> str:
    return f"{_utc(timestamp):%-d %b}" if timestamp % DAY == 0 else f"{_utc(timestamp):%H:%M}"


def _utc(timestamp: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC)
