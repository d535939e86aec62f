"""Filling a new database from what a user already has: readings as CSV, or a plain SQLite database.

A CSV file is in one of the two formats that `smartgrid-client` reads. A SQLite file has the dissertation's tables
(`metrics`, and optionally `alarms`); their row ids are not kept. A row whose values are missing (NULL) is skipped and
counted, as a line without values in a CSV file is; one that holds anything but numbers is an error that names it.
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from smartgrid_client import readings
from smartgrid_client.messages import Metric
from smartgrid_client.readings import Skipped, Skips
from smartgrid_server import database
from smartgrid_server.errors import StorageFullError
from smartgrid_server.messages import Row
from standby import decode
from standby.decode import UnreadableError
from standby.errors import PlatformError, words
from standby.secret import Secret
from standby_cli.errors import EnrollError

_SQLITE_MAGIC: Final = b"SQLite format 3\x00"
_NUMBERS: Final = ("power", "impedance", "tension")
_METRICS: Final = (
    "SELECT id, timestamp, power, impedance, tension FROM metrics ORDER BY timestamp, id"
)
_ALARMS: Final = "SELECT id, metric, threshold FROM alarms ORDER BY id"
_HAS_ALARMS: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alarms'"


@dataclass(slots=True)
class Imported:
    """What came of a file."""

    rows: int = 0
    skips: Skips = field(default_factory=Counter)

    def __str__(self) -> str:
        skipped = "".join(
            f"; {count} skipped: {reason.replace('_', ' ')}" for reason, count in self.skips.items()
        )
        return f"{self.rows:,} {'reading' if self.rows == 1 else 'readings'} imported{skipped}"

    def counted(self, found: Iterable[Row]) -> Iterator[Row]:
        for row in found:
            self.rows += 1
            yield row


def fill(file: Path, key: Secret, source: Path) -> Imported:
    """Put the rows of `source` into the empty database `file`, all or none.

    Raises:
        EnrollError: the source cannot be read; the message says where it is wrong.
        StorageFullError: there is no room for the database.
    """
    imported = Imported()
    try:
        with source.open("rb") as opened:
            is_sqlite = opened.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
        if is_sqlite:
            _fill_from_sqlite(file, key, source, imported)
        else:
            found = readings.read_file(source, imported.skips)
            database.import_rows(file, key, imported.counted(found), ())
    except StorageFullError:
        raise
    except (OSError, sqlite3.Error, PlatformError, UnreadableError) as error:
        raise EnrollError(f"{source} cannot be imported: {words(error)}") from error
    return imported


def _fill_from_sqlite(file: Path, key: Secret, source: Path, imported: Imported) -> None:
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(closing(sqlite3.connect(uri, uri=True)))
        metrics = stack.enter_context(closing(_metrics(plain, imported.skips)))
        alarms = stack.enter_context(closing(_alarms(plain)))
        database.import_rows(file, key, imported.counted(metrics), alarms)


def _metrics(plain: sqlite3.Connection, skips: Skips) -> Generator[Row, None, None]:
    for number, timestamp, *values in plain.execute(_METRICS):
        where = f"row {number} of metrics"
        if None in values:
            skips[Skipped.MISSING] += 1
            continue
        for name, value in zip(("timestamp", *_NUMBERS), (timestamp, *values), strict=True):
            _check_number(where, name, value)
        try:
            yield decode.value((timestamp, *values), Row)
        except UnreadableError as error:
            raise UnreadableError(f"{where}: {error}") from error


def _alarms(plain: sqlite3.Connection) -> Generator[tuple[str, float], None, None]:
    if not plain.execute(_HAS_ALARMS).fetchone():
        return
    known = [each.value for each in Metric]
    for number, metric, threshold in plain.execute(_ALARMS):
        where = f"row {number} of alarms"
        if metric not in known:
            raise UnreadableError(f"{where}: metric is {metric!r}, not one of {', '.join(known)}")
        _check_number(where, "threshold", threshold)
        yield metric, threshold


def _check_number(where: str, name: str, value: object) -> None:
    """SQLite keeps anything in any column."""
    if not isinstance(value, int | float):
        shown = "missing" if value is None else repr(value)[:80]
        raise UnreadableError(f"{where}: {name} is {shown}, not a number")
