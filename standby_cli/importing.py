"""Filling a new database from what a user already has: readings as CSV, or a plain SQLite database.

A CSV file is in one of the formats that `smartgrid-client` knows by their header. A SQLite file has the dissertation's
tables (`metrics`, and optionally `alarms`); their row ids are not kept. A row whose values are all missing (NULL) is
skipped and counted, as a line without values in a CSV file is; one that holds anything but numbers is an error that
names it. What is there twice follows the rule for all readings: the first one stays (`smartgrid_server.storing`).
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from smartgrid_client import readings
from smartgrid_client.bad_lines import BadLines
from smartgrid_client.messages import Metric
from smartgrid_client.readings import ReadingsError, Skipped, Skips
from smartgrid_server import database
from smartgrid_server.errors import StorageFullError
from smartgrid_server.messages import Row
from smartgrid_server.storing import Counts
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

    counts: Counts = field(default_factory=Counts)
    skips: Skips = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        return self.counts.stored

    def __str__(self) -> str:
        told = [f"{self.rows:,} {'reading' if self.rows == 1 else 'readings'} imported"]
        told += (f"{count:,} skipped: {reason}" for reason, count in self.skips.items())
        if self.counts.unchanged:
            told.append(f"{self.counts.unchanged:,} there already")
        if self.counts.conflicts:
            told.append(f"{self.counts.conflicts:,} differ from others of their time, kept apart")
        return "; ".join(told)


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
            found = _readings(source, imported.skips)
            imported.counts += database.import_rows(file, key, found)
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
        imported.counts += database.import_rows(file, key, metrics, alarms)


def _readings(source: Path, skips: Skips) -> Iterator[Row]:
    """All of a file; the error names all lines that cannot be read."""
    bad = BadLines()
    yield from readings.read_file(source, skips, on_bad=bad)
    if bad.count:
        raise ReadingsError("\n".join(bad.texts))


def _metrics(plain: sqlite3.Connection, skips: Skips) -> Generator[Row, None, None]:
    for number, timestamp, *values in plain.execute(_METRICS):
        where = f"row {number} of metrics"
        if not any(value is not None for value in values):
            skips[Skipped.MISSING] += 1
            continue
        for name, value in zip(("timestamp", *_NUMBERS), (timestamp, *values), strict=True):
            if value is not None or name == "timestamp":
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
