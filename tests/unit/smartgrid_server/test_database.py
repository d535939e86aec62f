"""The encrypted database: what it stores, what it refuses, and how its failures are told apart."""

import contextlib
import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from smartgrid_server import cipher, database
from smartgrid_server.averaging import Period
from smartgrid_server.cipher import PAGE
from smartgrid_server.database import Database
from smartgrid_server.errors import (
    DatabaseDamagedError,
    DatabaseError,
    DatabaseExistsError,
    DatabaseInUseError,
    DatabaseMissingError,
    DatabaseNewerError,
    StorageFailedError,
    StorageFullError,
    TooManyBucketsError,
    UnknownAlarmError,
    WrongKeyError,
)
from smartgrid_server.messages import LAST_SECOND, Alarm, Metric
from standby.decode import UnreadableError
from standby.secret import Secret
from tests.support.smartgrid import OTHER_KEY, files_of, secret, stored

ROWS = [(10, 1.0, 2.0, 3.0), (20, 3.0, 2.0, 1.0)]
ALL_TIME = Period(0, LAST_SECOND)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / database.FILE_NAME
    database.create(file, secret())
    return file


@pytest.fixture
def db(file: Path) -> Iterator[Database]:
    with contextlib.closing(Database.open(file, secret())) as opened:
        yield opened


def count(db: Database) -> int:
    return db.averages(Metric.POWER, ALL_TIME, 1).count


def test_a_new_database_is_one_encrypted_file(file: Path) -> None:
    assert files_of(file.parent) == [database.FILE_NAME]
    assert b"SQLite" not in file.read_bytes()
    assert b"metrics" not in file.read_bytes()


def test_a_database_is_never_made_over_another(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(DatabaseExistsError):
        database.create(file, secret(OTHER_KEY))
    assert file.read_bytes() == before


def test_the_rest_of_a_creation_that_was_cut_off_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / database.FILE_NAME
    file.with_name(f"{file.name}.new").write_bytes(b"half")
    database.create(file, secret())
    assert database.opens_with(file, secret())


def test_the_key_itself_is_left_as_it_was(file: Path) -> None:
    key = secret()
    database.opens_with(file, key)
    assert key == secret()


def test_only_its_key_opens_it(file: Path) -> None:
    assert database.opens_with(file, secret())
    assert not database.opens_with(file, secret(OTHER_KEY))
    with pytest.raises(WrongKeyError):
        Database.open(file, secret(OTHER_KEY))


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError):
        Database.open(tmp_path / "none.db", secret())
    assert files_of(tmp_path) == []


@pytest.mark.parametrize("key", [secret(), secret(OTHER_KEY)], ids=["right key", "wrong key"])
@pytest.mark.parametrize("size", [0, 10, PAGE, 2 * PAGE + 1])
def test_a_file_that_was_cut_off_is_damaged_whatever_the_key(
    file: Path, size: int, key: Secret
) -> None:
    os.truncate(file, size)
    with pytest.raises(DatabaseDamagedError):
        Database.open(file, key)


@pytest.mark.parametrize("position", [16, 100, PAGE - 1])
def test_a_damaged_first_page_is_not_called_a_wrong_key(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)
    with pytest.raises(DatabaseDamagedError):
        Database.open(file, secret())


def test_damage_that_is_met_later_is_one_clear_error(file: Path) -> None:
    database.import_rows(file, secret(), [(n, 1.0, 1.0, 1.0) for n in range(5000)])
    content = bytearray(file.read_bytes())
    content[-PAGE - 100] ^= 1
    file.write_bytes(content)
    with (
        contextlib.closing(Database.open(file, secret())) as db,
        pytest.raises(DatabaseDamagedError),
    ):
        db.averages(Metric.POWER, ALL_TIME, 1)


def test_other_tables_are_not_taken_for_ours(file: Path) -> None:
    connection = cipher.connect(file, secret())
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(DatabaseDamagedError, match="unknown version"):
        Database.open(file, secret())


def test_a_database_of_a_newer_program_is_refused_in_one_sentence_and_not_changed(
    file: Path,
) -> None:
    connection = cipher.connect(file, secret())
    connection.execute("PRAGMA user_version = 99")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(DatabaseNewerError, match=r"version 99.*ask the operator"):
        Database.open(file, secret())
    assert file.read_bytes() == before


def test_a_second_opener_is_kept_out(db: Database, file: Path) -> None:
    with pytest.raises(DatabaseInUseError):
        Database.open(file, secret())
    db.write_alarms([Alarm(metric="power", threshold=1.0)])


def test_a_directory_in_its_place_is_an_error_of_the_storage(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises((StorageFailedError, DatabaseDamagedError)):
        Database.open(tmp_path / "directory", secret())


def test_alarms_come_back_in_order_and_in_pages(db: Database) -> None:
    alarms = [Alarm(metric=metric, threshold=float(n)) for n, metric in enumerate(Metric)]
    assert db.write_alarms(alarms) == 3
    assert [(each.id, each.metric, each.threshold) for each in db.alarms(0, 10)] == [
        (1, Metric.POWER, 0.0),
        (2, Metric.IMPEDANCE, 1.0),
        (3, Metric.TENSION, 2.0),
    ]
    assert [each.id for each in db.alarms(1, 1)] == [2]


def test_an_alarm_is_changed_and_deleted_by_its_id_which_is_not_given_again(db: Database) -> None:
    db.write_alarms([Alarm(metric="power", threshold=1.0), Alarm(metric="power", threshold=2.0)])
    changed = db.change_alarm(1, Alarm(metric="tension", threshold=250.0))
    assert db.alarms(0, 1) == [changed]
    assert (changed.id, changed.metric, changed.threshold) == (1, Metric.TENSION, 250.0)
    assert [db.delete_alarm(2), db.delete_alarm(2)] == [1, 0]
    with pytest.raises(UnknownAlarmError, match="no alarm 2"):
        db.change_alarm(2, Alarm(metric="power", threshold=1.0))
    db.write_alarms([Alarm(metric="power", threshold=3.0)])
    assert [each.id for each in db.alarms(0, 10)] == [1, 3]


def test_a_full_volume_stores_nothing_of_a_batch_and_the_next_one_fits(db: Database) -> None:
    db._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StorageFullError):
        db.store([(n, 1.0, 1.0, 1.0) for n in range(20_000)])
    assert count(db) == 0
    assert db.store(ROWS).stored == 2


def test_a_database_stops_growing_before_the_largest_file_it_may_write(file: Path) -> None:
    """What it has can be read, and it closes as usual; so the limit of the process is never met."""
    largest = 1 << 20
    with contextlib.closing(Database.unlock(file, secret(), largest=largest)) as db:
        stored = _fill(db)
        assert count(db) == stored > 0
    assert largest / 2 < file.stat().st_size <= largest * 3 / 4
    with contextlib.closing(Database.unlock(file, secret(), largest=largest // 4)) as db:
        assert count(db) == stored  # one that was larger already can be read


def _fill(db: Database) -> int:
    """Store batches of readings until one is refused; how many are stored."""
    for number in itertools.count():
        rows = [(5000 * number + n, 1.0, 1.0, 1.0) for n in range(5000)]
        try:
            db.store(rows)
        except StorageFullError:
            return 5000 * number
    raise AssertionError("it never was full")


def test_a_transaction_that_fails_half_way_leaves_nothing(db: Database) -> None:
    with pytest.raises(DatabaseError):
        db.write_alarms(
            [Alarm(metric="power", threshold=1.0), Alarm(metric="power", threshold=math.nan)]
        )
    assert db.alarms(0, 10) == []
    assert db.write_alarms([Alarm(metric="power", threshold=1.0)]) == 1


def test_an_average_of_nothing_is_null(db: Database) -> None:
    averages = db.averages(Metric.POWER, Period(0, 100, 10), 5)
    assert (averages.count, averages.average, averages.buckets) == (0, None, [])


def test_a_period_is_half_open(db: Database) -> None:
    db.store(ROWS)
    assert db.averages(Metric.POWER, Period(10, 20), 1).average == 1.0
    assert db.averages(Metric.POWER, Period(10, 21), 1).average == 2.0
    assert db.averages(Metric.POWER, Period(11, 20), 1).count == 0


def test_no_more_buckets_than_allowed(db: Database) -> None:
    db.store(ROWS)
    assert len(db.averages(Metric.POWER, Period(0, 100, 10), 2).buckets) == 2
    with pytest.raises(TooManyBucketsError):
        db.averages(Metric.POWER, Period(0, 100, 10), 1)


def test_import_stores_everything(file: Path) -> None:
    database.import_rows(file, secret(), iter(ROWS), [("tension", 240.0)])
    assert [row[1:] for row in stored(file.parent, "metrics")] == ROWS
    assert stored(file.parent, "alarms") == [(1, "tension", 240.0)]


@pytest.mark.parametrize(
    "bad", [(1, math.nan, 1.0, 1.0), (1, math.inf, 1.0, 1.0), (-1, 1.0, 1.0, 1.0)]
)
def test_import_refuses_the_whole_when_one_value_cannot_be_stored(
    file: Path, bad: tuple[int, float, float, float]
) -> None:
    with pytest.raises(UnreadableError):
        database.import_rows(file, secret(), [*ROWS, bad])
    assert stored(file.parent, "metrics") == []


def test_import_refuses_unknown_metrics_of_alarms(file: Path) -> None:
    with pytest.raises(ValueError, match="colour"):
        database.import_rows(file, secret(), ROWS, [("colour", 1.0)])
    assert stored(file.parent, "metrics") == []


def test_closing_leaves_one_file(file: Path) -> None:
    db = Database.open(file, secret())
    db.store(ROWS)
    assert len(files_of(file.parent)) == 2
    db.close()
    assert files_of(file.parent) == [database.FILE_NAME]
    with contextlib.closing(Database.open(file, secret())) as again:
        assert count(again) == 2
