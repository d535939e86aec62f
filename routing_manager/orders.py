"""Starts on demand: for each waiting user one order of one server process, known by its ticket.

An order goes to the wrapper with the most room. Until a report shows its ticket it is repeated, with the same ticket,
so a lost order starts nothing twice; after `TRIES` it is given up and the user's next order goes elsewhere, as it does
when the wrapper refuses or the start fails. An order outlives its user: whoever waits first gets the process then.

Choosing a wrapper looks at each of them. They are few, and this happens per started process, not per route.
"""

from collections import OrderedDict, deque
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

from routing_manager.directory import Wrapper
from standby.deadlines import HEARTBEAT
from standby.ids import Uid

TRIES: Final = 2
"""Silence twice means that the wrapper reports but takes no orders; a third try would use up the user's patience."""
PAUSE: Final = HEARTBEAT
"""Seconds without orders for a wrapper that failed one; its next report says how much room it really has."""


@dataclass(slots=True, eq=False)
class Order:
    """One start, at one wrapper, for one user."""

    ticket: str
    uid: Uid
    wrapper: Wrapper
    retry_at: float
    tries: int = 1
    seen: bool = False
    """A report has shown the process; from then on it counts among the wrapper's own."""


class Orders:
    """Users who need an order, and orders under way."""

    __slots__ = (
        "_by_ticket",
        "_by_user",
        "_made",
        "_needed",
        "_pauses",
        "_prefix",
        "_retry",
        "_unseen",
    )

    def __init__(self, prefix: str, retry: float) -> None:
        """`prefix` must differ from that of every earlier life of the Routing Manager."""
        self._prefix = prefix
        self._retry = retry
        self._made = 0
        self._needed: OrderedDict[Uid, None] = OrderedDict()
        self._pauses: deque[float] = deque()
        """When wrappers that pause may be tried again; all pause equally long."""
        self._by_user: dict[Uid, Order] = {}
        self._by_ticket: dict[str, Order] = {}
        self._unseen: OrderedDict[str, Order] = OrderedDict()
        """By time of the next try: all wait equally long, and a repeated one goes to the end."""

    def __len__(self) -> int:
        return len(self._by_ticket)

    def pending(self) -> Iterable[Order]:
        """Orders that no report has shown."""
        return self._unseen.values()

    def under_way(self, uid: Uid) -> bool:
        return uid in self._by_user

    @property
    def next_deadline(self) -> float:
        """When an order is to be repeated, or a pausing wrapper may take one that is needed."""
        soonest = next(iter(self._unseen.values())).retry_at if self._unseen else inf
        return min(soonest, self._pauses[0]) if self._needed and self._pauses else soonest

    def need(self, uid: Uid) -> None:
        """The user waits; nothing changes if an order is under way already."""
        if not self.under_way(uid):
            self._needed[uid] = None

    def forget(self, uid: Uid) -> None:
        """The user no longer waits."""
        self._needed.pop(uid, None)

    def place(self, wrappers: Iterable[Wrapper], now: float) -> Iterator[Order]:
        """Make an order for each user who needs one, as long as some wrapper has room."""
        while self._pauses and self._pauses[0] <= now:
            self._pauses.popleft()
        candidates = list(wrappers) if self._needed else []
        while self._needed:
            wrapper = max(candidates, key=lambda each: _room(each, now), default=None)
            if wrapper is None or _room(wrapper, now) <= 0:
                return
            yield self._make(self._needed.popitem(last=False)[0], wrapper, now)

    def repeat(self, waiting: Container[Uid], now: float) -> Iterator[Order]:
        """The orders that were not seen in time, to be sent again; the hopeless among them are given up."""
        while self._unseen:
            order = next(iter(self._unseen.values()))
            if order.retry_at > now:
                return
            if order.tries >= TRIES or order.uid not in waiting:
                self.failed(order.ticket, waiting, now)
                continue
            order.tries += 1
            order.retry_at = now + self._retry
            self._unseen.move_to_end(order.ticket)
            yield order

    def drop(self) -> None:
        """After an error in `place` or `repeat`: give up what each of them began with."""
        if self._needed:
            del self._needed[next(iter(self._needed))]
        for ticket in list(self._unseen)[:1]:
            order = self._unseen.pop(ticket)
            self._by_ticket.pop(ticket, None)
            self._by_user.pop(order.uid, None)
            order.wrapper.ordered = sum(each.wrapper is order.wrapper for each in self.pending())

    def seen(self, ticket: str) -> None:
        """A report shows the process that this ticket ordered."""
        order = self._unseen.pop(ticket, None)
        if order is not None:
            order.seen = True
            order.wrapper.ordered -= 1

    def done(self, ticket: str) -> Uid | None:
        """The ordered process is READY; whom it was started for, if this ticket is known."""
        order = self._drop(ticket)
        return order.uid if order else None

    def failed(self, ticket: str, waiting: Container[Uid], now: float) -> bool:
        """The order came to nothing: its user, if still waiting, is the first to get another one.

        Returns False for a ticket that is not known (any more).
        """
        order = self._drop(ticket)
        if order is None:
            return False
        order.wrapper.paused_until = now + PAUSE
        self._pauses.append(order.wrapper.paused_until)
        if order.uid in waiting:
            self._needed[order.uid] = None
            self._needed.move_to_end(order.uid, last=False)
        return True

    def give_up(self, wrapper: Wrapper, waiting: Container[Uid], now: float) -> int:
        """The wrapper takes no more orders: those not seen yet have failed; returns how many."""
        tickets = [order.ticket for order in self._unseen.values() if order.wrapper is wrapper]
        for ticket in reversed(tickets):
            self.failed(ticket, waiting, now)
        return len(tickets)

    def _make(self, uid: Uid, wrapper: Wrapper, now: float) -> Order:
        self._made += 1
        order = Order(f"{self._prefix}-{self._made}", uid, wrapper, now + self._retry)
        wrapper.ordered += 1
        self._by_user[uid] = self._by_ticket[order.ticket] = self._unseen[order.ticket] = order
        return order

    def _drop(self, ticket: str) -> Order | None:
        self.seen(ticket)
        order = self._by_ticket.pop(ticket, None)
        if order is not None:
            del self._by_user[order.uid]
        return order


def _room(wrapper: Wrapper, now: float) -> int:
    """How many more starts the wrapper can take now; 0 if it takes none."""
    if wrapper.draining or wrapper.control_url is None or wrapper.paused_until > now:
        return 0
    return wrapper.capacity - wrapper.live - wrapper.ordered
