"""`standby enroll --import`: any file name, and cells that are no numbers are told with their row."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smartgrid_server import database
from smartgrid_server.database import Database
from standby.secret import Secret
from standby_cli import importing
from standby_cli.errors import EnrollError

KEY = Secret(bytes(range(32)))
GOOD = (60, 1.0, 2.0, 3.0)
BETTER = (120, 1.0, 2.0, 3.0)


def _plain(file: Path, metrics: list[tuple[object, ...]], alarms: list[tuple[object, ...]]) -> Path:
    with closing(sqlite3.connect(file.with_name("new"))) as plain:
        plain.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp, power, impedance, tension)"
        )
        plain.execute("CREATE TABLE alarms (id INTEGER PRIMARY KEY, metric, threshold)")
        into = "INSERT INTO metrics (timestamp, power, impedance, tension) VALUES (?, ?, ?, ?)"
        plain.executemany(into, metrics)
        plain.executemany("INSERT INTO alarms (metric, threshold) VALUES (?, ?)", alarms)
        plain.commit()
    return file.with_name("new").rename(file)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    file = tmp_path / "smartgrid.db"
    database.create(file, KEY)
    return file


def _rows(file: Path) -> int:
    with closing(Database.open(file, KEY)) as opened:
        return int(opened._connection.execute("SELECT count(*) FROM metrics").fetchone()[0])


@pytest.mark.parametrize(
    "name", ["a#b.db", "a?mode=rwc.db", "100%20.db", "a b.db", "ä.db", "a&b=c.db"]
)
def test_a_file_of_any_name_is_the_one_that_is_read(
    target: Path, tmp_path: Path, name: str
) -> None:
    _plain(tmp_path / "a", [GOOD], [])  # what `a#b.db` would be, cut off
    file = _plain(tmp_path / name, [GOOD, BETTER], [("power", 5.0)])
    before = sorted(each.name for each in tmp_path.iterdir())
    assert importing.fill(target, KEY, file).rows == 2
    assert _rows(target) == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((60, "abc", 2.0, 3.0), "row 2 of metrics: power is 'abc', not a number"),
        ((60, 1.0, b"\xff", 3.0), r"row 2 of metrics: impedance is b'\xff', not a number"),
        ((None, 1.0, 2.0, 3.0), "row 2 of metrics: timestamp is missing"),
        (("2007-02-01", 1.0, 2.0, 3.0), "row 2 of metrics: timestamp is '2007-02-01'"),
        ((60.5, 1.0, 2.0, 3.0), "row 2 of metrics: Expected `int`"),
        ((-1, 1.0, 2.0, 3.0), "row 2 of metrics: Expected `int` >= 0"),
        ((60, 1e300, 2.0, 3.0), "row 2 of metrics: Expected `float` <="),
    ],
)
def test_a_cell_that_is_no_number_is_told_with_its_row(
    target: Path, tmp_path: Path, row: tuple[object, ...], said: str
) -> None:
    file = _plain(tmp_path / "plain.db", [(0, 1.0, 2.0, 3.0), row], [])
    with pytest.raises(EnrollError) as refused:
        importing.fill(target, KEY, file)
    assert str(refused.value).startswith(f"{file} cannot be imported: ")
    assert said in str(refused.value)
    assert _rows(target) == 0


@pytest.mark.parametrize(
    ("alarm", "said"),
    [
        ((None, 1.0), "row 1 of alarms: metric is None, not one of power, impedance, tension"),
        (("watts", 1.0), "row 1 of alarms: metric is 'watts'"),
        ((5, 1.0), "row 1 of alarms: metric is 5"),
        (("power", None), "row 1 of alarms: threshold is missing"),
        (("power", "high"), "row 1 of alarms: threshold is 'high'"),
    ],
)
def test_an_alarm_that_is_none_is_told_with_its_row(
    target: Path, tmp_path: Path, alarm: tuple[object, ...], said: str
) -> None:
    with pytest.raises(EnrollError) as refused:
        importing.fill(target, KEY, _plain(tmp_path / "plain.db", [GOOD], [alarm]))
    assert said in str(refused.value)
    assert _rows(target) == 0


def test_rows_without_values_are_skipped_and_told(target: Path, tmp_path: Path) -> None:
    empty: tuple[object, ...] = (180, None, None, None)
    file = _plain(tmp_path / "plain.db", [GOOD, empty, (240, None, None, None)], [])
    assert str(importing.fill(target, KEY, file)) == "1 reading imported; 2 skipped: missing"
    assert _rows(target) == 1


def test_lines_without_values_are_told(target: Path, tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("timestamp,power,impedance,tension\n60,1,2,3\n120,,,\n180,?,?,?\n")
    assert str(importing.fill(target, KEY, file)) == "1 reading imported; 2 skipped: missing"
    assert _rows(target) == 1


def test_a_missing_value_is_left_out_and_what_is_there_twice_is_told(
    target: Path, tmp_path: Path
) -> None:
    rows: list[tuple[object, ...]] = [GOOD, GOOD, (60, 9.0, 2.0, 3.0), (180, 1.0, None, None)]
    file = _plain(tmp_path / "plain.db", rows, [])
    said = "2 readings imported; 1 there already; 1 differ from others of their time, kept apart"
    assert str(importing.fill(target, KEY, file)) == said
    with closing(Database.open(target, KEY)) as opened:
        found = opened._connection.execute("SELECT timestamp, power, impedance FROM metrics")
        assert found.fetchall() == [(60, 1.0, 2.0), (180, 1.0, None)]


def test_all_lines_that_cannot_be_read_are_told(target: Path, tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("timestamp,power\n60,one\n120,2\n180,three\n")
    with pytest.raises(EnrollError) as refused:
        importing.fill(target, KEY, file)
    assert "line 2, column power: 'one'" in str(refused.value)
    assert "line 4, column power: 'three'" in str(refused.value)
    assert _rows(target) == 0


def test_a_file_that_is_no_database_is_told(target: Path, tmp_path: Path) -> None:
    file = tmp_path / "plain.db"
    file.write_bytes(b"SQLite format 3\x00" + bytes(100))
    with pytest.raises(EnrollError, match="cannot be imported"):
        importing.fill(target, KEY, file)
