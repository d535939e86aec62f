"""Pool and memory against the active user ratio, as SVG to put into a page.

Each drawing is narrow, so that its text is still readable when a phone shrinks it; a wide screen shows two beside each
other. Colours are the page's: matplotlib writes them as hexadecimal numbers, which are then replaced by the names of
the page's custom properties, so one drawing serves light, dark and print. Text stays text.
"""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from bench.capacity.model import Footprint, Point
from bench.capacity.words import GIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK: Final = "#0a0b01"
_LINE: Final = "#0a0b02"
_STANDBY: Final = "#0a0b03"
_TRIVIAL: Final = "#0a0b04"
_COLOURS: Final = {
    _INK: "var(--ink)",
    _LINE: "var(--line)",
    _STANDBY: "var(--standby)",
    _TRIVIAL: "var(--trivial)",
}
"""Colours that nothing else has, by what takes their place."""
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def servers(points: Sequence[Point], asked: Point) -> Markup:
    """How many server processes, with a mark at the ratio that was asked for."""
    return _draw("pool", "server processes", points, asked, lambda each: float(each.servers))


def memory(points: Sequence[Point], asked: Point) -> Markup:
    """How much memory when every server is in a session."""
    most = max(footprint.most for each in points for footprint in (each.standby, each.trivial))
    unit, size = ("GiB", GIB) if most >= GIB else ("MiB", 1)
    return _draw("memory", f"memory at most ({unit})", points, asked, lambda each: each.most / size)


def _draw(
    name: str,
    label: str,
    points: Sequence[Point],
    asked: Point,
    value: Callable[[Footprint], float],
) -> Markup:
    import matplotlib as mpl  # noqa: PLC0415  # loads for most of a second, and only a page needs it
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    settings = mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "standby",  # the same drawing has the same names inside
            "font.size": 10,
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "grid.color": _LINE,
        }
    )
    with settings:
        figure = Figure(figsize=(4.3, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _lines(axes, points, asked, value)
        axes.set_ylabel(label)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata=_NO_METADATA)
    return _embedded(drawn.getvalue(), name, f"{label} against active user ratio")


def _lines(
    axes: "Axes", points: Sequence[Point], asked: Point, value: Callable[[Footprint], float]
) -> None:
    from matplotlib.ticker import LogFormatter  # noqa: PLC0415  # as in _draw

    ratios = [100 * each.active_ratio for each in points]
    standby = [value(each.standby) for each in points]
    trivial = [value(each.trivial) for each in points]
    axes.plot(ratios, trivial, color=_TRIVIAL, linestyle="--", linewidth=1.8, label="trivial")
    axes.plot(ratios, standby, color=_STANDBY, linewidth=1.8, label="standby")
    axes.plot(
        [100 * asked.active_ratio],
        [value(asked.standby)],
        color=_STANDBY,
        marker="o",
        linestyle="none",
        label="this demand",
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.10g}")
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
    axes.set_xlabel("active user ratio (%)")
    axes.grid(visible=True, which="major")
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)


def _embedded(drawn: str, name: str, label: str) -> Markup:
    """The element alone, with names that no other drawing in the page has."""
    element = drawn[drawn.index("<svg") :]
    for colour, custom in _COLOURS.items():
        element = element.replace(colour, custom)
    for before in ('id="', 'href="#', "url(#"):
        element = element.replace(before, f"{before}{name}-")
    opening = Markup('<svg role="img" aria-label="{}"').format(label)
    return opening + Markup(element.removeprefix("<svg"))  # noqa: S704  # matplotlib's, of our numbers
