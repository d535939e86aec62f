"""Filling a new database from what a user already has: readings as CSV, or a plain SQLite database.

A CSV file is in one of the two formats that `smartgrid-client` reads. A SQLite file has the dissertation's tables
(`metrics`, and optionally `alarms`); their row ids are not kept.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from smartgrid_client import readings
from smartgrid_server import database
from standby.decode import UnreadableError
from standby.errors import PlatformError, words
from standby.secret import Secret
from standby_cli.errors import EnrollError

_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


def fill(file: Path, key: Secret, source: Path) -> None:
    """Put the rows of `source` into the empty database `file`, all or none.

    Raises:
        EnrollError: the source cannot be read; the message says where it is wrong.
    """
    try:
        with source.open("rb") as opened:
            is_sqlite = opened.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
        if is_sqlite:
            with closing(sqlite3.connect(f"file:{source.absolute()}?mode=ro", uri=True)) as plain:
                database.import_rows(file, key, _metrics(plain), _alarms(plain))
        else:
            database.import_rows(file, key, readings.read_file(source, Counter()), ())
    except (OSError, sqlite3.Error, PlatformError, UnreadableError) as error:
        raise EnrollError(f"{source} cannot be imported: {words(error)}") from error


def _metrics(plain: sqlite3.Connection) -> Iterator[tuple[int, float, float, float]]:
    yield from plain.execute(
        "SELECT timestamp, power, impedance, tension FROM metrics ORDER BY timestamp, id"
    )


def _alarms(plain: sqlite3.Connection) -> Iterator[tuple[str, float]]:
    tables = plain.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='alarms'")
    if tables.fetchone():
        yield from plain.execute("SELECT metric, threshold FROM alarms ORDER BY id")
