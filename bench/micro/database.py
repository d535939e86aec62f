"""LONG_WRITE against the bare INSERTs it is made of, and QUERY_AVG against reading every row.

LONG_WRITE is what the client sees on an open connection: JSON, HTTP, TLS, the batch's id, the sums by the hour, the
commit. Its rival writes the same rows into a table of the same columns with `executemany`, in one transaction, with the
same key, journal and durability, and nothing else.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from bench.micro.stage import Scale, Stage, in_turns, milliseconds_since, staged
from bench.spread import Spread, ratio, spread
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.readings import Reading
from smartgrid_server import cipher, database
from smartgrid_server.averaging import Period
from smartgrid_server.database import Database
from smartgrid_server.messages import Metric
from standby.identity import Role
from standby.secret import Secret

_ROWS: Final = 2880
"""Twelve hours of 15-second readings."""
_STEP: Final = 15
_FIRST: Final = 1_600_000_000
_INSERT: Final = "INSERT INTO metrics (timestamp, power, impedance, tension) VALUES (?, ?, ?, ?)"
_SCAN: Final = "SELECT count(*), avg(power) FROM metrics WHERE timestamp >= ? AND timestamp < ?"


class QueryAvg(Struct, frozen=True, kw_only=True):
    ms: Spread
    scan_ms: Spread
    times_faster: float
    """Median of the scan ÷ median of QUERY_AVG, both inside the server."""
    max_relative_error: float
    rows: int


class Writes(Struct, frozen=True, kw_only=True):
    long_write_ms: Spread
    bare_ms: Spread
    long_write_ratio: float
    query_avg: QueryAvg


def measure(scale: Scale) -> Writes:
    with staged(["--pool-size", "1"], ["anna"]) as stage:
        taken = asyncio.run(_writes(stage, scale.rounds))
    long_write, bare = spread(taken["long_write"]), spread(taken["bare"])
    return Writes(
        long_write_ms=long_write,
        bare_ms=bare,
        long_write_ratio=ratio(long_write.p50, bare.p50),
        query_avg=_queries(scale),
    )


async def _writes(stage: Stage, rounds: int) -> dict[str, list[float]]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=stage.layout.root) as scratch,
        _connection(Path(scratch) / "bare.db") as connection,
    ):
        async with stage.client("anna", Role.METER) as client:
            await client.login(stage.access("anna", Role.METER).key())
            numbers = iter(range(1_000_000))
            taken = await in_turns(
                {
                    "long_write": partial(_long_write, client, numbers),
                    "bare": partial(_bare, connection, numbers),
                },
                rounds,
            )
            await client.logout()
    return taken


def _readings(number: int) -> tuple[Reading, ...]:
    first = _FIRST + number * _ROWS * _STEP
    return tuple(Reading(first + n * _STEP, 230.0 + n % 7, 0.5, 231.0) for n in range(_ROWS))


async def _long_write(client: SmartGridClient, numbers: Iterator[int]) -> float:
    batch = Batch(_readings(next(numbers)))
    began = time.perf_counter()
    await client.long_write(batch)
    return milliseconds_since(began)


async def _bare(connection: Any, numbers: Iterator[int]) -> float:  # noqa: ANN401  # the package has no types
    rows = _readings(next(numbers))
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_INSERT, rows)
    connection.execute("COMMIT")
    return milliseconds_since(began)


@contextlib.contextmanager
def _connection(file: Path) -> Iterator[Any]:
    key = Secret(os.urandom(32))
    database.create(file, key)
    with contextlib.closing(cipher.connect(file, key)) as connection:
        yield connection


def _queries(scale: Scale) -> QueryAvg:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        file, key = Path(scratch) / "rows.db", Secret(os.urandom(32))
        database.create(file, key)
        rows = (
            (_FIRST + n * _STEP, 200.0 + n * 7919 % 1000 / 7, 0.5, 231.0) for n in range(scale.rows)
        )
        database.import_rows(file, key, rows)
        with contextlib.closing(cipher.connect(file, key)) as connection:
            fast, slow, error = _compared(connection, scale)
    return QueryAvg(
        ms=fast,
        scan_ms=slow,
        times_faster=ratio(slow.p50, fast.p50),
        max_relative_error=error,
        rows=scale.rows,
    )


def _compared(connection: Any, scale: Scale) -> tuple[Spread, Spread, float]:  # noqa: ANN401  # as above
    """Periods of every length and alignment: QUERY_AVG's time, the scan's, and the largest difference."""
    opened = Database(connection)
    fast, slow, error = [], [], 0.0
    length = scale.rows * _STEP
    for number in range(max(10, scale.rounds)):
        start = _FIRST + number * 7919 % (length // 10)
        period = Period(start, _FIRST + length - number * 104_729 % (length // 10))
        began = time.perf_counter()
        found = opened.averages(Metric.POWER, period, 1)
        fast.append(milliseconds_since(began))
        began = time.perf_counter()
        count, average = connection.execute(_SCAN, (period.start, period.end)).fetchone()
        slow.append(milliseconds_since(began))
        if found.count != count or found.average is None:
            raise RuntimeError(f"{found.count} readings found, {count} are there")
        error = max(error, abs(found.average - average) / abs(average))
    return spread(fast), spread(slow), error
