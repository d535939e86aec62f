"""Readings summed by the hour, so that an average over any period reads hours and not readings.

A row of `hours` has, for each metric, how many readings one hour has (aligned to the Unix epoch) and their sum in two
numbers: the nearest one and what it lacks. Sums are made with `math.fsum`, which rounds once, so an average made of
hours is the one made of the readings themselves, however often an hour was added to, in whatever order, late or twice.
An hour of which a reading has changed is summed anew.

The table is kept in the transaction that stores the readings; it is never the only place of anything.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from smartgrid_server.messages import Metric, Row

HOUR: Final = 3600
"""Seconds. An average reads at most two hours of single readings, and a year of hours in a few milliseconds."""
SCHEMA: Final = """CREATE TABLE hours (start INTEGER PRIMARY KEY,
       power_count INTEGER NOT NULL, power REAL NOT NULL, power_rest REAL NOT NULL,
       impedance_count INTEGER NOT NULL, impedance REAL NOT NULL, impedance_rest REAL NOT NULL,
       tension_count INTEGER NOT NULL, tension REAL NOT NULL, tension_rest REAL NOT NULL) WITHOUT ROWID"""
_EACH: Final = 3
"""Columns of one metric."""
_EMPTY: Final = (0, 0.0, 0.0) * len(Metric)
_SELECT: Final = "SELECT * FROM hours WHERE start = ?"
_REPLACE: Final = "INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_READINGS: Final = "SELECT timestamp, power, impedance, tension FROM metrics"
Part = tuple[int, int, tuple[float, ...]]
"""First second of a stretch of readings, how many, and numbers whose sum is theirs."""


def add(connection: Any, rows: Sequence[Row]) -> None:  # noqa: ANN401  # the database package has no types
    """Add rows that are being stored in the same transaction; fast when they are in order of time."""
    for start, group in itertools.groupby(rows, lambda row: row[0] // HOUR * HOUR):
        _, *columns = zip(*group, strict=True)
        known = connection.execute(_SELECT, (start,)).fetchone() or (start, *_EMPTY)
        sums: list[float] = []
        for number, column in enumerate(columns):
            count, *sum_of_known = known[1 + _EACH * number : 1 + _EACH * (number + 1)]
            values = [value for value in column if value is not None]
            sums += count + len(values), *_exact((*sum_of_known, *values))
        connection.execute(_REPLACE, (start, *sums))


def refresh(connection: Any, starts: Iterable[int]) -> None:  # noqa: ANN401  # as above
    """Sum these hours anew from the readings that are there."""
    for start in starts:
        connection.execute("DELETE FROM hours WHERE start = ?", (start,))
        add(
            connection,
            connection.execute(
                f"{_READINGS} WHERE timestamp >= ? AND timestamp < ?", (start, start + HOUR)
            ).fetchall(),
        )


def rebuild(connection: Any) -> None:  # noqa: ANN401  # as above
    """Make the table of the readings that are there."""
    connection.execute("DROP TABLE IF EXISTS hours")
    connection.execute(SCHEMA)
    readings = connection.execute(_READINGS)
    while rows := readings.fetchmany(10_000):
        add(connection, rows)


def parts(connection: Any, metric: Metric, start: int, end: int) -> Iterator[Part]:  # noqa: ANN401  # as above
    """The readings with `start` <= timestamp < `end`, in order: whole hours, and single readings at both ends."""
    first, last = -(-start // HOUR) * HOUR, end // HOUR * HOUR
    if first >= last:
        yield from _readings(connection, metric, start, end)
        return
    yield from _readings(connection, metric, start, first)
    hours = connection.execute(
        f"SELECT start, {metric}_count, {metric}, {metric}_rest FROM hours "  # noqa: S608  # an enum's value
        f"WHERE start >= ? AND start < ? AND {metric}_count > 0 ORDER BY start",
        (first, last),
    )
    for hour, count, total, rest in hours.fetchall():
        yield hour, count, (total, rest)
    yield from _readings(connection, metric, last, end)


def _readings(connection: Any, metric: Metric, start: int, end: int) -> Iterator[Part]:  # noqa: ANN401  # as above
    if start >= end:
        return
    found = connection.execute(
        f"SELECT timestamp, {metric} FROM metrics WHERE timestamp >= ? AND timestamp < ? "  # noqa: S608  # as above
        f"AND {metric} IS NOT NULL ORDER BY timestamp",
        (start, end),
    )
    for timestamp, value in found.fetchall():
        yield timestamp, 1, (value,)


def _exact(numbers: Sequence[float]) -> tuple[float, float]:
    """Their sum as the nearest number and the rest."""
    nearest = math.fsum(numbers)
    return nearest, math.fsum((*numbers, -nearest))
