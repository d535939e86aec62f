"""Reservations: which process is kept for which user, against whom, and until when.

All are equally long, so the order in which they were made is the order in which they end. A repeated question does not
make one longer: it would let a peer that never logs in keep a server for ever.

Whoever asks is not authenticated, so a reservation is worth only so much. It is exclusive for a moment, long enough
for a client that means it; one that is idle after that still holds its process, but others who have to wait may be
sent there too (`assignments` says who), and the first to log in has it. Reservations are capped, for one source of
connections and in all.

Rejected: refusing users beyond a cap, which lets a flood of made-up names shut out everybody who comes the same way;
taking a reservation away from a slow user before its time, which only moves the server from one stranger to the next.
"""

from collections import Counter, OrderedDict
from math import inf

from routing_manager.directory import Instance, Promise
from standby.ids import Uid


class Promises:
    """At most one process per user, at most one user per process. Durations in seconds."""

    __slots__ = (
        "_by_source",
        "_by_user",
        "_exclusive",
        "_length",
        "_most",
        "_most_of_source",
        "_queue",
        "_shared",
    )

    def __init__(self, length: float, exclusive: float, most: int, most_of_source: int) -> None:
        self._length = length
        self._exclusive = exclusive
        self._most = most
        self._most_of_source = most_of_source
        self._by_user: OrderedDict[Uid, Promise] = OrderedDict()
        self._by_source: Counter[str] = Counter()
        self._queue: OrderedDict[Uid, Promise] = OrderedDict()
        """By the end of their exclusive time: it is equally long for all, and a renewed one goes to the end."""
        self._shared: OrderedDict[Uid, Promise] = OrderedDict()
        """Those that were idle once: others may be sent there."""

    def __len__(self) -> int:
        return len(self._by_user)

    @property
    def next_deadline(self) -> float:
        """When the first of them ends."""
        return self.first().deadline if self._by_user else inf

    @property
    def next_idle(self) -> float:
        """When the first of them is idle, that is, no longer exclusive."""
        return self.idlest().exclusive_until if self._queue else inf

    def of(self, uid: Uid) -> Promise | None:
        return self._by_user.get(uid)

    def first(self) -> Promise:
        return next(iter(self._by_user.values()))

    def idlest(self) -> Promise:
        """The one whose exclusive time ended, or ends, first."""
        return next(iter(self._queue.values()))

    def shared(self) -> Promise | None:
        """One that others may be sent to, each time another one; None while all are exclusive for the first time."""
        promise = next(iter(self._shared.values()), None)
        if promise is not None:
            self._shared.move_to_end(promise.uid)
        return promise

    def allowed(self, source: str | None) -> bool:
        """Whether one more can be made for somebody who comes from there."""
        return len(self) < self._most and (
            source is None or self._by_source[source] < self._most_of_source
        )

    def make(self, instance: Instance, uid: Uid, source: str | None, now: float) -> None:
        promise = Promise(uid, source, instance, now + self._length, now + self._exclusive)
        instance.promise = self._by_user[uid] = self._queue[uid] = promise
        if source is not None:
            self._by_source[source] += 1

    def renew(self, promise: Promise, now: float) -> None:
        """It was idle: make it exclusive once more, against those who wait. It does not become longer."""
        promise.exclusive_until = now + self._exclusive
        self._queue.move_to_end(promise.uid)
        self._shared[promise.uid] = promise

    def drop(self, promise: Promise) -> None:
        """As `end`, of one whose record cannot be relied on."""
        promise.instance.promise = None
        for index in (self._by_user, self._queue, self._shared):
            for uid in [uid for uid, each in index.items() if each is promise]:
                del index[uid]
        self._by_source = Counter(
            each.source for each in self._by_user.values() if each.source is not None
        )

    def end(self, promise: Promise) -> None:
        promise.instance.promise = None
        del self._by_user[promise.uid], self._queue[promise.uid]
        self._shared.pop(promise.uid, None)
        if promise.source is not None:
            self._by_source[promise.source] -= 1
            if not self._by_source[promise.source]:
                del self._by_source[promise.source]
