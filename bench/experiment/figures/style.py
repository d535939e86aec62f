"""How every figure looks: colours, lines, hatches, fonts, and files that are the same for the same data.

Colours are Okabe and Ito's, which people with any colour vision can tell apart; hatches, lines and markers repeat what
they say, for print in grey. A system has its look for ever, and whatever is simulated is hatched and dashed.
Figures are as wide as a phone can show with text of about 10 px; a page may show them larger.

Text in SVG is drawn as outlines: a reader's own fonts would make it wider than its place.
"""

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.typing import RcKeyType

from bench.experiment.record import System

WIDTH: Final = 5.4
"""Inches."""
SMALL: Final = 8.5
SPREAD: Final = 30.0
"""More than so many times between the smallest and the largest makes an axis logarithmic."""
_SETTINGS: Final[dict[RcKeyType, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "hatch.linewidth": 0.7,
    "svg.fonttype": "path",
    "axes.axisbelow": True,
}
_DASHES: Final = ("-", "--", "-.", ":")
_HATCHES: Final = ("", "//", "xx", "\\\\", "||", "////", "\\\\\\\\", "||||")
"""Lines only, none of them level: a hatch of dots is 70 kB of SVG, and a level line looks like a median."""
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True, slots=True)
class Look:
    """Of one series."""

    colour: str
    dash: str
    hatch: str
    marker: str


BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
ORANGE: Final = "#E69F00"
YELLOW: Final = "#F0E442"
GREY: Final = "#666666"
PALETTE: Final = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, GREY, YELLOW)

_FORKED: Final = {"standby": BLUE, "trivial": VERMILION, "on-demand": GREEN}
_SPAWNED: Final = {"standby": SKY, "trivial": ORANGE, "on-demand": PURPLE}


def of_system(system: System | None) -> Look:
    """The same in every figure of every result."""
    if system is None:
        return Look(GREY, "-", "", "o")
    forked, spawned = (known.get(system.approach, GREY) for known in (_FORKED, _SPAWNED))
    hatch = {"trivial": "//", "on-demand": "\\\\"}.get(system.approach, "")
    marker = {"standby": "o", "trivial": "s", "on-demand": "^"}.get(system.approach, "D")
    plain = Look(forked, "-" if system.approach != "trivial" else "--", hatch, marker)
    match system.launcher:
        case "fork":
            return plain
        case "spawn":
            return replace(plain, colour=spawned, dash="-.")
        case "simulated-enclave":
            return replace(plain, colour=spawned, dash=":", hatch="xxx", marker="X")
        case _:
            return replace(plain, colour=GREY, dash=":", hatch="|||", marker="P")


def of_launcher(name: str) -> Look:
    """Where launchers are compared alone; as of the approach that meets them with a user waiting."""
    return of_system(System(approach="on-demand", launcher=name))


def numbered(number: int) -> Look:
    """For values of any other level; different for at least 32 of them."""
    colour = PALETTE[number % len(PALETTE)]
    again = number // len(PALETTE)
    return Look(
        colour,
        _DASHES[(number + again) % len(_DASHES)],
        _HATCHES[(number + again) % len(_HATCHES)],
        _MARKERS[(number + again) % len(_MARKERS)],
    )


@contextmanager
def canvas(height: float) -> Iterator[Figure]:
    """An empty figure; everything drawn within has the project's fonts."""
    with mpl.rc_context(_SETTINGS):
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def svg(figure: Figure, name: str) -> bytes:
    """The same bytes for the same figure; ids differ between names."""
    file = io.BytesIO()
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        FigureCanvasSVG(figure)
        figure.savefig(file, format="svg", dpi=200, metadata={"Date": None})
    return file.getvalue()


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(_SETTINGS):
        FigureCanvasAgg(figure)
        figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
    return file.getvalue()


def sample(look: Look, label: str, *, filled: bool) -> Patch | Line2D:
    """What stands for a series in the legend."""
    if filled:
        return Patch(
            facecolor=look.colour, edgecolor="black", hatch=look.hatch, label=label, lw=0.7
        )
    return Line2D(
        [], [], color=look.colour, ls=look.dash, marker=look.marker, ms=5, lw=1.6, label=label
    )


def legend(figure: Figure, samples: list[Patch | Line2D]) -> None:
    """Above the axes, in as many columns as fit."""
    longest = max(len(str(each.get_label())) for each in samples)
    columns = max(1, min(len(samples), int(WIDTH * 13 / (longest + 7))))
    figure.legend(
        handles=samples,
        loc="outside upper center",
        ncols=columns,
        frameon=False,
        handlelength=2.6,
        columnspacing=1.4,
    )


def note(figure: Figure, text: str) -> None:
    """Small, below the axes, on as many lines as it takes."""
    lines = textwrap.fill(text, int(WIDTH * 16))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=SMALL, color="#333333", style="italic")


def plain(axes: Axes) -> None:
    axes.grid(visible=True, axis="y", alpha=0.35, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def scale(axes: Axes, lowest: float, highest: float) -> None:
    """Up the axis: from 0, or logarithmic when that would hide the small values; numbers as people write them."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    if lowest > 0 and highest / lowest > SPREAD:
        axes.set_yscale("log")
        steps = (1.0,) if highest / lowest > 2000 else (1.0, 2.0, 5.0)  # noqa: PLR2004  # crowded
        axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
        axes.set_ylim(bottom=0, top=highest * 1.06 if highest > 0 else 1)
