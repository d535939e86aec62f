"""One user's database: readings, the values that differ from them, and alarms.

Every write is one transaction. It is all there or not there at all, and once the method has returned it is on disk.
Readings are stored once, however often and in whatever batches they are sent (`storing`), across sessions, servers and
crashes. In the same transaction their sums by the hour are kept (`hours`), from which averages are made.

A `Database` belongs to the thread that opened it (SQLite's own check enforces that).
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from smartgrid_server import averaging, cipher, schema, storing
from smartgrid_server.averaging import Period
from smartgrid_server.errors import (
    DatabaseDamagedError,
    DatabaseExistsError,
    DatabaseNewerError,
    UnknownAlarmError,
)
from smartgrid_server.messages import (
    Alarm,
    Averages,
    Conflict,
    Metric,
    Row,
    StoredAlarm,
)
from smartgrid_server.storing import Counts
from standby import decode, durable
from standby.errors import PlatformError
from standby.secret import Secret

FILE_NAME: Final = "smartgrid.db"
"""Of the database in the user's volume."""
_FOR_THE_DATABASE: Final = 0.75
"""Of the largest file. A journal is some megabytes, as large as the largest request makes it."""
_ANY_PAGES: Final = 2**32 - 2
"""SQLite's limit."""
_IMPORTED_AT_ONCE: Final = 10_000
"""Rows of an import that are in memory together."""
_INSERT_ALARM: Final = "INSERT INTO alarms (metric, threshold) VALUES (?, ?)"


class Database:
    """An open database; `close` it in the thread that opened it."""

    def __init__(self, connection: cipher.Connection) -> None:
        self._connection = connection
        self._most_pages = _ANY_PAGES

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
            As `cipher.connect`; DatabaseNewerError: a newer version of this program has written it;
            DatabaseDamagedError: it has not the expected tables.
        """
        connection = cipher.connect(file, key, memory=memory)
        opened = cls(connection)
        try:
            with cipher.translated():
                _check(schema.version(connection))
                if largest is not None:
                    opened._limit(int(largest * _FOR_THE_DATABASE) // cipher.PAGE)
        except BaseException:
            connection.close()
            raise
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
            return bool(journal != "wal" or schema.version(self._connection) != schema.VERSION)

    def bring_up_to_date(self) -> None:
        """Make of what an earlier version left what this one expects.

        A database that is full needs some megabytes for that, and has them for that alone.
        """
        most = self._most_pages
        self._limit(_ANY_PAGES)
        try:
            self._bring_up_to_date()
        finally:
            self._limit(most)

    def _limit(self, pages: int) -> None:
        with cipher.translated():
            self._connection.execute(f"PRAGMA max_page_count = {pages}")
        self._most_pages = pages

    def _bring_up_to_date(self) -> None:
        if not self.outdated():
            return
        with cipher.translated():
            self._connection.execute("PRAGMA journal_mode=WAL")
        with self._transaction():
            schema.make_tables(self._connection)
        last: int | None = -1
        while last is not None and schema.version(self._connection) != schema.VERSION:
            with self._transaction():
                last = schema.leave_one_row(self._connection, last)

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

    def change_alarm(self, number: int, alarm: Alarm) -> StoredAlarm:
        """Give the alarm of this id another metric and threshold.

        Raises:
            UnknownAlarmError: there is none.
        """
        metric = Metric(alarm.metric)
        with self._transaction():
            changed = self._connection.execute(
                "UPDATE alarms SET metric = ?, threshold = ? WHERE id = ?",
                (metric.value, alarm.threshold, number),
            ).rowcount
        if not changed:
            raise UnknownAlarmError(f"there is no alarm {number}; GET /v1/alarms lists all")
        return StoredAlarm(id=number, metric=metric, threshold=alarm.threshold)

    def delete_alarm(self, number: int) -> int:
        """Returns how many there were of this id: 0 or 1."""
        with self._transaction():
            return int(
                self._connection.execute("DELETE FROM alarms WHERE id = ?", (number,)).rowcount
            )

    def store(self, rows: Sequence[Row], *, correct: bool = False) -> Counts:
        """Store rows, all or none; `correct` as in `storing`."""
        with self._transaction():
            return storing.store(self._connection, rows, correct=correct)

    def conflicts(self, after: int, limit: int) -> list[Conflict]:
        """Up to `limit` conflicts with an id above `after`, in order of id."""
        with cipher.translated():
            found = self._connection.execute(
                "SELECT conflicts.id, timestamp, metric, value, CASE metric WHEN 'power' THEN power "
                "WHEN 'impedance' THEN impedance ELSE tension END FROM conflicts JOIN metrics USING (timestamp) "
                "WHERE conflicts.id > ? ORDER BY conflicts.id LIMIT ?",
                (after, limit),
            ).fetchall()
        return [
            Conflict(id=number, timestamp=at, metric=Metric(metric), value=value, stored=stored)
            for number, at, metric, value, stored in found
        ]

    def averages(self, metric: Metric, period: Period, max_buckets: int) -> Averages:
        """Count and average over the period, and per bucket if asked for.

        Raises:
            TooManyBucketsError: more than `max_buckets` hold readings.
        """
        with cipher.translated():
            return averaging.averages(self._connection, metric, period, max_buckets)

    def import_rows(self, rows: Iterable[Row], alarms: Iterable[tuple[str, float]]) -> Counts:
        """Store any number of rows and alarms, all or none.

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
        total = Counts()
        with self._transaction():
            while some := list(itertools.islice(checked_rows, _IMPORTED_AT_ONCE)):
                total += storing.store(self._connection, some)
            self._connection.executemany(_INSERT_ALARM, checked_alarms)
        return total

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
        for statement in schema.CREATE:
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
) -> Counts:
    """Store rows and alarms into an existing database, all or none.

    Raises:
        As `Database.open` and `Database.import_rows`.
    """
    with contextlib.closing(Database.open(file, key)) as database:
        return database.import_rows(rows, alarms)


def _check(version: int) -> None:
    """Raise unless this program can use a database of this version."""
    if version > schema.VERSION:
        raise DatabaseNewerError(
            f"a newer program has written the database (version {version}, this one knows {schema.VERSION}): "
            "ask the operator for servers of that program"
        )
    if version != schema.VERSION and version not in schema.EARLIER:
        raise DatabaseDamagedError(f"the database has tables of an unknown version ({version})")
