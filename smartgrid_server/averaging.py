"""Averages over a period, and over the buckets in it, made of sums by the hour and of single readings."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smartgrid_server import hours
from smartgrid_server.errors import TooManyBucketsError
from smartgrid_server.messages import Averages, Bucket, Metric


@dataclass(frozen=True, slots=True)
class Period:
    """`start` <= timestamp < `end`, in Unix seconds."""

    start: int
    end: int
    bucket: int | None = None
    """Seconds; None: no buckets of equal length."""
    edges: tuple[int, ...] = ()
    """Rising, from `start` to `end`: buckets from each one to the next. Empty: no such buckets."""


def averages(connection: Any, metric: Metric, period: Period, most: int) -> Averages:  # noqa: ANN401  # the database package has no types
    """Count and average over the period, and per bucket if asked for.

    Raises:
        TooManyBucketsError: more than `most` hold readings.
    """
    parts = list(hours.parts(connection, metric, period.start, period.end))
    buckets = _buckets(connection, metric, period, parts, most)
    count, average = _average(parts)
    first, last = _extent(connection, period)
    return Averages(
        metric=metric, count=count, average=average, buckets=buckets, first=first, last=last
    )


def _extent(connection: Any, period: Period) -> tuple[int | None, int | None]:  # noqa: ANN401  # as above
    """The first and the last time that has readings."""
    within = "FROM metrics WHERE timestamp >= ? AND timestamp < ?"
    bounds = (period.start, period.end)
    (first,) = connection.execute(f"SELECT min(timestamp) {within}", bounds).fetchone()  # no input
    (last,) = connection.execute(f"SELECT max(timestamp) {within}", bounds).fetchone()  # no input
    return first, last


def _buckets(
    connection: Any,  # noqa: ANN401  # as above
    metric: Metric,
    period: Period,
    parts: Sequence[hours.Part],
    most: int,
) -> list[Bucket]:
    if period.edges:
        found = _between(connection, metric, period.edges)
    elif period.bucket is None:
        return []
    elif period.bucket % hours.HOUR == 0:
        found = _grouped(parts, period.bucket)
    else:
        found = _scanned(connection, metric, period, most)
    if len(found) > most:
        raise TooManyBucketsError(
            f"more than {most} buckets hold readings; ask for longer buckets or a shorter period"
        )
    return found


def _between(connection: Any, metric: Metric, edges: Sequence[int]) -> list[Bucket]:  # noqa: ANN401  # as above
    """Buckets from each edge to the next that hold readings."""
    found = []
    for start, end in itertools.pairwise(edges):
        count, average = _average(list(hours.parts(connection, metric, start, end)))
        if average is not None:
            found.append(Bucket(start=start, count=count, average=average))
    return found


def _scanned(connection: Any, metric: Metric, period: Period, most: int) -> list[Bucket]:  # noqa: ANN401  # as above
    """Buckets that hours do not fit into; one more than `most` at most."""
    found = connection.execute(
        f"SELECT timestamp / :bucket * :bucket AS first, count(*), avg({metric}) FROM metrics "  # noqa: S608  # an enum's value
        f"WHERE timestamp >= :start AND timestamp < :end AND {metric} IS NOT NULL "
        "GROUP BY first ORDER BY first LIMIT :most",
        {"bucket": period.bucket, "start": period.start, "end": period.end, "most": most + 1},
    ).fetchall()
    return [Bucket(start=start, count=count, average=average) for start, count, average in found]


def _grouped(parts: Sequence[hours.Part], length: int) -> list[Bucket]:
    """Buckets of `length` seconds that hold readings."""
    found = []
    for start, inside in itertools.groupby(parts, lambda part: part[0] // length * length):
        count, average = _average(list(inside))
        if average is not None:
            found.append(Bucket(start=start, count=count, average=average))
    return found


def _average(parts: Sequence[hours.Part]) -> tuple[int, float | None]:
    """How many readings, and their average."""
    count = sum(count for _, count, _ in parts)
    total = math.fsum(number for _, _, numbers in parts for number in numbers)
    return count, total / count if count else None
