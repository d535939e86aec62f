"""A reading is known by its time and its metric: equal again changes nothing, another value is kept apart."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from smartgrid_server import database
from smartgrid_server.averaging import Period
from smartgrid_server.database import Database
from smartgrid_server.messages import LAST_SECOND, Metric, Row
from smartgrid_server.storing import Counts, Merge
from tests.support.smartgrid import secret

HOUR: list[Row] = [(3600 + 60 * n, 100.0 + n, 50.0, 230.0) for n in range(60)]
WHOLE = Period(0, LAST_SECOND)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    file = tmp_path / database.FILE_NAME
    database.create(file, secret())
    with contextlib.closing(Database.open(file, secret())) as opened:
        yield opened


def contents(db: Database) -> list[Row]:
    found = db._connection.execute(
        "SELECT timestamp, power, impedance, tension FROM metrics ORDER BY id"
    )
    return list(found)


def apart(db: Database) -> list[tuple[int, Metric, float, float]]:
    return [(each.timestamp, each.metric, each.value, each.stored) for each in db.conflicts(0, 99)]


def average(db: Database, metric: Metric = Metric.POWER) -> tuple[int, float | None]:
    found = db.averages(metric, WHOLE, 1)
    return found.count, found.average


def test_what_is_new_is_stored_and_what_is_equal_changes_nothing(db: Database) -> None:
    assert db.store(HOUR) == Counts(stored=60)
    before = average(db)
    assert db.store(HOUR) == Counts(unchanged=60)
    assert contents(db) == HOUR
    assert average(db) == before


@pytest.mark.parametrize("size", [1, 7, 45, 60])
def test_it_does_not_matter_how_readings_are_cut_into_batches(db: Database, size: int) -> None:
    """The same 60 readings by other cuts: 60 are stored, and were 60 for each cut."""
    db.store(HOUR)
    for first in range(0, 60, size):
        assert db.store(HOUR[first : first + size]).stored == 0
    assert average(db) == (60, 129.5)


def test_a_file_that_grows_and_is_pushed_every_minute_is_stored_once(db: Database) -> None:
    counts = [db.store(HOUR[: 4 * minute]) for minute in range(1, 6)]
    assert [(each.stored, each.unchanged) for each in counts] == [
        (4, 0), (4, 4), (4, 8), (4, 12), (4, 16),
    ]  # fmt: skip
    assert average(db)[0] == 20


def test_a_reading_that_is_twice_in_one_batch_is_stored_once(db: Database) -> None:
    assert db.store([HOUR[0], HOUR[0], (3600, 7.0, 50.0, 230.0)]) == Counts(
        stored=1, unchanged=1, conflicts=1
    )
    assert contents(db) == HOUR[:1]
    assert apart(db) == [(3600, Metric.POWER, 7.0, 100.0)]


def test_another_value_is_kept_apart_once_and_counts_each_time(db: Database) -> None:
    db.store(HOUR)
    other: list[Row] = [(3600, 1.0, 50.0, 231.0), HOUR[1]]
    for _ in range(2):
        assert db.store(other) == Counts(unchanged=1, conflicts=1)
    assert contents(db) == HOUR
    assert apart(db) == [(3600, Metric.POWER, 1.0, 100.0), (3600, Metric.TENSION, 231.0, 230.0)]
    assert average(db) == (60, 129.5)


def test_only_what_is_meant_as_a_correction_replaces_a_value_which_stays_readable(
    db: Database,
) -> None:
    db.store(HOUR)
    db.store([(3600, 1.0, 50.0, 230.0)])
    assert db.store([(3600, 1.0, 50.0, 230.0), HOUR[1]], correct=True) == Counts(
        unchanged=1, corrected=1
    )
    assert contents(db)[0] == (3600, 1.0, 50.0, 230.0)
    assert apart(db) == [(3600, Metric.POWER, 100.0, 1.0)]
    assert average(db) == (60, (sum(row[1] or 0 for row in HOUR) - 99) / 60)
    assert db.store([HOUR[0]], correct=True) == Counts(corrected=1)
    assert apart(db) == [(3600, Metric.POWER, 1.0, 100.0)]
    assert average(db) == (60, 129.5)


def test_a_missing_value_is_no_zero_and_can_be_added_later(db: Database) -> None:
    assert db.store([(3600, 100.0, None, None), (3660, 0.0, None, 230.0)]) == Counts(stored=2)
    assert average(db) == (2, 50.0)
    assert average(db, Metric.IMPEDANCE) == (0, None)
    assert average(db, Metric.TENSION) == (1, 230.0)
    assert db.store([(3600, None, 50.0, 232.0), (3600, 100.0, None, None)]) == Counts(
        stored=1, unchanged=1
    )
    assert average(db, Metric.IMPEDANCE) == (1, 50.0)
    assert average(db, Metric.TENSION) == (2, 231.0)
    assert contents(db) == [(3600, 100.0, 50.0, 232.0), (3660, 0.0, None, 230.0)]


def test_buckets_leave_missing_values_out_whatever_their_length(db: Database) -> None:
    db.store([(3600, 1.0, None, None), (3610, 3.0, 5.0, None), (7200, 9.0, None, 1.0)])
    for period in (
        Period(3600, 10_800, 3600),
        Period(3600, 10_800, 1800),
        Period(3600, 10_800, edges=(3600, 7200, 10_800)),
    ):
        power = db.averages(Metric.POWER, period, 9).buckets
        assert [(each.start, each.count, each.average) for each in power] == [
            (3600, 2, 2.0),
            (7200, 1, 9.0),
        ]
        impedance = db.averages(Metric.IMPEDANCE, period, 9).buckets
        assert [(each.start, each.count, each.average) for each in impedance] == [(3600, 1, 5.0)]


def test_a_period_says_where_its_readings_begin_and_end(db: Database) -> None:
    empty = db.averages(Metric.POWER, WHOLE, 1)
    assert (empty.first, empty.last) == (None, None)
    db.store(HOUR)
    found = db.averages(Metric.POWER, Period(3601, 7000), 1)
    assert (found.first, found.last) == (3660, 6960)


def test_one_row_can_be_equal_new_and_different_at_once() -> None:
    merge = Merge(correct=False, known={10: (1.0, None, 3.0)})
    merge.add((10, 1.0, 2.0, 4.0))
    assert merge.known == {10: (1.0, 2.0, 3.0)}
    assert merge.apart == {(10, Metric.TENSION, 4.0): True}
    assert merge.counts == Counts(conflicts=1)


def test_an_import_follows_the_same_rule(db: Database) -> None:
    counts = db.import_rows([*HOUR, *HOUR, (3600, 1.0, 50.0, 230.0)], [])
    assert counts == Counts(stored=60, unchanged=60, conflicts=1)
    assert db.store(HOUR) == Counts(unchanged=60)
