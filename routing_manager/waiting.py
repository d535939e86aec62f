"""The waiting room: bounded, fair to sources, one place per user however many connections ask.

Sources take turns (see `turns`), and in a full room a new user of a source with few places takes the place of the
newest user of the source with the most. So a source that sends many users keeps out and delays its own.

All wait equally long, so the oldest place is always the next to end, whoever's turn it is.
"""

from collections import OrderedDict
from collections.abc import Iterator, KeysView
from dataclasses import dataclass
from math import inf

from routing_manager.turns import Turns
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
    """At most `places` users, each for at most `length` seconds."""

    __slots__ = ("_by_age", "_length", "_turns", "places", "version")

    def __init__(self, places: int, length: float) -> None:
        self.places = places
        self._length = length
        self._by_age: OrderedDict[Uid, Place] = OrderedDict()
        self._turns = Turns()
        self.version = 0
        """Grows whenever a user gets or frees a place."""

    def __len__(self) -> int:
        return len(self._by_age)

    @property
    def users(self) -> KeysView[Uid]:
        """Those who wait, the one who came first first."""
        return self._by_age.keys()

    @property
    def next_deadline(self) -> float:
        return self.oldest().deadline if self._by_age else inf

    def in_turn(self) -> Iterator[Uid]:
        """Those who wait, in the order in which they are served."""
        return iter(self._turns)

    def next_in_turn(self) -> Place:
        return self._by_age[self._turns.first()]

    def oldest(self) -> Place:
        return next(iter(self._by_age.values()))

    def place_of(self, uid: Uid) -> Place | None:
        return self._by_age.get(uid)

    def join(self, uid: Uid, source: str | None, now: float) -> bool:
        """One more connection of this user waits; False when there is no place for a new user."""
        place = self._by_age.get(uid)
        if place is not None:
            place.connections += 1
            return True
        if len(self._by_age) >= self.places:
            return False
        self._by_age[uid] = Place(uid, source, now, now + self._length)
        self._turns.join(uid, source)
        self.version += 1
        return True

    def dispensable(self, source: str | None) -> Uid | None:
        """Who must give up a place to a new user of this source; None: the source would have no fewer than others."""
        if not self._by_age:
            return None
        uid, most = self._turns.newest_of_most()
        return uid if most > self._turns.count(source) + 1 else None

    def leave(self, uid: Uid) -> bool:
        """One connection of this user went away; True when it was the last and the place is free."""
        place = self._by_age.get(uid)
        if place is None:
            return False
        place.connections -= 1
        if place.connections == 0:
            self.drop(uid)
        return place.connections == 0

    def drop(self, uid: Uid) -> None:
        """As `take`, of a user who may not be waiting."""
        self.version += 1
        self._by_age.pop(uid, None)
        self._turns.leave(uid)

    def take(self, uid: Uid) -> Place:
        """Remove and return the place of a user who waits, and gets nothing."""
        place = self._by_age[uid]
        self.drop(uid)
        return place

    def serve(self, uid: Uid) -> Place:
        """Remove and return the place of a user who waits, and gets a server: the source has had its turn."""
        self.version += 1
        self._turns.serve(uid)
        return self._by_age.pop(uid)
