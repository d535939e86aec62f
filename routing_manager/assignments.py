"""Who gets which process: promises, the waiting room, and orders of what is missing.

It answers for users; `core` brings it the news. Invariants: a process is promised to at most one user and a user has at
most one promise; nobody who waits has one; after `serve`, nobody waits while a process is READY.

Made-up names cannot shut out real users, however many there are and wherever they come from, because only LOGIN takes a
process and only its user can log in:

    a user beyond the caps    is sent to a process without a reservation; the next one to another process
    users who wait            are sent to a process whose reservation is idle (see `promises`): their sources take turns
    a full waiting room       sends to a process whose reservation has been idle, in turn, instead of refusing

Two real users may thus be sent to one process. It takes the first and tells the other one to connect again. So how
many are sent there follows what reservations come to: four times as many after each idle one, a quarter after each
whose user logs in. Beside a flood of made-up names, a user waits until the next reservation is idle; without one, few
real users meet at a process.

Rejected: widening per process, which begins anew whenever a process is replaced (users waited three times as long).
"""

import itertools
from collections.abc import Iterable
from typing import Final

from routing_manager.actions import Action, Answer, Refuse, StartServer
from routing_manager.directory import Directory, Instance, Promise, Wrapper
from routing_manager.guard import Guard
from routing_manager.orders import Order, Orders
from routing_manager.outcomes import Assignment, Entry, PromiseEnd, Refusal, Tally, WaitEnd
from routing_manager.promises import Promises
from routing_manager.settings import Settings
from routing_manager.waiting import WaitingRoom
from standby.ids import Uid
from standby.states import Event, State, after

_WIDER: Final = 4
"""How many times more users share the next process. A room of 1,000 is through after six idle reservations."""


def wider(share: int, places: int) -> int:
    """How many waiting users the next idle reservation is shared with, if this one is shared with `share`.

    At most a full waiting room: reservations are idle as long as nobody logs in, and that may be for ever.
    """
    return max(1, min(share * _WIDER, places))


def narrower(share: int) -> int:
    """Likewise, after the user of a reservation has logged in."""
    return max(1, share // _WIDER)


class Assignments:
    """Everything that ties a user to a process before LOGIN does."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        tally: Tally,
        actions: list[Action],
        guard: Guard,
        ticket_prefix: str,
    ) -> None:
        self.settled = False
        """Until then users without a session wait, because their session may not have been reported yet."""
        self.room = WaitingRoom(settings.waiting_places, settings.waiting_room)
        self.promises = Promises(
            settings.reservation,
            settings.exclusive,
            settings.reservations,
            settings.reservations_per_source,
        )
        self.orders = Orders(ticket_prefix, settings.order_retry)
        self._share = 1
        """How many who wait are sent to the next process whose reservation is idle."""
        self._on_demand = settings.approach == "on-demand"
        self._directory = directory
        self._tally = tally
        self._actions = actions
        self._guard = guard

    @property
    def next_deadline(self) -> float:
        soonest = min(
            self.promises.next_deadline, self.room.next_deadline, self.orders.next_deadline
        )
        return min(soonest, self.promises.next_idle) if self.room else soonest

    def route(self, uid: Uid, source: str | None, now: float) -> Instance | Refusal | None:
        """The rules, in order; None: the user waits."""
        counts = self._tally.assignments
        session = self._directory.session_of(uid)
        if session is not None:
            counts[Assignment.SESSION] += 1
            return session
        promise = self.promises.of(uid)
        if promise is not None:
            counts[Assignment.RESERVATION] += 1
            return promise.instance
        while self.settled and self._directory.ready:
            instance = next(iter(self._directory.ready))
            try:
                reserved = self._send(instance, uid, source, now)
            except Exception as error:  # noqa: BLE001  # a process that nobody can be sent to must not be the next one, too
                self._guard.failed(Entry.PROCESS, error)
                self.drop_process(instance)
            else:
                counts[Assignment.READY if reserved else Assignment.SHARED] += 1
                return instance
        return self._wait(uid, source, now)

    def leave(self, uid: Uid) -> None:
        if self.room.leave(uid):
            self._tally.waits[WaitEnd.LEFT] += 1
            self.orders.forget(uid)

    def expire(self, now: float) -> None:
        """End the promises, waits and orders whose time has come."""
        while self.promises.next_deadline <= now:
            promise = self.promises.first()
            with self._guard.entry(Entry.RESERVATION, self._drop_reservation, promise):
                self.end_promise(promise, PromiseEnd.EXPIRED, now)
        self.serve(now)
        while self.room.next_deadline <= now:
            late = Refusal.TIMED_OUT if self.settled else Refusal.NOT_SETTLED
            uid = self.room.first().uid
            with self._guard.entry(Entry.USER, self._drop_user, uid):
                self._refuse(uid, late, now)
        self._share_idle(now)
        with self._guard.entry(Entry.ORDER, self.orders.drop):
            self._order(self.orders.repeat(self.room.users, now))
        self.serve(now)

    def serve(self, now: float) -> None:
        """Give free processes to those who have waited longest, and order what is missing."""
        if not self.settled:
            return
        while self.room and self._directory.ready:
            place, instance = self.room.first(), next(iter(self._directory.ready))
            with self._guard.entry(Entry.USER, self._drop_both, place.uid, instance):
                self._send(instance, place.uid, place.source, now)
                self._answer(place.uid, instance, now)
        with self._guard.entry(Entry.ORDER, self.orders.drop):
            self._order(self.orders.place(self._directory.wrappers.values(), now))

    def refuse_all(self, reason: Refusal, now: float) -> None:
        while self.room:
            self._refuse(self.room.first().uid, reason, now)

    def end_promise(self, promise: Promise, how: PromiseEnd, now: float) -> None:
        """The process is READY again, if only until its news gives it another state."""
        self._tally.promises[how] += 1
        if how is PromiseEnd.CONFIRMED:
            self._share = narrower(self._share)
        self.promises.end(promise)
        instance = promise.instance
        ready = after(instance.state, Event.UNRESERVED)
        self._directory.move(instance, ready, instance.told, now)

    def drop_process(self, instance: Instance) -> None:
        """After an error: forget the process until it is reported again, and its reservation."""
        if instance.promise is not None:
            self.promises.drop(instance.promise)
        self._directory.drop(instance)

    def logged_in(self, uid: Uid, now: float) -> None:
        """The user is ACTIVE: nothing else is kept for this user, and whoever waits is sent there."""
        session = self._directory.session_of(uid)
        promise = self.promises.of(uid)
        if session is not None and promise is not None:
            self.end_promise(promise, PromiseEnd.ELSEWHERE, now)
        if session is not None and uid in self.room.users:
            self._answer(uid, session, now)

    def ticket_shown(self, instance: Instance, ticket: str, now: float) -> None:
        """A report shows a process that was started for an order."""
        match instance.told.state:
            case State.STARTING:
                self.orders.seen(ticket)
            case State.STOPPED:
                self.order_failed(ticket, now)
            case _:
                uid = self.orders.done(ticket)
                place = self.room.place_of(uid) if uid is not None else None
                if place is not None and instance in self._directory.ready:
                    if self.promises.allowed(place.source):
                        self._promise(instance, place.uid, place.source, now)
                    self._answer(place.uid, instance, now)

    def order_failed(self, ticket: str, now: float) -> None:
        """Nothing will come of this order; a ticket that was shown READY, or given up, changes nothing."""
        self._tally.orders_failed += self.orders.failed(ticket, self.room.users, now)

    def give_up_orders(self, wrapper: Wrapper, now: float) -> None:
        """The wrapper takes no orders any more."""
        self._tally.orders_failed += self.orders.give_up(wrapper, self.room.users, now)

    def _send(self, instance: Instance, uid: Uid, source: str | None, now: float) -> bool:
        """Send the user to a READY process; whether it is reserved, which the caps decide."""
        if self.promises.allowed(source):
            self._promise(instance, uid, source, now)
            return True
        self._directory.ready.move_to_end(instance)
        return False

    def _share_idle(self, now: float) -> None:
        """Send those who wait, and for whom nothing is being started, to processes whose reservation is idle."""
        while self.room and self.promises.next_idle <= now:
            promise = self.promises.idlest()
            with self._guard.entry(Entry.RESERVATION, self._drop_reservation, promise):
                self._share_one(promise, now)

    def _share_one(self, promise: Promise, now: float) -> None:
        self.promises.renew(promise, now)
        lacking = (uid for uid in self.room.in_turns() if not self.orders.under_way(uid))
        users = list(itertools.islice(lacking, self._share))
        for uid in users:
            self._answer(uid, promise.instance, now, Assignment.SHARED)
        if users:
            self._share = wider(self._share, self.room.places)

    def _promise(self, instance: Instance, uid: Uid, source: str | None, now: float) -> None:
        self.promises.make(instance, uid, source, now)
        reserved = after(instance.state, Event.RESERVED)
        self._directory.move(instance, reserved, instance.told, now)

    def _wait(self, uid: Uid, source: str | None, now: float) -> Instance | Refusal | None:
        if not self.room.join(uid, source, now):
            promise = self.promises.shared()
            if promise is not None:
                self._tally.assignments[Assignment.SHARED] += 1
                return promise.instance
            reason = Refusal.ROOM_FULL if self.settled else Refusal.NOT_SETTLED
            self._tally.refusals[reason] += 1
            return reason
        if self._on_demand:
            self.orders.need(uid)
            self.serve(now)
        self._share_idle(now)
        return None

    def _order(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self._tally.orders += 1
            if order.wrapper.control_url is not None:
                self._actions.append(
                    StartServer(order.wrapper.wrapper_id, order.wrapper.control_url, order.ticket)
                )

    def _answer(
        self, uid: Uid, instance: Instance, now: float, how: Assignment = Assignment.WAITED
    ) -> None:
        self._tally.assignments[how] += 1
        self._tally.waits[WaitEnd.SERVED] += 1
        self._actions.append(Answer(uid, instance, self._end_wait(uid, now)))

    def _refuse(self, uid: Uid, reason: Refusal, now: float) -> None:
        self._tally.refusals[reason] += 1
        self._tally.waits[WaitEnd.REFUSED] += 1
        self._actions.append(Refuse(uid, reason, self._end_wait(uid, now)))

    def _drop_reservation(self, promise: Promise) -> None:
        """After an error: it is gone, whatever its process says of it, so that no loop meets it again."""
        self.promises.drop(promise)
        self.drop_process(promise.instance)

    def _drop_user(self, uid: Uid) -> None:
        """After an error: whoever waits for this user's server is told to come again."""
        self.room.drop(uid)
        self.orders.forget(uid)
        self._tally.refusals[Refusal.FAILED] += 1
        self._tally.waits[WaitEnd.REFUSED] += 1
        self._actions.append(Refuse(uid, Refusal.FAILED, 0.0))

    def _drop_both(self, uid: Uid, instance: Instance) -> None:
        """After an error that may be in either; a user who was answered already is not told twice."""
        if uid in self.room.users:
            self._drop_user(uid)
        self.drop_process(instance)

    def _end_wait(self, uid: Uid, now: float) -> float:
        """Free the user's place; how long it was taken, in seconds."""
        self.orders.forget(uid)
        return now - self.room.take(uid).since
