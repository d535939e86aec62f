"""Storing readings: what is new is added, what is equal changes nothing, what differs is kept apart.

The identity of a reading is its time and its metric. Time by time:

    nothing is stored there     the value is stored
    the same value              nothing changes
    another value               the stored one stays, the new one becomes a conflict (`correct`: the other way round)

So a batch may be sent again, cut otherwise, or overlap another one, and the result is the same. A value that a client
was told is kept (200) is never lost: it is in `metrics`, or it is in `conflicts`, whose rows are never deleted unless
their value becomes the stored one.

Rejected: a digest of each batch, as version 2 had. It knows a batch that is sent again as a whole, and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from smartgrid_server import hours
from smartgrid_server.hours import HOUR
from smartgrid_server.messages import Metric, Row

Values = tuple[float | None, float | None, float | None]
"""Power, impedance, tension of one time."""
_METRICS: Final = tuple(Metric)
_NOTHING: Final[Values] = (None, None, None)
_INSERT: Final = "INSERT INTO metrics (timestamp, power, impedance, tension) VALUES (?, ?, ?, ?)"
_UPDATE: Final = "UPDATE metrics SET power = ?, impedance = ?, tension = ? WHERE timestamp = ?"
_SELECT: Final = "SELECT power, impedance, tension FROM metrics WHERE timestamp = ?"
_ANY: Final = "SELECT 1 FROM metrics WHERE timestamp >= ? AND timestamp <= ? LIMIT 1"
_KEEP_APART: Final = "INSERT OR IGNORE INTO conflicts (timestamp, metric, value) VALUES (?, ?, ?)"
_SETTLE: Final = "DELETE FROM conflicts WHERE timestamp = ? AND metric = ? AND value = ?"
CONFLICTS: Final = """CREATE TABLE conflicts (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
       metric TEXT NOT NULL, value REAL NOT NULL, UNIQUE (timestamp, metric, value))"""


@dataclass(slots=True)
class Counts:
    """Each row is in one of them; a row with a conflict is counted there, whatever else became of it."""

    stored: int = 0
    unchanged: int = 0
    corrected: int = 0
    conflicts: int = 0

    def __iadd__(self, other: Self) -> Self:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self


@dataclass(slots=True)
class Merge:
    """What storing some rows means for what is there. Pure; rows of one batch meet each other in their order."""

    correct: bool
    counts: Counts = field(default_factory=Counts)
    known: dict[int, Values] = field(default_factory=dict)
    """By time, as it is stored; times without an entry have no readings."""
    added: set[int] = field(default_factory=set)
    """Times that have no row in `metrics` yet."""
    changed: set[int] = field(default_factory=set)
    """Times whose row in `metrics` is not as in `known`."""
    apart: dict[tuple[int, Metric, float], bool] = field(default_factory=dict)
    """Values that become conflicts (True) or are conflicts no longer (False), in order."""

    def add(self, row: Row) -> None:
        """Merge one row."""
        timestamp, *given = row
        stored = self.known.get(timestamp, _NOTHING)
        if timestamp not in self.known:
            self.added.add(timestamp)
        kept, differing = list(stored), False
        for place, (old, new) in enumerate(zip(stored, given, strict=True)):
            if new is None or old == new:
                continue
            if old is None:
                kept[place] = new
                continue
            differing = True
            self._differ(timestamp, _METRICS[place], old, new)
            if self.correct:
                kept[place] = new
        merged: Values = (kept[0], kept[1], kept[2])
        self._count(differing=differing, new=merged != stored)
        if merged != stored:
            self.changed.add(timestamp)
        self.known[timestamp] = merged

    def _differ(self, timestamp: int, metric: Metric, old: float, new: float) -> None:
        self.apart[timestamp, metric, new] = not self.correct
        if self.correct:
            self.apart[timestamp, metric, old] = True

    def _count(self, *, differing: bool, new: bool) -> None:
        if differing and self.correct:
            self.counts.corrected += 1
        elif differing:
            self.counts.conflicts += 1
        elif new:
            self.counts.stored += 1
        else:
            self.counts.unchanged += 1


def store(connection: Any, rows: Sequence[Row], *, correct: bool = False) -> Counts:  # noqa: ANN401  # the database package has no types
    """Store rows, each with a value at least, within the caller's transaction."""
    times = {row[0] for row in rows}
    if len(times) == len(rows) and not _any_between(connection, times):
        connection.executemany(_INSERT, rows)
        hours.add(connection, rows)
        return Counts(stored=len(rows))
    merge = Merge(correct)
    for timestamp in sorted(times):
        found = connection.execute(_SELECT, (timestamp,)).fetchone()
        if found is not None:
            merge.known[timestamp] = found
    for row in rows:
        merge.add(row)
    _write(connection, merge)
    return merge.counts


def _any_between(connection: Any, times: Iterable[int]) -> bool:  # noqa: ANN401  # as above
    """Whether a row is stored from the first of these times to the last."""
    first, last = min(times, default=0), max(times, default=-1)
    return connection.execute(_ANY, (first, last)).fetchone() is not None


def _write(connection: Any, merge: Merge) -> None:  # noqa: ANN401  # as above
    changed = sorted(merge.changed)
    known, added = merge.known, merge.added
    connection.executemany(_INSERT, ((each, *known[each]) for each in changed if each in added))
    connection.executemany(_UPDATE, ((*known[each], each) for each in changed if each not in added))
    for (at, metric, value), apart in merge.apart.items():
        connection.execute(_KEEP_APART if apart else _SETTLE, (at, metric.value, value))
    hours.refresh(connection, dict.fromkeys(each // HOUR * HOUR for each in changed))
