"""Approach `on-demand`: a server is ordered for each user who waits."""

import pytest

from routing_manager.actions import Action, Answer, Refuse, StartServer
from routing_manager.orders import PAUSE
from standby.states import State
from tests.unit.routing_manager.fakes import ClockedCore, FakeWrapper


@pytest.fixture
def core() -> ClockedCore:
    return ClockedCore(approach="on-demand", order_retry=3.0, waiting_room=15.0, wrapper_lost=60.0)


@pytest.fixture
def wrapper() -> FakeWrapper:
    return FakeWrapper("w1", capacity=2)


def _orders(actions: list[Action]) -> list[StartServer]:
    return [each for each in actions if isinstance(each, StartServer)]


def _ask(core: ClockedCore, user: str) -> list[StartServer]:
    assert core.route(user) is None
    return _orders(core.core.take_actions())


def test_a_new_user_waits_for_the_server_that_is_ordered_for_it(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    (order,) = _ask(core, "alice")
    assert order.wrapper_id == wrapper.wrapper_id
    assert _ask(core, "alice") == []

    wrapper.start(0, State.STARTING, ticket=order.ticket)
    assert core.tell(wrapper) == []
    wrapper.ready(0)
    (answer,) = core.tell(wrapper)

    assert isinstance(answer, Answer)
    assert answer.uid == "alice"
    assert core.booted("alice") == wrapper.slots[0].boot_id


def test_each_server_goes_to_the_user_it_was_ordered_for_whichever_is_ready_first(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    (for_alice,) = _ask(core, "alice")
    (for_bob,) = _ask(core, "bob")
    wrapper.start(0, ticket=for_bob.ticket)
    (answer,) = core.tell(wrapper)
    assert isinstance(answer, Answer)
    assert answer.uid == "bob"
    wrapper.start(1, ticket=for_alice.ticket)
    (answer,) = core.tell(wrapper)
    assert isinstance(answer, Answer)
    assert answer.uid == "alice"


def test_orders_go_to_the_wrapper_with_most_room_and_to_none_without(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    large = FakeWrapper("w2", capacity=3)
    large.start(0, State.STARTING)
    large.start(1, State.STARTING)
    core.tell(wrapper)
    core.tell(large)

    chosen = [_ask(core, user) for user in ("a", "b", "c", "d")]

    assert [order.wrapper_id for (order,) in chosen[:1]] == ["w1"]
    assert sorted(order.wrapper_id for (order,) in chosen[:3]) == ["w1", "w1", "w2"]
    assert chosen[3] == []
    large.stop(0)
    (order,) = _orders(core.tell(large))
    assert order.wrapper_id == "w2"


def test_an_order_that_no_report_shows_is_repeated_with_the_same_ticket_then_goes_elsewhere(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    spare = FakeWrapper("w2", capacity=1)
    core.tell(wrapper)
    core.tell(spare)
    (order,) = _ask(core, "alice")
    assert _orders(core.after(2.9)) == []
    assert _orders(core.after(0.1)) == [order]
    (other,) = _orders(core.after(3.0))
    assert (other.wrapper_id, other.ticket != order.ticket) == ("w2", True)


def test_a_refused_order_goes_to_another_wrapper_at_once_or_to_the_same_one_after_a_pause(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    (order,) = _ask(core, "alice")
    core.core.order_failed(order.ticket, core.now)
    assert core.core.take_actions() == []
    (again,) = _orders(core.after(PAUSE))
    assert again.ticket != order.ticket

    core.tell(FakeWrapper("w2", capacity=1))
    core.core.order_failed(again.ticket, core.now)
    (elsewhere,) = _orders(core.core.take_actions())
    assert elsewhere.wrapper_id == "w2"


def test_a_failed_start_is_ordered_again(core: ClockedCore, wrapper: FakeWrapper) -> None:
    core.tell(wrapper)
    (order,) = _ask(core, "alice")
    wrapper.start(0, State.STARTING, ticket=order.ticket)
    core.tell(wrapper)
    wrapper.stop(0)
    assert core.tell(wrapper) == []
    (again,) = _orders(core.after(PAUSE))
    assert again.ticket != order.ticket


def test_orders_at_a_lost_or_draining_wrapper_go_elsewhere(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    (order,) = _ask(core, "alice")
    spare = FakeWrapper("w2", capacity=1)
    core.tell(spare)
    wrapper.draining = True
    (again,) = _orders(core.tell(wrapper))
    assert (order.wrapper_id, again.wrapper_id) == ("w1", "w2")


def test_a_server_whose_user_has_left_serves_whoever_waits(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.capacity = 1
    core.tell(wrapper)
    (order,) = _ask(core, "alice")
    assert _ask(core, "bob") == []
    core.core.leave(core.core.assignments.room.first().uid, core.now)
    wrapper.start(0, ticket=order.ticket)
    (answer,) = core.tell(wrapper)
    assert isinstance(answer, Answer)
    assert answer.uid == "bob"


def test_a_user_for_whom_nothing_can_be_started_is_refused_at_the_deadline(
    core: ClockedCore,
) -> None:
    assert _ask(core, "alice") == []
    (refusal,) = core.after(15.0)
    assert isinstance(refusal, Refuse)


def test_orders_wait_until_sessions_are_known(wrapper: FakeWrapper) -> None:
    core = ClockedCore(approach="on-demand", settle=2.5)
    core.tell(wrapper)
    assert _ask(core, "alice") == []
    assert len(_orders(core.after(2.5))) == 1


def test_the_caps_hold_for_servers_that_were_ordered_too() -> None:
    core = ClockedCore(approach="on-demand", reservations_per_source=1)
    wrapper = FakeWrapper("w1", capacity=3)
    core.tell(wrapper)
    for user in ("alice", "bob"):
        assert core.route(user, "here") is None
    orders = _orders(core.core.take_actions())
    for slot, order in enumerate(orders):
        wrapper.start(slot, State.READY, ticket=order.ticket)
    answers = [each for each in core.tell(wrapper) if isinstance(each, Answer)]
    assert [each.uid for each in answers] == ["alice", "bob"]
    assert len(core.core.assignments.promises) == 1
