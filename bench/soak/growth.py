"""Whether a figure grows: the Theil-Sen slope of its window medians after the warm-up, and its lower bound. Pure.

The judged time is cut into up to `WINDOWS` equal windows, each of `READINGS` readings at least. Of each the median is
taken (of a counter: its increase per minute), so one odd reading changes nothing. The slope is the median of the slopes
of all pairs of windows (Theil 1950, Sen 1968), which a few odd windows do not change either. A figure grows if its
increase over the judged time is more than its allowance (`figures`) even by the lower end of the slope's confidence
interval (Sen 1968: by the variance of Kendall's statistic). So noise is not called growth, and a growth that is smaller
than the allowance is not found.

Rejected: least squares, which one burst tilts; the difference between last and first value, which is noise.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import combinations
from statistics import median
from typing import Final

from msgspec import Struct

from bench.soak.figures import Kind

WINDOWS: Final = 24
READINGS: Final = 3
"""Of a window, on average."""
FEWEST: Final = 12
"""Windows with readings; fewer say nothing."""
WARM_UP: Final = 0.25
"""Of the run's time is not judged: pools fill, code is loaded, caches are cold."""
LONGEST_WARM_UP: Final = 900.0
"""Seconds."""
_Z: Final = 2.326
"""Of the normal distribution: one figure in a hundred that only wavers lies beyond it."""
_HOUR: Final = 3600.0
Reading = tuple[float, float]
"""Seconds since the run began, and the value then."""


class Verdict(StrEnum):
    STEADY = "steady"
    GROWS = "grows"
    TOO_FEW = "too few readings"


class Trend(Struct, frozen=True, kw_only=True):
    """Of one figure over the judged time, in the figure's unit."""

    first: float | None
    """Of the line through all windows, at the beginning; None with too few readings, as the next ones."""
    last: float | None
    slope_per_hour: float | None
    surely_per_hour: float | None
    """The lower end of the confidence interval."""
    allowance: float | None
    """For the whole judged time."""
    readings: int
    verdict: Verdict


def warm_up(seconds: float) -> float:
    """How much of a run of so many seconds is not judged."""
    return min(WARM_UP * seconds, LONGEST_WARM_UP)


def judge(readings: Sequence[Reading], begin: float, end: float, kind: Kind) -> Trend:
    """The trend of a figure between two moments of the run."""
    judged = [each for each in readings if begin <= each[0] <= end]
    points = windows(judged, begin, end, counter=kind.counter)
    if len(points) < FEWEST:
        return Trend(
            first=None,
            last=None,
            slope_per_hour=None,
            surely_per_hour=None,
            allowance=None,
            readings=len(judged),
            verdict=Verdict.TOO_FEW,
        )
    slope, surely = theil_sen(points)
    level = median(value - slope * at for at, value in points)
    first = level + slope * begin
    allowance = kind.allowance(max(0.0, first))
    grows = surely * (end - begin) > allowance
    return Trend(
        first=first,
        last=level + slope * end,
        slope_per_hour=slope * _HOUR,
        surely_per_hour=surely * _HOUR,
        allowance=allowance,
        readings=len(judged),
        verdict=Verdict.GROWS if grows else Verdict.STEADY,
    )


def windows(
    readings: Sequence[Reading], begin: float, end: float, *, counter: bool
) -> list[Reading]:
    """One point for each window that has readings: its middle in time, and its median or increase per minute."""
    count = max(1, min(WINDOWS, len(readings) // READINGS))
    length = (end - begin) / count
    found: dict[int, list[Reading]] = {}
    for reading in readings:
        found.setdefault(min(int((reading[0] - begin) / length), count - 1), []).append(reading)
    points = []
    for number, inside in sorted(found.items()):
        value = _rate(inside) if counter else median(value for _, value in inside)
        if value is not None:
            points.append((begin + (number + 0.5) * length, value))
    return points


def theil_sen(points: Sequence[Reading]) -> tuple[float, float]:
    """The slope per second, and the lower end of its confidence interval; of three points or more."""
    slopes = sorted((b - a) / (later - at) for (at, a), (later, b) in combinations(points, 2))
    count = len(points)
    spread = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    rank = math.floor((len(slopes) - spread) / 2)
    return median(slopes), slopes[max(0, rank)]


def _rate(inside: Sequence[Reading]) -> float | None:
    """Per minute, from first to last reading; None of a single one."""
    (first, before), (last, after) = inside[0], inside[-1]
    return (after - before) / (last - first) * 60 if last > first else None
