"""Reservations: which process is kept for which user, and until when.

All are equally long, so the order in which they were made is the order in which they end. A repeated question does not
make one longer: it would let a peer that never logs in keep a server for ever.
"""

from collections import OrderedDict
from math import inf

from routing_manager.directory import Instance, Promise
from standby.ids import Uid


class Promises:
    """At most one process per user, at most one user per process."""

    __slots__ = ("_by_user", "_length")

    def __init__(self, length: float) -> None:
        self._length = length
        self._by_user: OrderedDict[Uid, Promise] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_user)

    @property
    def next_deadline(self) -> float:
        return self.first().deadline if self._by_user else inf

    def of(self, uid: Uid) -> Promise | None:
        return self._by_user.get(uid)

    def first(self) -> Promise:
        return next(iter(self._by_user.values()))

    def make(self, instance: Instance, uid: Uid, now: float) -> None:
        instance.promise = self._by_user[uid] = Promise(uid, instance, now + self._length)

    def end(self, promise: Promise) -> None:
        promise.instance.promise = None
        del self._by_user[promise.uid]
