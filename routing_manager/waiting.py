"""The waiting room: bounded, first come first served, one place per user however many connections ask.

All wait equally long, so the queue is ordered by deadline too and the first place is always the next to end.

A process that several users share is no place in a queue: there, sources take turns, so that a source with many
made-up names delays only its own users.
"""

from collections import OrderedDict
from collections.abc import Iterator, KeysView
from dataclasses import dataclass
from math import inf

from standby.ids import Uid


@dataclass(slots=True)
class Place:
    """A user's place; the connections that share it get the same answer."""

    uid: Uid
    source: str | None
    """Where the first of its connections came from, if that is known."""
    since: float
    deadline: float
    connections: int = 1


class WaitingRoom:
    """A queue of at most `places` users, each for at most `length` seconds."""

    __slots__ = ("_by_source", "_length", "_queue", "places", "version")

    def __init__(self, places: int, length: float) -> None:
        self.places = places
        self._length = length
        self._queue: OrderedDict[Uid, Place] = OrderedDict()
        self._by_source: OrderedDict[str | None, OrderedDict[Uid, None]] = OrderedDict()
        """None empty; the source that has left a place or come last is last."""
        self.version = 0
        """Grows whenever a user gets or frees a place."""

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def users(self) -> KeysView[Uid]:
        """Those who wait, in order."""
        return self._queue.keys()

    @property
    def next_deadline(self) -> float:
        return self.first().deadline if self._queue else inf

    def in_turns(self) -> Iterator[Uid]:
        """Those who wait, one of each source and again, each source's in order; nothing may change meanwhile."""
        lines = [iter(line) for line in self._by_source.values()]
        while lines:
            firsts = [(next(line, None), line) for line in lines]
            lines = [line for uid, line in firsts if uid is not None]
            yield from (uid for uid, _ in firsts if uid is not None)

    def first(self) -> Place:
        return next(iter(self._queue.values()))

    def place_of(self, uid: Uid) -> Place | None:
        return self._queue.get(uid)

    def join(self, uid: Uid, source: str | None, now: float) -> bool:
        """One more connection of this user waits; False when there is no place for a new user."""
        place = self._queue.get(uid)
        if place is not None:
            place.connections += 1
            return True
        if len(self._queue) >= self.places:
            return False
        self._queue[uid] = Place(uid, source, now, now + self._length)
        self._by_source.setdefault(source, OrderedDict())[uid] = None
        self.version += 1
        return True

    def leave(self, uid: Uid) -> bool:
        """One connection of this user went away; True when it was the last and the place is free."""
        place = self._queue.get(uid)
        if place is None:
            return False
        place.connections -= 1
        if place.connections == 0:
            self.take(uid)
        return place.connections == 0

    def drop(self, uid: Uid) -> None:
        """As `take`, of a user who may not be waiting, or whose place cannot be relied on."""
        self.version += 1
        self._queue.pop(uid, None)
        for source, line in list(self._by_source.items()):
            line.pop(uid, None)
            if not line:
                del self._by_source[source]

    def take(self, uid: Uid) -> Place:
        """Remove and return the place of a user who waits."""
        self.version += 1
        place = self._queue.pop(uid)
        line = self._by_source.pop(place.source)
        line.pop(uid)
        if line:
            self._by_source[place.source] = line
        return place
