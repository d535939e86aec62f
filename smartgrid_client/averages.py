"""The averages that the platform should answer, computed from the readings themselves, without the platform.

The same meaning as QUERY_AVG: a half-open period, buckets that start at multiples of their length since the Unix
epoch, and only those that hold a reading.
"""

import math
from collections import defaultdict
from collections.abc import Iterable

from smartgrid_client.messages import Averages, BucketAverage, Metric
from smartgrid_client.readings import Reading


def averages(
    readings: Iterable[Reading],
    metric: Metric,
    start: int | None = None,
    end: int | None = None,
    bucket: int | None = None,
) -> Averages:
    """What QUERY_AVG answers if the platform holds exactly these readings.

    `start` and `end` are Unix seconds, the end not included; `bucket` is seconds. Sums are exact (`math.fsum`), so
    compare with `math.isclose`: SQLite rounds after each addition.
    """
    groups: defaultdict[int, list[float]] = defaultdict(list)
    for reading in readings:
        value: float | None = getattr(reading, metric.value)
        if value is not None and _within(reading.timestamp, start, end):
            key = reading.timestamp // bucket * bucket if bucket else 0
            groups[key].append(value)
    everything = [value for group in groups.values() for value in group]
    return Averages(
        metric=metric,
        count=len(everything),
        average=_mean(everything),
        buckets=[
            BucketAverage(key, len(group), _mean(group)) for key, group in sorted(groups.items())
        ]
        if bucket
        else [],
    )


def _within(timestamp: int, start: int | None, end: int | None) -> bool:
    return (start is None or timestamp >= start) and (end is None or timestamp < end)


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
