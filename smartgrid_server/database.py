"""One user's database: alarms, readings, and which batches of readings it has.

Every write is one transaction. It is all there or not there at all, and once the method has returned it is on disk. A
batch of readings is stored once, however often it is sent: its id and a digest of its readings are stored with it, in
the same transaction, so the answer is right across sessions, servers and crashes. So are their sums by the hour
(`hours`), from which averages are made.

A `Database` belongs to the thread that opened it (SQLite's own check enforces that).
"""

import contextlib
import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from smartgrid_server import cipher, hours
from smartgrid_server.errors import (
    BatchMismatchError,
    DatabaseDamagedError,
    DatabaseExistsError,
    TooManyBucketsError,
)
from smartgrid_server.messages import (
    Alarm,
    Averages,
    Bucket,
    LongWriteReply,
    Metric,
    Row,
    StoredAlarm,
)
from standby import decode, durable
from standby.errors import PlatformError
from standby.secret import Secret

FILE_NAME: Final = "smartgrid.db"
"""Of the database in the user's volume."""
SCHEMA_VERSION: Final = 2
_WITHOUT_HOURS: Final = 1
"""The version that had no sums by the hour."""
_SCHEMA: Final = (
    """CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
       power REAL NOT NULL, impedance REAL NOT NULL, tension REAL NOT NULL)""",
    "CREATE INDEX metrics_by_time ON metrics (timestamp)",
    """CREATE TABLE alarms (id INTEGER PRIMARY KEY AUTOINCREMENT, metric TEXT NOT NULL,
       threshold REAL NOT NULL)""",
    """CREATE TABLE batches (batch_id TEXT PRIMARY KEY, digest BLOB NOT NULL, rows INTEGER NOT NULL)
       WITHOUT ROWID""",
    hours.SCHEMA,
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_INSERT_ROW: Final = (
    "INSERT INTO metrics (timestamp, power, impedance, tension) VALUES (?, ?, ?, ?)"
)
_FOR_THE_DATABASE: Final = 0.75
"""Of the largest file. A journal is some megabytes, as large as the largest request makes it."""
_IMPORTED_AT_ONCE: Final = 10_000
"""Readings of an import that are in memory together."""
_INSERT_ALARM: Final = "INSERT INTO alarms (metric, threshold) VALUES (?, ?)"


@dataclass(frozen=True, slots=True)
class Period:
    """`start` <= timestamp < `end`, in Unix seconds; `bucket` in seconds, None for one average only."""

    start: int
    end: int
    bucket: int | None = None


class Database:
    """An open database; `close` it in the thread that opened it."""

    def __init__(self, connection: cipher.Connection) -> None:
        self._connection = connection

    @classmethod
    def unlock(
        cls,
        file: Path,
        key: Secret,
        memory: cipher.KeyMemory | None = None,
        largest: int | None = None,
    ) -> Self:
        """Open an existing database without a change to its file; see `outdated`.

        `largest`: bytes of the largest file that this process can write. The database stops short of that, because a
        journal that has no room left could not be brought into it.

        Raises:
            As `cipher.connect`, and DatabaseDamagedError when it has not the expected tables.
        """
        connection = cipher.connect(file, key, memory=memory)
        opened = cls(connection)
        try:
            with cipher.translated():
                version = opened._version()
                if largest is not None:
                    pages = int(largest * _FOR_THE_DATABASE) // cipher.PAGE
                    connection.execute(f"PRAGMA max_page_count = {pages}")
        except BaseException:
            connection.close()
            raise
        if version not in {_WITHOUT_HOURS, SCHEMA_VERSION}:
            connection.close()
            raise DatabaseDamagedError(
                f"the database has tables of version {version}, expected {SCHEMA_VERSION}"
            )
        return opened

    @classmethod
    def open(cls, file: Path, key: Secret) -> Self:
        """Open an existing database and bring it up to date; what a crash left in its journal is recovered first.

        Raises:
            As `unlock`.
        """
        opened = cls.unlock(file, key)
        try:
            opened.bring_up_to_date()
        except BaseException:
            with contextlib.suppress(PlatformError):
                opened.close()
            raise
        return opened

    def outdated(self) -> bool:
        """Whether it has to be brought up to date before it is used."""
        with cipher.translated():
            (journal,) = self._connection.execute("PRAGMA journal_mode").fetchone()
            return bool(journal != "wal" or self._version() != SCHEMA_VERSION)

    def bring_up_to_date(self) -> None:
        """Make of what an earlier version left what this one expects."""
        if not self.outdated():
            return
        with cipher.translated():
            self._connection.execute("PRAGMA journal_mode=WAL")
        if self._version() == _WITHOUT_HOURS:
            with self._transaction():
                hours.rebuild(self._connection)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Bring everything into the one file, and let go of it; a journal that stays says that it did not work."""
        with cipher.translated(), contextlib.closing(self._connection):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def write_alarms(self, alarms: Sequence[Alarm]) -> int:
        """Store all alarms or none; returns how many."""
        pairs = [(alarm.metric, alarm.threshold) for alarm in alarms]
        with self._transaction():
            self._connection.executemany(_INSERT_ALARM, pairs)
        return len(pairs)

    def alarms(self, after: int, limit: int) -> list[StoredAlarm]:
        """Up to `limit` alarms with an id above `after`, in order of id."""
        with cipher.translated():
            found = self._connection.execute(
                "SELECT id, metric, threshold FROM alarms WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            ).fetchall()
        return [StoredAlarm(id=row[0], metric=Metric(row[1]), threshold=row[2]) for row in found]

    def long_write(self, batch_id: str, rows: Sequence[Row]) -> LongWriteReply:
        """Store the batch unless it is there already.

        Raises:
            BatchMismatchError: a batch of this id is there, with other readings.
        """
        digest = _digest(rows)
        with self._transaction():
            known = self._connection.execute(
                "SELECT digest FROM batches WHERE batch_id = ?", (batch_id,)
            ).fetchone()
            if known is not None and known[0] != digest:
                raise BatchMismatchError(
                    "this batch id was used for other readings; send these under a new one"
                )
            if known is not None:
                return LongWriteReply(stored=0, duplicate=True)
            self._connection.execute(
                "INSERT INTO batches (batch_id, digest, rows) VALUES (?, ?, ?)",
                (batch_id, digest, len(rows)),
            )
            self._insert(rows)
        return LongWriteReply(stored=len(rows), duplicate=False)

    def averages(self, metric: Metric, period: Period, max_buckets: int) -> Averages:
        """Count and average over the period, and per bucket if asked for.

        Raises:
            TooManyBucketsError: more than `max_buckets` hold readings.
        """
        with cipher.translated():
            parts = list(hours.parts(self._connection, metric, period.start, period.end))
            buckets = self._buckets(metric, period, parts, max_buckets)
        count, average = _average(parts)
        return Averages(metric=metric, count=count, average=average, buckets=buckets)

    def import_rows(self, rows: Iterable[Row], alarms: Iterable[tuple[str, float]]) -> None:
        """Store any number of readings and alarms, all or none; what `convert` refuses is not stored.

        Raises:
            UnreadableError: a value is not finite or out of range; the message says where.
        """
        checked_rows: Iterator[Row] = (decode.value(row, Row) for row in rows)
        checked_alarms = (
            (
                Metric(metric).value,
                decode.value({"metric": metric, "threshold": value}, Alarm).threshold,
            )
            for metric, value in alarms
        )
        with self._transaction():
            while some := list(itertools.islice(checked_rows, _IMPORTED_AT_ONCE)):
                self._insert(some)
            self._connection.executemany(_INSERT_ALARM, checked_alarms)

    def _insert(self, rows: Sequence[Row]) -> None:
        self._connection.executemany(_INSERT_ROW, rows)
        hours.add(self._connection, rows)

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _buckets(
        self, metric: Metric, period: Period, parts: Sequence[hours.Part], most: int
    ) -> list[Bucket]:
        if period.bucket is None:
            return []
        if period.bucket % hours.HOUR == 0:
            found = _grouped(parts, period.bucket)
        else:
            found = self._scanned(metric, period, most)
        if len(found) > most:
            raise TooManyBucketsError(
                f"more than {most} buckets hold readings; ask for longer buckets or a shorter period"
            )
        return found

    def _scanned(self, metric: Metric, period: Period, most: int) -> list[Bucket]:
        """Buckets that hours do not fit into; one more than `most` at most."""
        found = self._connection.execute(
            f"SELECT timestamp / :bucket * :bucket AS first, count(*), avg({metric}) FROM metrics "  # noqa: S608  # an enum's value
            "WHERE timestamp >= :start AND timestamp < :end GROUP BY first ORDER BY first LIMIT :most",
            {"bucket": period.bucket, "start": period.start, "end": period.end, "most": most + 1},
        ).fetchall()
        return [
            Bucket(start=start, count=count, average=average) for start, count, average in found
        ]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with cipher.translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                # SQLite has rolled back by itself after some errors (a full disk), not after others
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def create(file: Path, key: Secret) -> None:
    """Make an empty database; it appears under its name as a whole or not at all, and is on disk then.

    Raises:
        DatabaseExistsError: the file is there already.
        StorageFullError, StorageFailedError: the file system refuses.
    """
    if file.exists():
        raise DatabaseExistsError(f"there is a database at {file} already")
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    connection = cipher.connect(draft, key, create=True)
    with cipher.translated(), contextlib.closing(connection):
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    draft.rename(file)
    durable.sync(file.parent)


def opens_with(file: Path, key: Secret) -> bool:
    """Whether this key opens the database; it may be open elsewhere, and is not changed.

    Raises:
        OSError: the file cannot be read.
    """
    return cipher.fits_second_page(file, key)


def import_rows(
    file: Path, key: Secret, rows: Iterable[Row], alarms: Iterable[tuple[str, float]] = ()
) -> None:
    """Store readings and alarms into an existing database, all or none.

    Raises:
        As `Database.open` and `Database.import_rows`.
    """
    with contextlib.closing(Database.open(file, key)) as database:
        database.import_rows(rows, alarms)


def _average(parts: Sequence[hours.Part]) -> tuple[int, float | None]:
    """How many readings, and their average."""
    count = sum(count for _, count, _ in parts)
    total = math.fsum(number for _, _, numbers in parts for number in numbers)
    return count, total / count if count else None


def _grouped(parts: Sequence[hours.Part], length: int) -> list[Bucket]:
    """Buckets of `length` seconds that hold readings."""
    found = []
    for start, inside in itertools.groupby(parts, lambda part: part[0] // length * length):
        count, average = _average(list(inside))
        if average is not None:
            found.append(Bucket(start=start, count=count, average=average))
    return found


def _digest(rows: Sequence[Row]) -> bytes:
    """SHA-256 of the readings in MessagePack: equal for equal numbers, however they were written in JSON."""
    return hashlib.sha256(msgspec.msgpack.encode(rows)).digest()
