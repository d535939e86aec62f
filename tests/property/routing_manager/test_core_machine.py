"""The core against a model of plain dicts: whatever is reported, lost, repeated, asked or forgotten, in any order.

The machine moves a small truthful world (wrappers and their processes), delivers its reports as a bad network would,
asks for routes, and lets time pass. The model says what must be known and who must be waiting; the invariants are what
the Routing Manager promises.
"""

import itertools
import random
from collections import Counter
from typing import Final

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from routing_manager.actions import Answer, Failed, Refuse, StartServer
from routing_manager.core import Core
from routing_manager.directory import Instance
from routing_manager.outcomes import Refusal
from routing_manager.settings import Settings
from standby.ids import Uid
from standby.messages import InstanceReport, Report, ReportOutcome
from standby.states import State
from tests.unit.routing_manager.fakes import FakeWrapper

USERS: Final = [Uid(name) for name in ("alice", "bob", "carol", "dave")]
SLOTS: Final = range(3)
RESERVATION, WAITING, SETTLE, LOST, FORGOTTEN = 4.0, 6.0, 2.0, 3.0, 9.0
EXCLUSIVE: Final = 1.0
PLACES: Final = 3
MADE_UP: Final = 8
"""Names a second."""
HOURS: Final = 2
RESERVATIONS, OF_SOURCE = 3, 2

users = st.sampled_from(USERS)
slots = st.sampled_from(SLOTS)
which_wrappers: Final = range(2)
which = st.sampled_from(which_wrappers)
sources = st.sampled_from([None, "here", "there"])
Model = dict[tuple[str, int], InstanceReport]
"""(wrapper id, slot) → what must be known of the process there."""


class CoreMachine(RuleBasedStateMachine):
    """Approach `standby`."""

    approach = "standby"

    @initialize()
    def begin(self) -> None:
        self.now = 100.0
        self.wrappers = [FakeWrapper("w0", capacity=3), FakeWrapper("w1", capacity=3)]
        self.sent: list[tuple[FakeWrapper, Report]] = []
        self.claims: Counter[Uid] = Counter()
        self.orders: list[StartServer] = []
        self.lives = 0
        self.names = itertools.count(1)
        self.forget_everything()

    @rule()
    def forget_everything(self) -> None:
        """The Routing Manager is killed and starts again; the connections of those who waited are gone."""
        self.lives += 1
        settings = Settings(
            reservation=RESERVATION,
            exclusive=EXCLUSIVE,
            reservations=RESERVATIONS,
            reservations_per_source=OF_SOURCE,
            waiting_room=WAITING,
            waiting_places=PLACES,
            settle=SETTLE,
            wrapper_lost=LOST,
            wrapper_forgotten=FORGOTTEN,
            order_retry=1.5,
            approach=self.approach,  # type: ignore[arg-type]  # one of the two literals
        )
        self.core = Core(settings, self.now, f"life{self.lives}")
        self.began = self.now
        self.known: Model = {}
        self.heard: dict[str, tuple[int, int, float]] = {}
        self.draining: set[str] = set()
        self.waiting: dict[Uid, tuple[float, int]] = {}
        """user → (deadline, connections), in the order in which they came"""
        self.promised: dict[str, tuple[Uid, float]] = {}
        """boot id → (user, deadline)"""
        self.source_of: dict[Uid, str | None] = {}
        """Of the first connection of each user who waits."""

    # -- the world -----------------------------------------------------------------------------------------------------

    @rule(which=which, slot=slots, state=st.sampled_from([State.STARTING, State.READY]))
    def a_process_starts(self, which: int, slot: int, state: State) -> None:
        wrapper = self.wrappers[which]
        if slot not in wrapper.slots or wrapper.slots[slot].state is State.STOPPED:
            wrapper.start(slot, state)

    @rule(which=which, slot=slots)
    def a_process_becomes_ready(self, which: int, slot: int) -> None:
        if self._state(which, slot) is State.STARTING:
            self.wrappers[which].ready(slot)

    @rule(which=which, slot=slots, user=users, claims=st.booleans())
    def a_user_logs_in(self, which: int, slot: int, user: Uid, claims: bool) -> None:
        if self._state(which, slot) is State.READY:
            self.claims[user] += claims
            self.wrappers[which].login(slot, user, self.claims[user] if claims else None)

    @rule(which=which, slot=slots)
    def a_volume_is_claimed(self, which: int, slot: int) -> None:
        if self._state(which, slot) is State.ACTIVE:
            uid = self.wrappers[which].slots[slot].uid
            assert uid is not None
            self.claims[uid] += 1
            self.wrappers[which].login(slot, uid, self.claims[uid])

    @rule(which=which, slot=slots)
    def a_process_ends(self, which: int, slot: int) -> None:
        if slot in self.wrappers[which].slots:
            self.wrappers[which].stop(slot)

    @rule(which=which)
    def a_wrapper_restarts(self, which: int) -> None:
        self.wrappers[which].restart()

    @rule(which=which)
    def a_wrapper_changes_its_mind_about_draining(self, which: int) -> None:
        self.wrappers[which].draining = not self.wrappers[which].draining

    # -- the network ---------------------------------------------------------------------------------------------------

    @rule(which=which, full=st.booleans(), arrives=st.integers(0, 4))
    def a_wrapper_reports(self, which: int, full: bool, arrives: int) -> None:
        """One in five is lost, or comes late."""
        wrapper = self.wrappers[which]
        report = wrapper.full() if full else wrapper.partial()
        self.sent.append((wrapper, report))
        if arrives:
            self._deliver(wrapper, report)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_old_report_arrives_again_or_late(self, data: st.DataObject) -> None:
        self._deliver(*data.draw(st.sampled_from(self.sent[-8:])))

    # -- users and time ------------------------------------------------------------------------------------------------

    @rule(user=users, source=sources)
    def a_user_asks(self, user: Uid, source: str | None) -> None:
        self.core.tick(self.now)
        self._take_actions()
        capped = not self._may_promise(source)
        outcome = self.core.route(user, source, self.now)
        active = self._active_of(user)
        if isinstance(outcome, Instance):
            self._check_sent_to(user, outcome, capped=capped)
            if outcome.state is not State.ACTIVE:
                assert not active, "a session comes before a promise"
                self._remember_promise(user, outcome)
            self._take_actions()
            return
        assert not active, f"{user} has a session and was not sent there"
        if outcome is None:
            deadline, connections = self.waiting.get(user, (self.now + WAITING, 0))
            self.waiting[user] = (deadline, connections + 1)
            self.source_of.setdefault(user, source)
            self._take_actions()
        else:
            full = Refusal.ROOM_FULL if self.core.settled else Refusal.NOT_SETTLED
            assert outcome is full
            assert user not in self.waiting
            assert len(self.waiting) == PLACES
            self._take_actions()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_waiting_connection_is_closed(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(list(self.waiting)))
        self.core.leave(user, self.now)
        self._take_actions()
        if user in self.waiting:
            deadline, connections = self.waiting[user]
            self.waiting[user] = (deadline, connections - 1)
            if connections == 1:
                del self.waiting[user], self.source_of[user]

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.5, 5.0]))
    def time_passes(self, seconds: float) -> None:
        """The timer fires at each deadline on the way, as the service's does, and never twice for nothing."""
        end = self.now + seconds
        while self.core.next_deadline() <= end:
            deadline = self.core.next_deadline()
            self.now = max(self.now, deadline)
            self._expire()
            self.core.tick(self.now)
            self._take_actions()
            assert self.core.next_deadline() > deadline, "the timer would spin"
        self.now = end
        self._expire()

    @rule()
    def a_stranger_asks_for_a_second(self) -> None:
        """With new names from one address, while the wrappers report as ever."""
        for _ in range(MADE_UP):
            self.a_user_asks(Uid(f"made-up-{next(self.names)}"), "there")
        for number in which_wrappers:
            self.a_wrapper_reports(number, full=True, arrives=1)
        self.time_passes(1.0)

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        for _ in range(4):
            self.time_passes(5.0)
        assert not self.waiting, "everybody who waited has an answer"
        assert not self.core.assignments.promises, "every promise has ended"

    # -- invariants ----------------------------------------------------------------------------------------------------

    @invariant()
    def exactly_what_was_reported_is_known(self) -> None:
        told = {
            (str(wrapper.wrapper_id), int(slot)): instance.told
            for wrapper in self.core.directory.wrappers.values()
            for slot, instance in wrapper.instances.items()
        }
        assert told == self.known

    @invariant()
    def every_process_is_promised_to_one_user_and_every_user_one_process(self) -> None:
        promised = [each.promise for each in self._instances() if each.promise]
        assert len({each.uid for each in promised}) == len(promised)
        assert len(promised) == len(self.core.assignments.promises)
        for promise in promised:
            assert self.core.assignments.promises.of(promise.uid) is promise
            assert promise.deadline > self.now
            boot_id = promise.instance.told.boot_id
            assert self.promised[boot_id] == (promise.uid, promise.deadline)

    @invariant()
    def no_more_is_promised_than_the_caps_allow(self) -> None:
        promised = [each.promise for each in self._instances() if each.promise]
        sources = Counter(each.source for each in promised if each.source is not None)
        assert len(promised) <= RESERVATIONS
        assert all(count <= OF_SOURCE for count in sources.values())

    @invariant()
    def reserved_means_ready_and_promised(self) -> None:
        for each in self._instances():
            assert (each.state is State.RESERVED) == (each.promise is not None)
            expected = State.READY if each.state is State.RESERVED else each.state
            assert each.told.state is expected

    @invariant()
    def users_wait_exactly_as_the_model_says_and_in_its_order(self) -> None:
        assert list(self.core.assignments.room.users) == list(self.waiting)
        assert len(self.waiting) <= PLACES
        assert all(deadline > self.now for deadline, _ in self.waiting.values())

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        for user in self.waiting:
            assert not self._active_of(user)
            assert self.core.assignments.promises.of(user) is None
        if self.waiting and self.core.settled:
            assert not self.core.directory.ready

    @invariant()
    def every_index_agrees_with_a_recount(self) -> None:
        directory = self.core.directory
        counted = Counter(each.state for each in self._instances())
        assert {state: count for state, count in directory.counts.items() if count} == counted
        ready = {
            each
            for each in self._instances()
            if each.state is State.READY and not each.wrapper.draining
        }
        assert set(directory.ready) == ready
        for wrapper in directory.wrappers.values():
            live = [each for each in wrapper.instances.values() if each.state is not State.STOPPED]
            assert wrapper.live == len(live)
            assert wrapper.draining == (wrapper.wrapper_id in self.draining)
        heard = [each.heard for each in directory.wrappers.values()]
        assert heard == sorted(heard)
        assert {*directory.wrappers, *directory.lost} == set(self.heard)

    # -- the model -----------------------------------------------------------------------------------------------------

    def _deliver(self, wrapper: FakeWrapper, report: Report) -> None:
        self._expire()
        name = str(wrapper.wrapper_id)
        expected = self._judge(name, report)
        reply = self.core.report(wrapper.wrapper_id, report, self.now)
        assert reply.outcome is expected
        if expected is ReportOutcome.ACCEPTED:
            self._accept(name, report)
        self._take_actions()

    def _judge(self, name: str, report: Report) -> ReportOutcome:
        epoch, sequence, heard = self.heard.get(name, (-1, -1, -1.0))
        if (report.epoch, report.sequence) <= (epoch, sequence):
            return ReportOutcome.STALE
        next_one = (report.epoch, report.sequence) == (epoch, sequence + 1)
        if report.full or (next_one and heard + LOST > self.now):
            return ReportOutcome.ACCEPTED
        return ReportOutcome.RESYNC

    def _accept(self, name: str, report: Report) -> None:
        self.heard[name] = (report.epoch, report.sequence, self.now)
        self.draining.discard(name)
        if report.draining:
            self.draining.add(name)
        if report.full:
            told = {each.slot for each in report.instances}
            self.known = {
                key: value for key, value in self.known.items() if key[0] != name or key[1] in told
            }
        self.known |= {(name, each.slot): each for each in report.instances}

    def _expire(self) -> None:
        """What must be gone by now."""
        for name, (_, _, heard) in list(self.heard.items()):
            if heard + LOST <= self.now:
                self.known = {k: v for k, v in self.known.items() if k[0] != name}
            if heard + FORGOTTEN <= self.now:
                del self.heard[name]
                self.draining.discard(name)

    def _take_actions(self) -> None:
        for action in self.core.take_actions():
            match action:
                case Answer(uid, instance, waited):
                    assert 0 <= waited <= WAITING
                    capped = not self._may_promise(self.source_of.pop(uid))
                    self._check_sent_to(uid, instance, capped=capped)
                    own = instance.promise is not None and instance.promise.uid == uid
                    if (
                        own and instance.told.ticket is None
                    ):  # others share, or get what was ordered for them
                        assert uid == next(iter(self.waiting)), "first come, first served"
                    self._remember_promise(uid, instance)
                    del self.waiting[uid]
                case Refuse(uid, reason, _):
                    deadline, _ = self.waiting.pop(uid)
                    del self.source_of[uid]
                    assert deadline == self.now, "refused at the deadline, not before or after"
                    unsettled = self.now < self.began + SETTLE
                    assert reason is (Refusal.NOT_SETTLED if unsettled else Refusal.TIMED_OUT)
                case StartServer():
                    self.orders.append(action)
                case Failed(_, error):
                    raise error
                case _:
                    pass

    def _check_sent_to(self, user: Uid, instance: Instance, *, capped: bool) -> None:
        if instance.state is State.ACTIVE:
            assert instance.told.uid == user, "another user's process"
            best = max(each.generation or 0 for each in self._active_of(user))
            assert (instance.told.generation or 0) == best
        elif instance.promise is None:
            assert instance.state is State.READY
            assert capped, "within the caps a process is promised"
        elif instance.promise.uid != user:
            exclusive_until = instance.promise.deadline - RESERVATION + EXCLUSIVE
            assert exclusive_until <= self.now, "promised to another user just now"

    def _may_promise(self, source: str | None) -> bool:
        """Before an outcome is remembered: whether the caps allowed one more promise."""
        promised = [each.promise for each in self._instances() if each.promise]
        sources = Counter(
            each.source
            for each in promised
            if self.promised.get(each.instance.told.boot_id) == (each.uid, each.deadline)
        )
        total = sum(sources.values())
        return total < RESERVATIONS and (source is None or sources[source] < OF_SOURCE)

    def _remember_promise(self, user: Uid, instance: Instance) -> None:
        """A new promise lasts its length from now; one that is asked for again is not prolonged."""
        if instance.promise is None or instance.promise.uid != user:
            return
        known_user, deadline = self.promised.get(instance.told.boot_id, (None, 0.0))
        if known_user != user or deadline <= self.now:
            deadline = self.now + RESERVATION
        self.promised[instance.told.boot_id] = (user, deadline)

    def _active_of(self, user: Uid) -> list[InstanceReport]:
        return [
            each for each in self.known.values() if each.state is State.ACTIVE and each.uid == user
        ]

    def _state(self, which: int, slot: int) -> State | None:
        told = self.wrappers[which].slots.get(slot)
        return told.state if told else None

    def _instances(self) -> list[Instance]:
        return [
            instance
            for wrapper in self.core.directory.wrappers.values()
            for instance in wrapper.instances.values()
        ]


class OnDemandMachine(CoreMachine):
    """Approach `on-demand`: orders are carried out, late, twice, refused or lost."""

    approach = "on-demand"

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), state=st.sampled_from([State.STARTING, State.READY]))
    def an_order_is_carried_out(self, data: st.DataObject, state: State) -> None:
        order = data.draw(st.sampled_from(self.orders[-6:]))
        wrapper = next(each for each in self.wrappers if each.wrapper_id == order.wrapper_id)
        if any(each.ticket == order.ticket for each in wrapper.slots.values()):
            return
        free = [slot for slot in SLOTS if self._is_free(wrapper, slot)]
        if free and not wrapper.draining:
            wrapper.start(free[0], state, ticket=order.ticket)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def an_order_is_refused(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.orders[-6:]))
        self.core.order_failed(order.ticket, self.now)
        self._take_actions()

    @invariant()
    def what_is_ordered_fits_and_is_counted(self) -> None:
        orders = self.core.assignments.orders
        directory = self.core.directory
        unseen = Counter(each.wrapper.wrapper_id for each in orders.pending())
        for wrapper in [*directory.wrappers.values(), *directory.lost.values()]:
            assert wrapper.ordered == unseen[wrapper.wrapper_id]
        assert not any(each.wrapper.wrapper_id in directory.lost for each in orders.pending())

    @invariant()
    def everybody_who_waits_has_an_order_or_no_wrapper_has_room(self) -> None:
        if not self.core.settled:
            return
        orders = self.core.assignments.orders
        lacking = [user for user in self.waiting if not orders.under_way(user)]
        if lacking:
            assert not any(
                each.capacity > each.live + each.ordered
                and not each.draining
                and each.paused_until <= self.now
                for each in self.core.directory.wrappers.values()
            )

    @staticmethod
    def _is_free(wrapper: FakeWrapper, slot: int) -> bool:
        return slot not in wrapper.slots or wrapper.slots[slot].state is State.STOPPED


_SETTINGS: Final = hypothesis_settings(
    max_examples=150, stateful_step_count=60, deadline=None, database=None
)
TestStandby = CoreMachine.TestCase
TestStandby.settings = _SETTINGS
TestOnDemand = OnDemandMachine.TestCase
TestOnDemand.settings = _SETTINGS


def _check_invariants(machine: CoreMachine) -> None:
    for each in machine.invariants:
        each.function(machine)


@pytest.mark.parametrize("machine", [CoreMachine, OnDemandMachine])
def test_hours_of_made_up_names_without_a_login_end_nothing(machine: type[CoreMachine]) -> None:
    """What only time can make large enough to break; every minute something else happens to the servers."""
    dice = random.Random(machine.approach)
    core = machine()
    core.begin()
    for minute in range(HOURS * 60):
        slot, number = dice.choice(SLOTS), dice.choice(which_wrappers)
        match dice.choice(["start", "start", "end", "restart"] if minute % 20 == 0 else ["start"]):
            case "start":
                core.a_process_starts(number, slot, State.READY)
            case "end":
                core.a_process_ends(number, slot)
            case _:
                core.a_wrapper_restarts(number)
        for _ in range(60):
            core.a_stranger_asks_for_a_second()
        _check_invariants(core)
    core.teardown()
