"""Databases of earlier versions are brought up to date, whole or not at all, and nothing that was acknowledged is lost.

`databases/version-2.db` was made by the program of version 2 (see `databases/README.md`).
"""

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from smartgrid_server import database, schema
from smartgrid_server.averaging import Period
from smartgrid_server.database import Database
from smartgrid_server.errors import StorageFullError
from smartgrid_server.messages import LAST_SECOND, Metric, Row
from smartgrid_server.storing import Counts
from tests.support.smartgrid import secret

OF_VERSION_2 = Path(__file__).parent / "databases" / "version-2.db"
FIRST = 1_600_000_000 // 3600 * 3600
ROWS: list[Row] = [(FIRST + 60 * n, 100.0 + n, 50.5, 230.0) for n in range(180)]
"""Of the fixture, without what was stored twice and what differs."""
WHOLE = Period(0, LAST_SECOND)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(OF_VERSION_2, tmp_path / database.FILE_NAME))


def tables(db: Database) -> list[tuple[str, str]]:
    found = db._connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name")
    return [(name, " ".join((sql or "").split())) for name, sql in found]


def contents(db: Database) -> tuple[list[Row], list[tuple[int, Metric, float]]]:
    rows = db._connection.execute(
        "SELECT timestamp, power, impedance, tension FROM metrics ORDER BY timestamp, id"
    )
    return list(rows), [(each.timestamp, each.metric, each.value) for each in db.conflicts(0, 99)]


def check_up_to_date(db: Database) -> None:
    assert not db.outdated()
    rows, apart = contents(db)
    assert rows == ROWS
    differing = [(FIRST + 60 * n, Metric.POWER, 1.0) for n in range(170, 180)]
    third = [
        (FIRST + 60 * 175, Metric.POWER, 2.0),
        (FIRST + 60 * 175, Metric.TENSION, 231.0),
    ]
    assert sorted(apart) == sorted(differing + third)
    for metric, expected in ((Metric.POWER, 189.5), (Metric.TENSION, 230.0)):
        found = db.averages(metric, WHOLE, 1)
        assert (found.count, found.average) == (180, expected)
    assert [(each.metric, each.threshold) for each in db.alarms(0, 9)] == [
        (Metric.POWER, 4000.0),
        (Metric.TENSION, 207.0),
    ]
    assert db._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.store(ROWS) == Counts(unchanged=180)  # a batch that was not known to be acknowledged


def test_of_the_last_version_each_time_keeps_its_first_row_and_differing_values_apart(
    file: Path,
) -> None:
    before = file.read_bytes()
    with contextlib.closing(Database.unlock(file, secret())) as db:
        assert db.outdated()
        assert file.read_bytes() == before
        db.bring_up_to_date()
        check_up_to_date(db)


def test_afterwards_it_is_like_a_new_one(file: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    database.create(new, secret())
    with (
        contextlib.closing(Database.open(file, secret())) as old,
        contextlib.closing(Database.open(new, secret())) as fresh,
    ):
        assert tables(old) == tables(fresh)
        for db in (old, fresh):
            db.store([(FIRST + 1, 5.0, None, None)])
            assert db.averages(Metric.IMPEDANCE, Period(FIRST + 1, FIRST + 2), 1).count == 0


def test_nor_does_it_need_more_room_than_it_has(file: Path) -> None:
    """As in a volume that is full, where a copy of the readings would have no room."""
    largest = file.stat().st_size
    with contextlib.closing(Database.unlock(file, secret(), largest=largest)) as db:
        db.bring_up_to_date()
        check_up_to_date(db)
        with pytest.raises(StorageFullError):
            db.store([(FIRST + second, 1.0, 1.0, 1.0) for second in range(1, 3600, 2)])
    assert file.stat().st_size < 2 * largest


def test_one_without_sums_by_the_hour_gets_them(file: Path) -> None:
    with contextlib.closing(Database.unlock(file, secret())) as db:
        db._connection.execute("DROP TABLE hours")
        db._connection.execute("PRAGMA user_version = 1")
        db.bring_up_to_date()
        check_up_to_date(db)


def test_a_process_that_dies_at_any_statement_leaves_what_the_next_one_finishes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty times at a step, so that it dies within steps and between them."""
    few = schema._REPEATED.replace(f"LIMIT {schema._AT_ONCE}", "LIMIT 40")
    monkeypatch.setattr(schema, "_REPEATED", few)
    statement = 1
    while _dies_at(file, statement):
        with contextlib.closing(Database.open(file, secret())) as db:
            check_up_to_date(db)
        shutil.copy(OF_VERSION_2, file)
        statement += 5
    assert statement > 20
    with contextlib.closing(Database.open(file, secret())) as db:
        check_up_to_date(db)


def test_one_that_dies_often_gets_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process is killed after a few steps, and the next one goes on from there."""
    few = schema._REPEATED.replace(f"LIMIT {schema._AT_ONCE}", "LIMIT 40")
    monkeypatch.setattr(schema, "_REPEATED", few)
    deaths = 0
    while _dies_at(file, 30):
        deaths += 1
        assert deaths < 20
    assert deaths > 1
    with contextlib.closing(Database.open(file, secret())) as db:
        check_up_to_date(db)


class _Mortal:
    """A connection whose process is killed before the n-th statement."""

    def __init__(self, connection: Any, left: int) -> None:
        self._connection = connection
        self._left = left

    def execute(self, *statement: Any) -> Any:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._connection.execute(*statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _dies_at(file: Path, statement: int) -> bool:
    """Whether a process that brings it up to date was killed at this statement; else it is up to date."""
    child = os.fork()
    if not child:
        try:
            opened = Database.unlock(file, secret())
            opened._connection = _Mortal(opened._connection, statement)
            opened.bring_up_to_date()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGKILL}
    return code != 0
