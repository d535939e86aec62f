"""The one place where it is decided which server process a user is sent to. Synchronous, without clock or network.

Every method takes `now` (seconds on any clock that never goes back), first lets everything end whose time has come,
then changes state completely; what the outside has to do about it waits in `take_actions()`. Rules, in order: the
user's live ACTIVE process with the highest generation; the process reserved for this user; the process READY for
longest, which becomes RESERVED; a place in the waiting room; a refusal. Since whoever asks is not authenticated,
reservations are capped, and shared with those who wait when nobody logs in (see `assignments`).

Nobody but its user is sent to an ACTIVE process, and every wait and every promise ends by its deadline. Not promised:
that any of this is true of the real processes. It is what their wrappers said, and the server and the volume's claim
check again.

A route costs a constant amount of work however many processes and users there are. A partial report costs as much as
it holds, a full one as much as its wrapper holds.

Rejected: prolonging a promise when its user asks again (see `promises`); keeping the promised user's claim when
another one logs in there (the user asks again, and is a user like any other).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from routing_manager import reports
from routing_manager.actions import Action, WrapperLost
from routing_manager.assignments import Assignments
from routing_manager.directory import Directory, Instance, Wrapper
from routing_manager.guard import Guard
from routing_manager.outcomes import Entry, PromiseEnd, Refusal, Tally
from routing_manager.settings import Settings
from standby.ids import BootId, Slot, Uid, WrapperId
from standby.messages import InstanceReport, Presence, Report, ReportOutcome, ReportReply
from standby.states import State

T = TypeVar("T")


class Core:
    """All that the Routing Manager knows, and all that it decides."""

    def __init__(self, settings: Settings, now: float, ticket_prefix: str) -> None:
        """`ticket_prefix` must differ from that of every earlier life of the Routing Manager."""
        self.tally = Tally()
        self.directory = Directory()
        self._actions: list[Action] = []
        self._guard = Guard(self._actions)
        self.assignments = Assignments(
            settings, self.directory, self.tally, self._actions, self._guard, ticket_prefix
        )
        self._settings = settings
        self._settled_at = now + settings.settle

    @property
    def settled(self) -> bool:
        return self.assignments.settled

    @property
    def version(self) -> int:
        """Grows whenever something changes that a reader of the state can see."""
        return self.directory.version + self.assignments.room.version + self.settled

    def take_actions(self) -> list[Action]:
        """What has to be done since the last call, in order."""
        taken = self._actions.copy()
        self._actions.clear()
        return taken

    def next_deadline(self) -> float:
        """When `tick` has something to do; infinity when nothing is under way."""
        deadline = self.assignments.next_deadline
        if not self.settled:
            deadline = min(deadline, self._settled_at)
        silent, lost = (
            _first(self.directory.wrappers.values()),
            _first(self.directory.lost.values()),
        )
        if silent is not None:
            deadline = min(deadline, silent.heard + self._settings.wrapper_lost)
        if lost is not None:
            deadline = min(deadline, lost.heard + self._settings.wrapper_forgotten)
        return deadline

    def tick(self, now: float) -> None:
        """End whatever has reached its deadline: waits, promises, wrappers' lives, orders, the time to settle.

        It raises nothing: routes and reports begin with it, and must not fail for what is due for others.
        """
        if now < self.next_deadline():
            return
        self.assignments.settled = self.settled or now >= self._settled_at
        with self._guard.entry(Entry.TIMER, _nothing):
            self._lose_silent_wrappers(now)
        with self._guard.entry(Entry.TIMER, _nothing):
            self.assignments.expire(now)

    def route(self, uid: Uid, source: str | None, now: float) -> Instance | Refusal | None:
        """Where to send a connection of this user now, or why nowhere.

        `source` names where the connection came from, as coarsely as sources are to be told apart; None: unknown.
        None: this connection waits; the outcome comes as an action, unless `leave` is called for it before.
        """
        self.tick(now)
        return self.assignments.route(uid, source, now)

    def leave(self, uid: Uid, now: float) -> None:
        """One waiting connection of this user went away without an answer."""
        self.tick(now)
        self.assignments.leave(uid)

    def report(
        self,
        wrapper_id: WrapperId,
        report: Report,
        now: float,
        unclear: Mapping[Slot, BootId] = MappingProxyType({}),
    ) -> ReportReply:
        """Take in what a wrapper says; `unclear` are processes of which nothing is learned, and which are not gone.

        Raises:
            BadReportError: and nothing of it is used.
        """
        self.tick(now)
        known, live = self.directory.known(wrapper_id), wrapper_id in self.directory.wrappers
        reports.check(known, report, live=live)
        outcome = reports.judge(known, report, live=live)
        self.tally.reports[outcome] += 1
        if outcome is ReportOutcome.ACCEPTED:
            self._accept(wrapper_id, report, now, unclear)
            self.assignments.serve(now)
        elif known is not None:
            return ReportReply(outcome=outcome, epoch=known.epoch)
        return ReportReply(outcome=outcome, epoch=report.epoch)

    def order_failed(self, ticket: str, now: float) -> None:
        """The wrapper has not taken this order, and is not going to."""
        self.tick(now)
        self.assignments.order_failed(ticket, now)
        self.assignments.serve(now)

    def stop(self, now: float) -> None:
        """Refuse everybody who waits, because this process is about to end."""
        self.assignments.refuse_all(Refusal.STOPPING, now)

    def _accept(
        self, wrapper_id: WrapperId, report: Report, now: float, unclear: Mapping[Slot, BootId]
    ) -> None:
        wrapper = self.directory.heard(wrapper_id, report, now)
        if wrapper.draining != report.draining:
            self._set_draining(wrapper, report, now)
        told_of = {
            told.slot: told for told in report.instances
        }  # of two lives of a slot, the later
        if report.full:
            for slot in wrapper.instances.keys() - told_of.keys():
                gone = wrapper.instances[slot]
                if unclear.get(slot) != gone.told.boot_id:
                    with self._guard.entry(Entry.PROCESS, self.assignments.drop_process, gone):
                        self._forget(gone, now)
        news = [told for told in told_of.values() if self._learn_guarded(wrapper, told, now)]
        for told in news:
            if told.state is State.ACTIVE and told.uid is not None:
                with self._guard.entry(Entry.PROCESS, self._drop, wrapper, told):
                    self.assignments.logged_in(told.uid, now)
        if report.leaving:
            self._lose(wrapper, Presence.LEFT, now)

    def _set_draining(self, wrapper: Wrapper, report: Report, now: float) -> None:
        """A draining wrapper stops its idle servers, so nothing that was promised there is promised any more."""
        for instance in list(wrapper.instances.values()):
            if instance.promise is not None:
                with self._guard.entry(Entry.PROCESS, self.assignments.drop_process, instance):
                    self.assignments.end_promise(instance.promise, PromiseEnd.GONE, now)
        self.directory.set_draining(wrapper, draining=report.draining)
        if report.draining:
            self.assignments.give_up_orders(wrapper, now)

    def _learn_guarded(self, wrapper: Wrapper, told: InstanceReport, now: float) -> bool:
        try:  # not the guard's context: a report may have 100,000 entries
            return self._learn(wrapper, told, now)
        except Exception as error:  # noqa: BLE001  # one bad entry costs that entry, never the report
            self._guard.failed(Entry.PROCESS, error)
            self._drop(wrapper, told)
            return False

    def _drop(self, wrapper: Wrapper, told: InstanceReport) -> None:
        """After an error: forget what is known of the process in that slot."""
        known = wrapper.instances.get(told.slot)
        if known is not None:
            self.assignments.drop_process(known)

    def _learn(self, wrapper: Wrapper, told: InstanceReport, now: float) -> bool:
        """Bring one process up to date; False when nothing changed."""
        known = wrapper.instances.get(told.slot)
        if known is not None and known.told == told:
            return False
        same = known is not None and known.told.boot_id == told.boot_id
        if not reports.possible(told) or (known and same and not reports.follows(known.told, told)):
            self.tally.disbelieved += 1
            return False
        if known is not None and same:
            self._change(known, told, now)
        else:
            if known is not None:
                self._forget(known, now)
            known = self.directory.add(wrapper, told, now)
        if told.ticket is not None:
            self.assignments.ticket_shown(known, told.ticket, now)
        return True

    def _change(self, instance: Instance, told: InstanceReport, now: float) -> None:
        """The process went on; a promise of it stays only while it is READY."""
        promise = instance.promise
        if promise is not None and told.state is State.READY:
            self.directory.move(instance, State.RESERVED, told, now)
            return
        if promise is not None:
            how = PromiseEnd.GONE
            if told.state is State.ACTIVE:
                how = PromiseEnd.CONFIRMED if told.uid == promise.uid else PromiseEnd.TAKEN
            self.assignments.end_promise(promise, how, now)
        self.directory.move(instance, told.state, told, now)

    def _forget(self, instance: Instance, now: float) -> None:
        """The process is gone."""
        if instance.promise is not None:
            self.assignments.end_promise(instance.promise, PromiseEnd.GONE, now)
        if instance.told.ticket is not None:
            self.assignments.order_failed(instance.told.ticket, now)
        self.directory.remove(instance)

    def _lose_silent_wrappers(self, now: float) -> None:
        silent = _first(self.directory.wrappers.values())
        while silent is not None and silent.heard + self._settings.wrapper_lost <= now:
            instances = silent.instances.values()
            sessions = sum(each.state is State.ACTIVE for each in instances)
            silence = round(now - silent.heard, 3)
            lost = WrapperLost(silent.wrapper_id, silence, len(instances), sessions)
            self._actions.append(lost)
            self._lose(silent, Presence.LOST, now)
            self.tally.wrappers_lost += 1
            silent = _first(self.directory.wrappers.values())
        gone = _first(self.directory.lost.values())
        while gone is not None and gone.heard + self._settings.wrapper_forgotten <= now:
            self.directory.forget(gone)
            gone = _first(self.directory.lost.values())

    def _lose(self, wrapper: Wrapper, presence: Presence, now: float) -> None:
        """The wrapper is away, and all that it ran."""
        for instance in list(wrapper.instances.values()):
            with self._guard.entry(Entry.PROCESS, self.assignments.drop_process, instance):
                self._forget(instance, now)
        self.directory.lose(wrapper, presence)
        with self._guard.entry(Entry.WRAPPER, _nothing):
            self.assignments.give_up_orders(wrapper, now)


def _nothing() -> None:
    """What has failed is tried again at the next deadline, or has been done as far as it matters."""


def _first(items: Iterable[T]) -> T | None:
    return next(iter(items), None)
