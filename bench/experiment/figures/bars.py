"""Memory of the servers by users active, like the dissertation's figure 5.14."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.experiment import labels
from bench.experiment.figures import style
from bench.experiment.figures.parts import Part, Series, value
from bench.experiment.record import Cell, Level, System
from bench.experiment.results import Results

HEIGHT: Final = 3.6
FILLED: Final = True
HOW: Final = (
    "Memory of all server processes while all are active: a page that several share counts once, and what simulated"
    " enclaves hold counts too. Above standby's bars: the difference to trivial with a process started for each user."
)
_ALONG: Final = ("active", "servers", "state", "clients")
_WIDEST: Final = 0.3
_PLAIN: Final = "spawn"
_FLAT: Final = 9
"""So many bars leave room for words as wide as a bar."""
_GIB: Final = 1024.0


def paint(figure: Figure, _results: Results, part: Part) -> list[Series]:
    """Draw what has values; returns those series."""
    drawn = [series for series in part.series if any(_held(cell) for cell in series.cells)]
    if not drawn:
        return []
    cells = [cell for series in drawn for cell in series.cells if _held(cell)]
    along = next((name for name in _ALONG if any(name in cell.levels for cell in cells)), "")
    places = list(dict.fromkeys(value(cell, along) for cell in cells))
    highest = max(_held(cell) for cell in cells)
    unit = _GIB if highest >= 2 * _GIB else 1.0
    axes = figure.add_subplot()
    width = min(0.84 / len(drawn), _WIDEST)
    for group, place in enumerate(places):
        there = [series for series in drawn if _memory(series, along, place)]
        for number, series in enumerate(there):
            shift = (number - (len(there) - 1) / 2) * width
            _bar(axes, series, (along, place), (group + shift, width, unit))
            saved = saving(series, there, along, place)
            if saved is not None:
                upright = len(drawn) * len(places) > _FLAT
                height = (_memory(series, along, place) or 0.0) / unit
                _name(axes, saved, (group + shift, height), upright=upright)
    _finish(axes, [_tick(cells, along, place) for place in places], highest / unit, unit)
    return drawn


def saving(
    series: Series, others: Sequence[Series], along: str, place: Level | None
) -> float | None:
    """How much less than trivial a standby series holds, as a share; None where there is nothing to compare.

    Simulated enclaves are compared with simulated enclaves only; others with plain processes, one started for each
    user, where those were measured: that is what somebody without this platform would run.
    """
    own = _only(series)
    if own is None or own.approach != "standby":
        return None
    rivals = [
        (rival, other)
        for other in others
        if (rival := _only(other))
        and rival.approach == "trivial"
        and rival.simulated == own.simulated
    ]
    rivals.sort(key=lambda pair: pair[0].launcher != _PLAIN)
    mine = _memory(series, along, place)
    for _, other in rivals:
        theirs = _memory(other, along, place)
        if mine and theirs:
            return 1 - mine / theirs
    return None


def _only(series: Series) -> System | None:
    systems = {cell.system.name: cell.system for cell in series.cells if cell.system}
    return next(iter(systems.values())) if len(systems) == 1 else None


def _held(cell: Cell) -> float:
    group = cell.groups.get("servers")
    return group.memory if group else 0.0


def _memory(series: Series, along: str, place: Level | None) -> float | None:
    """The median of the cells that are there."""
    found = [_held(cell) for cell in series.cells if value(cell, along) == place and _held(cell)]
    return median(found) if found else None


def _bar(
    axes: Axes,
    series: Series,
    where: tuple[str, Level | None],
    box: tuple[float, float, float],
) -> None:
    place, width, unit = box
    memory = _memory(series, *where)
    if memory is None:
        return
    look = series.look
    axes.bar(
        place,
        memory / unit,
        width * 0.88,
        color=look.colour,
        hatch=look.hatch,
        edgecolor="black",
        lw=0.7,
        zorder=3,
    )


def _name(axes: Axes, saved: float, place: tuple[float, float], *, upright: bool) -> None:
    axes.annotate(
        f"{-saved * 100:+.1f} %".replace("-", "\N{MINUS SIGN}"),
        place,
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        rotation=90 if upright else 0,
        zorder=4,
    )


def _tick(cells: Sequence[Cell], along: str, place: Level | None) -> str:
    chosen = next(cell for cell in cells if value(cell, along) == place)
    text = labels.one(chosen, along) if along else ""
    return text.replace(" users active", "\nusers active")


def _finish(axes: Axes, ticks: Sequence[str], highest: float, unit: float) -> None:
    style.plain(axes)
    style.scale(axes, 0.0, highest * 1.1)
    axes.set_ylabel(f"memory of the servers ({'GiB' if unit > 1 else 'MiB'})")
    axes.set_xticks(range(len(ticks)), ticks)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.55, len(ticks) - 0.45)
