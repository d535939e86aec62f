"""Users whom nobody has authenticated hold processes for a moment only, and never all of them for long."""

from collections.abc import Callable
from typing import Any

import pytest

from routing_manager import sources
from routing_manager.actions import Answer
from routing_manager.directory import Instance
from routing_manager.outcomes import Assignment, PromiseEnd, Refusal
from standby.ids import Uid
from standby.states import State
from tests.unit.routing_manager.fakes import ClockedCore, FakeWrapper

EXCLUSIVE, RESERVATION = 1.5, 10.0


@pytest.fixture
def wrapper() -> FakeWrapper:
    return FakeWrapper("w1", capacity=10)


@pytest.fixture
def make(wrapper: FakeWrapper) -> Callable[..., ClockedCore]:
    def make(servers: int, **settings: Any) -> ClockedCore:
        core = ClockedCore(
            exclusive=EXCLUSIVE, reservation=RESERVATION, waiting_room=15.0, **settings
        )
        for slot in range(servers):
            wrapper.start(slot)
        core.tell(wrapper)
        return core

    return make


Make = Callable[..., ClockedCore]


def _answered(core: ClockedCore, seconds: float) -> list[str]:
    return [each.uid for each in core.after(seconds) if isinstance(each, Answer)]


def test_an_idle_reservation_is_shared_with_those_who_wait_in_order_and_ever_more_of_them(
    make: Make, wrapper: FakeWrapper
) -> None:
    core = make(1)
    server = core.booted("made-up")
    waiting = [f"user-{number}" for number in range(8)]
    for user in waiting:
        assert core.route(user) is None

    assert _answered(core, EXCLUSIVE - 0.1) == []
    assert _answered(core, 0.1) == waiting[:1]
    assert _answered(core, EXCLUSIVE - 0.1) == []
    core.tell(wrapper)
    assert _answered(core, 0.1) == waiting[1:5]
    assert _answered(core, EXCLUSIVE) == waiting[5:]
    assert core.booted("made-up") == server, "the reservation is what it was"
    assert core.core.tally.assignments[Assignment.SHARED] == len(waiting)


def test_after_one_idle_reservation_the_next_is_shared_with_more_users_whichever_its_server(
    make: Make,
) -> None:
    core = make(2)
    core.booted("made-up-1")
    core.after(1.0)
    core.booted("made-up-2")
    waiting = [f"user-{number}" for number in range(4)]
    for user in waiting:
        assert core.route(user) is None

    assert _answered(core, 0.5) == waiting[:1]
    assert _answered(core, 1.0) == waiting[1:]


def test_the_login_of_a_reservation_s_user_makes_the_next_one_shared_with_fewer(
    make: Make, wrapper: FakeWrapper
) -> None:
    core = make(2)
    core.booted("made-up")
    core.after(1.0)
    core.booted("slow")
    waiting = [f"user-{number}" for number in range(4)]
    for user in waiting:
        assert core.route(user) is None
    assert _answered(core, 0.5) == waiting[:1]

    wrapper.login(1, "slow", 1)
    core.tell(wrapper)

    assert _answered(core, EXCLUSIVE) == waiting[1:2]


def test_a_source_with_many_users_delays_a_shared_server_for_its_own_only(make: Make) -> None:
    core = make(1)
    core.booted("made-up")
    for number in range(20):
        assert core.route(f"made-up-{number}", f"flood-{number % 2}") is None
    for user, source in (("anna", "home"), ("bert", None)):
        assert core.route(user, source) is None

    assert _answered(core, EXCLUSIVE) == ["made-up-0"]
    assert _answered(core, EXCLUSIVE) == ["made-up-1", "anna", "bert", "made-up-2"]
    assert _answered(core, EXCLUSIVE) == [f"made-up-{number}" for number in range(3, 19)]


def test_whoever_logs_in_first_has_the_shared_server(make: Make, wrapper: FakeWrapper) -> None:
    core = make(1)
    server = core.booted("made-up")
    core.route("real")
    assert _answered(core, EXCLUSIVE) == ["real"]

    wrapper.login(0, "real", 1)
    core.tell(wrapper)

    assert core.core.tally.promises[PromiseEnd.TAKEN] == 1
    assert core.booted("real") == server
    assert core.route("made-up") is None


def test_a_reservation_that_nobody_waits_for_is_kept_to_its_end(
    make: Make, wrapper: FakeWrapper
) -> None:
    core = make(1)
    server = core.booted("slow")
    for _ in range(3):
        assert core.after(3.0) == []
        core.tell(wrapper)
    assert core.booted("slow") == server
    assert core.core.tally.assignments[Assignment.SHARED] == 0


def test_who_comes_when_a_reservation_is_idle_does_not_wait(make: Make) -> None:
    core = make(1)
    core.booted("made-up")
    core.after(EXCLUSIVE)
    assert core.route("real") is None
    (answer,) = core.core.take_actions()
    assert isinstance(answer, Answer)
    assert (answer.uid, answer.waited) == ("real", 0.0)


def test_a_full_waiting_room_sends_users_to_a_shared_server_instead_of_refusing_them(
    make: Make,
) -> None:
    core = make(1, waiting_places=1)
    server = core.booted("made-up")
    assert core.route("made-up-2") is None
    assert core.route("real") is Refusal.ROOM_FULL
    assert _answered(core, EXCLUSIVE) == ["made-up-2"]
    assert core.route("made-up-3") is None
    assert core.booted("real") == server


@pytest.mark.parametrize("caps", [{"reservations": 2}, {"reservations_per_source": 2}])
def test_beyond_the_caps_users_share_what_is_free_in_turn(make: Make, caps: dict[str, int]) -> None:
    core = make(4, **caps)
    promised = {core.route(f"made-up-{number}", "here") for number in range(2)}
    assert all(isinstance(each, Instance) and each.state is State.RESERVED for each in promised)

    sent = [core.route(f"made-up-{number}", "here") for number in range(2, 6)]

    assert all(isinstance(each, Instance) and each.state is State.READY for each in sent)
    assert sent[:2] == sent[2:]
    assert sent[0] is not sent[1]
    assert not promised & set(sent)


def test_the_cap_of_one_source_does_not_touch_others(make: Make) -> None:
    core = make(3, reservations_per_source=1)
    core.route("made-up-1", "here")
    shared = core.route("made-up-2", "here")
    reserved = core.route("real", "there")
    unknown = core.route("somebody", None)
    assert isinstance(shared, Instance)
    assert isinstance(reserved, Instance)
    assert isinstance(unknown, Instance)
    assert core.core.assignments.promises.of(Uid("made-up-2")) is None
    assert reserved.user == "real"
    assert unknown.user == "somebody"


def test_a_source_may_reserve_again_once_its_users_have_logged_in(
    make: Make, wrapper: FakeWrapper
) -> None:
    core = make(2, reservations_per_source=1)
    first = core.route("anna", "here")
    assert isinstance(first, Instance)
    wrapper.login(first.told.slot, "anna", 1)
    core.tell(wrapper)
    second = core.route("bob", "here")
    assert isinstance(second, Instance)
    assert second.state is State.RESERVED


@pytest.mark.parametrize("servers", [1, 3])
def test_a_real_user_behind_a_room_full_of_made_up_names_is_sent_to_a_server_in_time(
    make: Make, wrapper: FakeWrapper, servers: int
) -> None:
    core = make(servers, waiting_places=1000)
    for number in range(servers + 999):
        core.route(f"made-up-{number}", f"source-{number % 7}")
    assert core.route("real", "source-0") is None
    waited = 0.0
    while "real" not in _answered(core, 0.5):
        core.tell(wrapper)
        waited += 0.5
        assert waited < 10.0


@pytest.mark.parametrize("places", [1, 1000])
def test_hours_of_made_up_names_and_no_login_end_nothing(
    make: Make, wrapper: FakeWrapper, places: int
) -> None:
    core = make(2, waiting_places=places)
    core.route("made-up", "here")
    for second in range(2 * 60 * 60):
        for number in range(8):
            core.route(f"made-up-{second}-{number}", "here")
        core.after(1.0)
        if second % 4 == 0:
            core.tell(wrapper)
    assert core.core.directory.wrappers, "reports are accepted"
    if core.route("real", "there") is None:
        assert "real" in _answered(core, EXCLUSIVE) + _answered(core, EXCLUSIVE)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("no address", None),
        ("", None),
        (None, None),
    ],
)
def test_a_source_is_an_address_or_an_ipv6_network(address: str | None, source: str | None) -> None:
    assert sources.group(address) == source
