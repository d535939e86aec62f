"""Sources of those who wait take turns, so that a source which sends many users delays its own."""

from typing import Any, Final

import pytest

from routing_manager.actions import Answer, Refuse, StartServer
from routing_manager.outcomes import Refusal
from routing_manager.turns import Turns
from standby.ids import Uid
from tests.unit.routing_manager.fakes import ClockedCore, FakeWrapper

PLACES: Final = 12
FLOODING: Final = ["flood-1", "flood-2", "flood-3", None]


@pytest.fixture
def wrapper() -> FakeWrapper:
    return FakeWrapper("w1", capacity=20)


def _core(wrapper: FakeWrapper, **settings: Any) -> ClockedCore:
    """One that knows a wrapper without servers."""
    core = ClockedCore(waiting_places=PLACES, **settings)
    core.tell(wrapper)
    return core


def _flood(core: ClockedCore, users: int) -> None:
    for number in range(users):
        assert core.route(f"made-up-{number}", FLOODING[number % len(FLOODING)]) is None


def _served(core: ClockedCore, wrapper: FakeWrapper, slot: int) -> str:
    """Who gets a new process."""
    wrapper.start(slot)
    (answer,) = core.tell(wrapper)
    assert isinstance(answer, Answer)
    return answer.uid


def test_the_sources_of_those_who_wait_take_turns_each_with_its_oldest_user(
    wrapper: FakeWrapper,
) -> None:
    core = _core(wrapper)
    for user in ("a-1", "a-2", "a-3", "b-1", "c-1", "b-2"):
        assert core.route(user, user[0]) is None
    assert [_served(core, wrapper, slot) for slot in range(3)] == ["a-1", "b-1", "c-1"]
    assert core.route("c-2", "c") is None
    assert [_served(core, wrapper, slot) for slot in range(3, 7)] == ["a-2", "b-2", "c-2", "a-3"]


def test_the_user_of_a_quiet_source_waits_for_one_turn_of_each_other_source_at_most(
    wrapper: FakeWrapper,
) -> None:
    core = _core(wrapper)
    _flood(core, PLACES - 1)
    assert core.route("quiet", "quiet") is None
    served = [_served(core, wrapper, slot) for slot in range(len(FLOODING) + 1)]
    assert served[-1] == "quiet"


def test_an_idle_reservation_is_shared_in_turn(wrapper: FakeWrapper) -> None:
    core = _core(wrapper, exclusive=1.0, reservation=9.0)
    _flood(core, PLACES - 1)
    assert core.route("quiet", "quiet") is None
    _served(core, wrapper, 0)
    first, second = core.after(1.0), core.after(1.0)
    shared = [each.uid for each in [*first, *second] if isinstance(each, Answer)]
    assert shared == ["made-up-1", "made-up-2", "made-up-3", "quiet", "made-up-4"]


def test_servers_are_ordered_in_turn(wrapper: FakeWrapper) -> None:
    wrapper.capacity = 0
    core = _core(wrapper, approach="on-demand")
    _flood(core, PLACES - 1)
    assert core.route("quiet", "quiet") is None
    wrapper.capacity = len(FLOODING) + 1
    orders = [each for each in core.tell(wrapper) if isinstance(each, StartServer)]
    wrapper.start(0, ticket=orders[-1].ticket)
    (answer,) = core.tell(wrapper)
    assert isinstance(answer, Answer)
    assert answer.uid == "quiet"


def test_one_who_leaves_or_is_refused_has_not_used_the_turn_of_the_source(
    wrapper: FakeWrapper,
) -> None:
    core = _core(wrapper)
    for user in ("a-1", "b-1", "a-2"):
        core.route(user, user[0])
    core.core.leave(Uid("a-1"), core.now)
    assert [_served(core, wrapper, slot) for slot in range(2)] == ["a-2", "b-1"]


def test_in_a_full_room_the_newest_user_of_the_source_with_most_places_makes_room_for_another_source(
    wrapper: FakeWrapper,
) -> None:
    core = _core(wrapper)
    for number in range(PLACES - 1):
        core.route(f"made-up-{number}", "flood")
    core.route("other", "other")

    assert core.route("quiet", "quiet") is None

    (refusal,) = core.core.take_actions()
    assert isinstance(refusal, Refuse)
    assert (refusal.uid, refusal.reason) == (f"made-up-{PLACES - 2}", Refusal.ROOM_FULL)
    assert len(core.core.assignments.room) == PLACES
    assert core.route("made-up-more", "flood") is Refusal.ROOM_FULL
    assert core.core.take_actions() == []


def test_places_in_a_full_room_end_up_even_and_then_stay_with_those_who_have_them(
    wrapper: FakeWrapper,
) -> None:
    core = _core(wrapper)
    for source in ("a", "b", "c", "a", "b", "c"):
        for number in range(PLACES):
            core.route(f"{source}-{number}", source)
    core.core.take_actions()
    waiting = list(core.core.assignments.room.users)
    assert [sum(uid[0] == source for uid in waiting) for source in "abc"] == [4, 4, 4]
    assert core.route("d-0", "d") is None
    core.core.take_actions()
    assert core.route("a-more", "a") is Refusal.ROOM_FULL


def test_a_new_source_does_not_displace_the_only_user_of_another(wrapper: FakeWrapper) -> None:
    core = _core(wrapper)
    for number in range(PLACES):
        core.route(f"user-{number}", f"source-{number}")
    assert core.route("late", "late") is Refusal.ROOM_FULL
    assert core.core.take_actions() == []


def test_one_who_is_put_first_is_the_next_one_and_the_source_does_not_change() -> None:
    turns = Turns()
    for user in ("a-1", "a-2", "b-1", "b-2"):
        turns.join(Uid(user), user[0])
    turns.put_first(Uid("b-2"), "other")
    assert list(turns) == ["b-2", "a-1", "b-1", "a-2"]
    assert turns.serve(Uid("b-2")) == "b"
    assert list(turns) == ["a-1", "b-1", "a-2"]
