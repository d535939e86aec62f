"""The rules by which a user is sent to a process, in their order."""

import sys
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from routing_manager import views
from routing_manager.actions import Answer, Refuse, WrapperLost
from routing_manager.directory import Instance
from routing_manager.outcomes import Assignment, PromiseEnd, Refusal
from standby.messages import Ages, Presence
from standby.states import State, StopReason
from tests.unit.routing_manager.fakes import ClockedCore, FakeWrapper


@pytest.fixture
def wrapper() -> FakeWrapper:
    return FakeWrapper("w1")


@pytest.fixture
def core() -> ClockedCore:
    return ClockedCore(reservation=10.0, waiting_room=15.0, waiting_places=3)


def test_a_user_with_a_session_is_sent_there_and_no_other_user_is(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    active = wrapper.start(0)
    wrapper.login(0, "alice", 1)
    free = wrapper.start(1)
    core.tell(wrapper)

    assert core.booted("alice") == active.boot_id
    assert core.booted("bob") == free.boot_id
    assert core.route("carol") is None


def test_of_two_sessions_of_one_user_the_highest_generation_wins_and_none_ranks_lowest(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    for slot in range(3):
        wrapper.start(slot)
    wrapper.login(0, "alice")
    core.tell(wrapper)
    assert core.booted("alice") == wrapper.slots[0].boot_id

    wrapper.login(1, "alice", 7)
    wrapper.login(2, "alice", 3)
    core.tell(wrapper)
    assert core.booted("alice") == wrapper.slots[1].boot_id

    wrapper.stop(1)
    core.tell(wrapper)
    assert core.booted("alice") == wrapper.slots[2].boot_id


def test_a_new_user_gets_the_process_that_has_been_ready_for_longest(core: ClockedCore) -> None:
    first, second = FakeWrapper("w2"), FakeWrapper("w1")
    older = first.start(5)
    core.tell(first)
    core.after(1.0)
    younger = second.start(0)
    core.tell(second)

    assert core.booted("alice") == older.boot_id
    assert core.booted("bob") == younger.boot_id


def test_a_reserved_user_who_asks_again_gets_the_same_process_and_no_more_time(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    core.tell(wrapper)
    promised = core.booted("alice")
    core.after(4.0)
    core.tell(wrapper)
    assert core.booted("alice") == promised
    core.after(4.0)
    core.tell(wrapper)

    core.after(2.0)

    assert core.core.directory.counts[State.READY] == 1
    assert core.core.tally.promises[PromiseEnd.EXPIRED] == 1


def test_a_ready_report_of_a_reserved_process_keeps_it_reserved(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    core.tell(wrapper)
    promised = core.booted("alice")
    core.report(wrapper, wrapper.full())
    wrapper.ready(0)
    core.tell(wrapper)

    assert core.booted("alice") == promised
    assert core.route("bob") is None


def test_a_promise_is_confirmed_by_the_login_of_its_user(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    core.tell(wrapper)
    promised = core.booted("alice")
    wrapper.login(0, "alice", 1)
    core.tell(wrapper)

    assert core.booted("alice") == promised
    assert core.core.tally.promises[PromiseEnd.CONFIRMED] == 1
    core.after(10.0)
    assert core.core.tally.promises[PromiseEnd.EXPIRED] == 0


def test_a_promise_ends_when_another_user_logs_in_there(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    core.tell(wrapper)
    core.booted("alice")
    wrapper.login(0, "mallory", 1)
    spare = wrapper.start(1)
    core.tell(wrapper)

    assert core.core.tally.promises[PromiseEnd.TAKEN] == 1
    assert core.booted("alice") == spare.boot_id


def test_a_promise_ends_when_its_user_logs_in_elsewhere_and_the_process_is_free_at_once(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    core.tell(wrapper)
    first = core.booted("alice")
    wrapper.start(1)
    wrapper.login(1, "alice", 2)
    core.tell(wrapper)

    assert core.booted("alice") == wrapper.slots[1].boot_id
    assert core.booted("bob") == first
    assert core.core.tally.promises[PromiseEnd.ELSEWHERE] == 1


@pytest.mark.parametrize("how", ["stopped", "replaced", "left out of a full report"])
def test_a_promise_ends_with_its_process(core: ClockedCore, wrapper: FakeWrapper, how: str) -> None:
    wrapper.start(0)
    core.tell(wrapper)
    core.booted("alice")
    match how:
        case "stopped":
            wrapper.stop(0)
        case "replaced":
            wrapper.start(0, State.STARTING)
        case _:
            wrapper.remove(0)
    core.report(wrapper, wrapper.full())

    assert core.core.tally.promises[PromiseEnd.GONE] == 1
    assert core.route("alice") is None


def test_waiting_users_are_served_in_the_order_in_which_they_came(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    assert core.route("alice") is None
    core.after(1.0)
    assert core.route("bob") is None
    assert core.route("alice") is None

    first, second = wrapper.start(0), wrapper.start(1)
    actions = core.tell(wrapper)

    served = [(each.uid, each.instance.told) for each in actions if isinstance(each, Answer)]
    assert served == [("alice", first), ("bob", second)]
    assert core.core.tally.assignments[Assignment.WAITED] == 2


def test_an_expired_promise_serves_the_user_who_waits_longest(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    core.tell(wrapper)
    promised = core.booted("alice")
    for _ in range(2):
        core.after(4.5)
        core.tell(wrapper)
    core.core.assignments.promises.renew(core.core.assignments.promises.first(), core.now)
    assert core.route("bob") is None

    (answer,) = core.after(1.0)

    assert isinstance(answer, Answer)
    assert (answer.uid, answer.instance.told.boot_id) == ("bob", promised)
    assert answer.waited == pytest.approx(1.0)


def test_nobody_waits_longer_than_the_waiting_rooms_deadline(core: ClockedCore) -> None:
    core.route("alice")
    assert core.core.next_deadline() == core.now + 15.0
    assert core.after(14.9) == []

    (refusal,) = core.after(0.1)

    assert isinstance(refusal, Refuse)
    assert (refusal.uid, refusal.reason) == ("alice", Refusal.TIMED_OUT)
    assert core.core.next_deadline() == float("inf")


def test_a_full_waiting_room_refuses_new_users_and_not_those_who_wait_or_have_a_session(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    wrapper.login(0, "active", 1)
    core.tell(wrapper)
    for user in ("alice", "bob", "carol"):
        assert core.route(user) is None

    assert core.route("dave") is Refusal.ROOM_FULL
    assert core.route("alice") is None
    assert core.booted("active") == wrapper.slots[0].boot_id


def test_a_place_is_given_up_when_the_last_connection_of_its_user_leaves(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.route("alice")
    core.route("alice")
    core.core.leave(core.core.assignments.room.first().uid, core.now)
    assert len(core.core.assignments.room) == 1
    core.core.leave(core.core.assignments.room.first().uid, core.now)
    assert len(core.core.assignments.room) == 0

    wrapper.start(0)
    assert core.tell(wrapper) == []


def test_a_waiting_user_whose_session_becomes_known_is_sent_there(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.route("alice")
    wrapper.start(0)
    wrapper.login(0, "alice", 4)

    (answer,) = core.tell(wrapper)

    assert isinstance(answer, Answer)
    assert answer.instance.state is State.ACTIVE


def test_a_draining_wrapper_gets_no_new_users_keeps_sessions_and_loses_its_promises(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.start(0)
    wrapper.login(0, "alice", 1)
    wrapper.start(1)
    wrapper.start(2)
    core.tell(wrapper)
    core.booted("bob")
    wrapper.draining = True
    core.tell(wrapper)

    assert core.booted("alice") == wrapper.slots[0].boot_id
    assert core.route("bob") is None
    assert core.core.tally.promises[PromiseEnd.GONE] == 1

    wrapper.draining = False
    (answer,) = core.tell(wrapper)
    assert isinstance(answer, Answer)


def test_a_silent_wrapper_loses_its_processes_and_is_forgotten_later(wrapper: FakeWrapper) -> None:
    core = ClockedCore(wrapper_lost=5.0, wrapper_forgotten=60.0)
    wrapper.start(0)
    wrapper.login(0, "alice", 1)
    core.tell(wrapper)

    core.after(4.9)
    assert core.booted("alice")
    core.after(0.1)

    assert core.route("alice") is None
    assert sum(core.core.directory.counts.values()) == 0
    assert wrapper.wrapper_id in core.core.directory.lost
    core.after(55.0)
    assert core.core.directory.known(wrapper.wrapper_id) is None


def test_a_wrapper_that_says_goodbye_has_left_and_is_not_lost(wrapper: FakeWrapper) -> None:
    core = ClockedCore()
    wrapper.start(0)
    wrapper.draining = True
    core.tell(wrapper)
    wrapper.stop(0, StopReason.DRAINED)
    last = replace(wrapper.full(), leaving=True)
    core.report(wrapper, last)
    core.report(wrapper, last)  # repeated by the network

    known = core.core.directory.known(wrapper.wrapper_id)
    assert known is not None
    view = views.wrapper(known, core.now)
    assert (view.presence, view.degraded) == (Presence.LEFT, None)
    assert sum(core.core.directory.counts.values()) == 0
    assert core.after(core.settings.wrapper_lost + 1) == []
    assert core.core.tally.wrappers_lost == 0

    wrapper.restart()
    wrapper.start(0)
    core.tell(wrapper)
    assert wrapper.wrapper_id in core.core.directory.wrappers
    assert core.booted("alice")


def test_a_lost_wrapper_is_told_with_the_sessions_that_it_cost(wrapper: FakeWrapper) -> None:
    core = ClockedCore(wrapper_lost=5.0)
    for slot in range(3):
        wrapper.start(slot)
    wrapper.login(0, "alice", 1)
    core.tell(wrapper)
    assert core.after(5.0) == [WrapperLost(wrapper.wrapper_id, 5.0, 3, 1)]


def test_ages_are_the_wrapper_s_and_outlive_a_restart_of_the_routing_manager(
    wrapper: FakeWrapper,
) -> None:
    told = wrapper.start(0)
    wrapper.slots[0] = replace(told, ages=Ages(process=3600.0, state=60.0))
    core = ClockedCore()
    core.tell(wrapper)
    (shown,) = views.platform(core.core, core.now).instances
    assert (shown.age_seconds, shown.state_seconds) == (3600.0, 60.0)

    core.after(1.0)
    version = core.core.version
    wrapper.slots[0] = replace(told, ages=Ages(process=3601.0, state=61.0))
    core.report(wrapper, wrapper.full())
    (shown,) = views.platform(core.core, core.now).instances
    assert (shown.age_seconds, shown.state_seconds) == (3601.0, 61.0)
    assert core.core.version == version, "that time has passed is no news"


def test_right_after_a_start_unknown_users_wait_until_every_wrapper_could_report(
    wrapper: FakeWrapper,
) -> None:
    core = ClockedCore(settle=2.5)
    wrapper.start(0)
    wrapper.start(1)
    wrapper.login(1, "alice", 1)
    assert core.route("bob") is None
    core.tell(wrapper)

    assert core.booted("alice") == wrapper.slots[1].boot_id
    assert core.after(2.4) == []
    (answer,) = core.after(0.1)

    assert isinstance(answer, Answer)
    assert answer.uid == "bob"


def test_a_full_room_before_settling_says_that_nothing_is_known_yet() -> None:
    core = ClockedCore(settle=2.5, waiting_places=0)
    assert core.route("alice") is Refusal.NOT_SETTLED


def test_stopping_refuses_everybody_who_waits(core: ClockedCore) -> None:
    core.route("alice")
    core.core.stop(core.now)
    (refusal,) = core.core.take_actions()
    assert isinstance(refusal, Refuse)
    assert refusal.reason is Refusal.STOPPING


def test_a_route_costs_the_same_with_many_processes_and_users() -> None:
    """Counts calls instead of time: what a route does must not grow with what is known."""
    wrapper = FakeWrapper("big", capacity=3000)
    for slot in range(2000):
        wrapper.start(slot)
        if slot % 2:
            wrapper.login(slot, f"user-{slot}", 1)
    core = ClockedCore()
    core.tell(wrapper)
    small = ClockedCore()
    tiny = FakeWrapper("small")
    tiny.start(0)
    tiny.start(1)
    tiny.login(1, "user-1", 1)
    small.tell(tiny)

    assert _calls(lambda: core.route("user-1")) == _calls(lambda: small.route("user-1"))
    assert _calls(lambda: core.route("new")) == _calls(lambda: small.route("new"))
    assert isinstance(core.route("new"), Instance)


def _calls(work: Callable[[], object]) -> int:
    """How many functions, Python's or C's, the work calls."""
    count = 0

    def tracer(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(tracer)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
