"""What one user sent, and where each stored row belongs in it. Pure.

An item is what must be stored together: a batch of readings, or the alarms of one WRITE. It has all tries of all calls
that sent it, since a batch that was not acknowledged is sent again, in a later session if need be.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bench.faults import rows
from bench.faults.history import Call, History, Try
from smartgrid_client.messages import Alarm
from smartgrid_client.readings import Reading
from smartgrid_client.requests import Operation


class Table(StrEnum):
    READINGS = "readings"
    ALARMS = "alarms"


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """Rows that are stored together or not at all; equal only to itself."""

    table: Table
    number: int
    """Of the batch, or of the first alarm."""
    rows: int
    tries: tuple[Try, ...]
    file: str
    """The history."""

    @property
    def acknowledged(self) -> bool:
        """It was answered 200."""
        return any(not each.failed for each in self.tries)

    @property
    def generations(self) -> frozenset[int]:
        """Under which of them it may have been stored; empty: nothing is known.

        The try that was answered 200 and found no duplicate did store it. Without one, it was one of those that may
        have been done although they failed.
        """
        stored = [each for each in self.tries if not each.failed and not each.duplicate]
        possible = stored or [each for each in self.tries if each.maybe_done]
        return frozenset(each.generation for each in possible if each.generation is not None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored row belongs."""

    item: Item
    index: int


class Sent:
    """All items of one user."""

    def __init__(self, user: int, histories: Iterable[History]) -> None:
        """`user` is the number in the user's rows."""
        self.items = [item for history in histories for item in _items(history)]
        self._user = user
        self._batches = {each.number: each for each in self.items if each.table is Table.READINGS}
        self._alarms = {
            each.number + index: Place(each, index)
            for each in self.items
            if each.table is Table.ALARMS
            for index in range(each.rows)
        }

    def place_of_reading(self, row: Reading) -> Place | None:
        """None: the user never sent it."""
        number, index = rows.batch_of(self._user, row) or (0, 0)
        item = self._batches.get(number)
        return Place(item, index) if item is not None and index < item.rows else None

    def place_of_alarm(self, alarm: Alarm) -> Place | None:
        """None: the user never sent it."""
        return self._alarms.get(rows.alarm_of(self._user, alarm) or 0)


def _items(history: History) -> Iterable[Item]:
    tries = history.tries_by_call
    calls: dict[tuple[Table, int], list[Call]] = {}
    for call in history.calls.values():
        if call.batch is not None:
            calls.setdefault((Table.READINGS, call.batch), []).append(call)
        elif call.alarms:
            calls.setdefault((Table.ALARMS, call.alarms[0]), []).append(call)
    for (table, number), ours in calls.items():
        operation = Operation.LONG_WRITE if table is Table.READINGS else Operation.WRITE
        yield Item(
            table=table,
            number=number,
            rows=ours[0].rows or len(ours[0].alarms),
            tries=tuple(
                each for call in ours for each in tries[call.call] if each.operation is operation
            ),
            file=history.file,
        )
