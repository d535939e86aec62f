"""The tables of a user's database, and what makes them of an earlier version's.

    1   readings, alarms, batches; a reading was stored as often as it came in another batch
    2   sums by the hour
    3   values may be missing, conflicts have a table, batches have none; some times may still have several rows
    4   one row for each time

Of several rows for one time, the one that was stored first stays. Values of the others that are equal to it are the
same readings; values that differ become conflicts, so nothing that was acknowledged is lost.

Each step is one transaction. A process that dies in one leaves what it has found, and the next one goes on from there;
so a database that takes longer than a server may take to open it gets there in several sessions.

The rows of `metrics` stay where they are. A copy of the table would need as much room again, and a volume that is half
full would have no way to this version. What changes about it is only what its columns and its index may hold, which
SQLite lets one change in the schema's text (https://www.sqlite.org/lang_altertable.html, the end of section 7).
"""

from typing import Any, Final

from smartgrid_server import hours
from smartgrid_server.hours import HOUR
from smartgrid_server.messages import Metric
from smartgrid_server.storing import CONFLICTS

VERSION: Final = 4
_WITHOUT_HOURS: Final = 1
_WITH_BATCHES: Final = 2
EARLIER: Final = frozenset({_WITHOUT_HOURS, _WITH_BATCHES, 3})
"""Versions of which this one can be made."""
_METRICS: Final = """CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
       power REAL, impedance REAL, tension REAL)"""
_BY_TIME: Final = "CREATE UNIQUE INDEX metrics_by_time ON metrics (timestamp)"
_VERSIONED: Final = f"PRAGMA user_version = {VERSION}"
CREATE: Final = (
    _METRICS,
    _BY_TIME,
    """CREATE TABLE alarms (id INTEGER PRIMARY KEY AUTOINCREMENT, metric TEXT NOT NULL,
       threshold REAL NOT NULL)""",
    CONFLICTS,
    hours.SCHEMA,
    _VERSIONED,
)
_AT_ONCE: Final = 50_000
"""Times with several rows that one step looks at: less than a second of work, a few megabytes of memory."""
_REPEATED: Final = f"""CREATE TEMP TABLE repeated AS SELECT timestamp, min(id) AS first FROM metrics
       WHERE timestamp > ? GROUP BY timestamp HAVING count(*) > 1 ORDER BY timestamp LIMIT {_AT_ONCE}"""  # noqa: S608  # no input
# CROSS JOIN keeps SQLite from reading all of `metrics` to find a few times in it
_LATER: Final = """CREATE TEMP TABLE later AS SELECT metrics.id, repeated.first FROM repeated
       CROSS JOIN metrics ON metrics.timestamp = repeated.timestamp WHERE metrics.id <> repeated.first"""
_DIFFERING: Final = """INSERT OR IGNORE INTO conflicts (timestamp, metric, value)
       SELECT other.timestamp, '{metric}', other.{metric} FROM later
       CROSS JOIN metrics AS stays ON stays.id = later.first
       CROSS JOIN metrics AS other ON other.id = later.id
       WHERE other.{metric} <> stays.{metric} ORDER BY other.id"""
_HOURS_OF_2: Final = """INSERT INTO hours SELECT start, count, power, power_rest, count, impedance, impedance_rest,
       count, tension, tension_rest FROM hours_2"""


def version(connection: Any) -> int:  # noqa: ANN401  # the database package has no types
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def make_tables(connection: Any) -> None:  # noqa: ANN401  # as above
    """The step from version 1 or 2 to 3; nothing if it is made."""
    before = version(connection)
    if before > _WITH_BATCHES:
        return
    connection.execute(CONFLICTS)
    connection.execute("DROP TABLE batches")
    _rewrite(connection, "metrics", _METRICS)
    if before == _WITHOUT_HOURS:
        hours.rebuild(connection)
    else:
        connection.execute("ALTER TABLE hours RENAME TO hours_2")
        connection.execute(hours.SCHEMA)
        connection.execute(_HOURS_OF_2)
        connection.execute("DROP TABLE hours_2")
    connection.execute("PRAGMA user_version = 3")


def leave_one_row(connection: Any, after: int) -> int | None:  # noqa: ANN401  # as above
    """A step from version 3 towards 4: leave one row for each of the next times after `after`.

    Returns the last of these times; None: there were no more, and this is version 4.
    """
    connection.execute(_REPEATED, (after,))
    times = [time for (time,) in connection.execute("SELECT timestamp FROM repeated").fetchall()]
    if times:
        connection.execute(_LATER)
        for metric in Metric:
            connection.execute(_DIFFERING.format(metric=metric.value))
        connection.execute("DELETE FROM metrics WHERE id IN (SELECT id FROM later)")
        connection.execute("DROP TABLE later")
        hours.refresh(connection, dict.fromkeys(time // HOUR * HOUR for time in times))
    else:
        _rewrite(connection, "metrics_by_time", _BY_TIME)
        connection.execute(_VERSIONED)
    connection.execute("DROP TABLE repeated")
    return times[-1] if times else None


def _rewrite(connection: Any, name: str, text: str) -> None:  # noqa: ANN401  # as above
    """Change what is written about a table or an index; its pages stay as they are."""
    (cookie,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (text, name))
        connection.execute(f"PRAGMA schema_version = {cookie + 1}")  # has it read again
    finally:
        connection.execute("PRAGMA writable_schema = OFF")
