"""An error in one entry costs that entry: ticks, reports and other users go on, and the next full report mends it.

The errors come from records in disorder, as a defect of ours would leave them.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from routing_manager.actions import Action, Answer, Failed, Refuse, WrapperLost
from routing_manager.control import ControlClient
from routing_manager.core import Core
from routing_manager.directory import Instance
from routing_manager.events import Feed
from routing_manager.metrics import Metrics
from routing_manager.outcomes import Entry, Refusal
from routing_manager.reports import Received
from routing_manager.service import RoutingService
from routing_manager.settings import Settings
from standby.ids import Uid
from standby.messages import ReportOutcome
from standby.states import State
from tests.support.waiting import eventually
from tests.unit.routing_manager.fakes import ClockedCore, FakeWrapper

EXCLUSIVE, RESERVATION, LOST = 1.5, 10.0, 15.0


class Broken:
    """A value that nothing can be done with, not even hash or compare it."""

    __hash__ = None  # type: ignore[assignment]  # as it says

    def __eq__(self, _other: object) -> bool:
        raise TypeError("broken")


BROKEN: Any = Broken()


@pytest.fixture
def wrapper() -> FakeWrapper:
    return FakeWrapper("w1", capacity=10)


@pytest.fixture
def core(wrapper: FakeWrapper) -> ClockedCore:
    return _core(wrapper, servers=2)


def _core(wrapper: FakeWrapper, servers: int, **settings: Any) -> ClockedCore:
    core = ClockedCore(exclusive=EXCLUSIVE, reservation=RESERVATION, wrapper_lost=LOST, **settings)
    for slot in range(servers):
        wrapper.start(slot)
    core.tell(wrapper)
    return core


def _sent(core: ClockedCore, user: str) -> Instance:
    instance = core.route(user)
    assert isinstance(instance, Instance)
    return instance


def _failed(actions: list[Action]) -> list[Entry]:
    return [each.kind for each in actions if isinstance(each, Failed)]


def _answered(actions: list[Action]) -> dict[str, Instance]:
    return {each.uid: each.instance for each in actions if isinstance(each, Answer)}


def _consistent(core: ClockedCore) -> None:
    """Every index says what a recount says."""
    directory = core.core.directory
    known = [each for one in directory.wrappers.values() for each in one.instances.values()]
    for state in State:
        assert directory.counts[state] == sum(each.state is state for each in known)
    assert set(directory.ready) == {each for each in known if each.state is State.READY}
    promised = [each for each in known if each.promise is not None]
    assert len(promised) == len(core.core.assignments.promises)


def test_a_reservation_that_cannot_be_shared_costs_itself(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    broken, whole = _sent(core, "made-up-1"), _sent(core, "made-up-2")
    for number in range(3):
        assert core.route(f"user-{number}") is None
    assert broken.promise is not None
    broken.promise.uid = Uid("another")

    actions = core.after(EXCLUSIVE)

    assert _failed(actions) == [Entry.RESERVATION]
    assert _answered(actions) == {"user-0": whole}
    assert _answered(core.after(EXCLUSIVE)).keys() == {"user-1", "user-2"}
    _consistent(core)
    core.report(wrapper, wrapper.full())
    assert core.route("user-3") is not None, "the process is known again"
    _consistent(core)


def test_a_reservation_that_cannot_end_costs_itself(core: ClockedCore) -> None:
    broken, whole = _sent(core, "made-up-1"), _sent(core, "made-up-2")
    broken.state = BROKEN

    actions = core.after(RESERVATION)

    assert _failed(actions) == [Entry.RESERVATION]
    assert whole.state is State.READY
    assert _sent(core, "alice") is whole
    assert core.core.next_deadline() > core.now
    _consistent(core)


def test_a_reservation_that_its_process_does_not_know_ends_all_the_same(core: ClockedCore) -> None:
    broken = _sent(core, "made-up-1")
    _sent(core, "made-up-2")
    assert core.route("alice") is None
    broken.promise, broken.state = None, BROKEN

    actions = core.after(RESERVATION)

    assert Entry.RESERVATION in _failed(actions)
    assert core.core.assignments.promises.of(Uid("made-up-1")) is None
    assert core.core.next_deadline() > core.now
    _consistent(core)


def test_a_process_that_nobody_can_be_sent_to_is_not_the_next_one_too(core: ClockedCore) -> None:
    broken, whole = list(core.core.directory.ready)
    broken.state = BROKEN
    assert _sent(core, "alice") is whole
    assert _failed(core.core.take_actions()) == [Entry.PROCESS]
    _consistent(core)


def test_a_user_who_cannot_be_served_is_refused_and_the_next_one_is_served(
    wrapper: FakeWrapper,
) -> None:
    core = _core(wrapper, servers=0)
    assert core.route("broken") is None
    assert core.route("alice") is None
    place = core.core.assignments.room.place_of(Uid("broken"))
    assert place is not None
    place.source = BROKEN
    wrapper.start(0)
    wrapper.start(1)

    actions = core.tell(wrapper)

    assert _failed(actions) == [Entry.USER]
    refused = [each for each in actions if isinstance(each, Refuse)]
    assert [(each.uid, each.reason) for each in refused] == [("broken", Refusal.FAILED)]
    assert _answered(actions).keys() == {"alice"}
    _consistent(core)


def test_an_entry_of_a_report_that_cannot_be_taken_in_costs_that_entry(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.login(0, "alice", 1)
    wrapper.slots[1] = wrapper.login(1, "bob", 1)
    report = wrapper.full()
    report.instances[1] = replace(report.instances[1], uid=BROKEN)

    assert core.report(wrapper, report).outcome is ReportOutcome.ACCEPTED

    assert _failed(core.core.take_actions()) == [Entry.PROCESS]
    assert _sent(core, "alice").told.slot == 0
    assert core.route("bob") is None
    _consistent(core)
    core.report(wrapper, wrapper.full())
    assert set(_answered(core.core.take_actions())) == {"bob"}, "the next full report mends it"


def test_a_lost_wrapper_with_a_broken_process_is_lost_all_the_same(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    broken = _sent(core, "alice")
    broken.state = BROKEN
    actions = core.after(LOST)
    assert [each for each in actions if isinstance(each, WrapperLost)]
    assert not core.core.directory.wrappers
    core.tell(wrapper)
    assert core.report(wrapper, wrapper.full()).outcome is ReportOutcome.ACCEPTED
    _consistent(core)


def test_an_order_that_cannot_be_made_costs_that_order(wrapper: FakeWrapper) -> None:
    core = _core(wrapper, servers=0, approach="on-demand")
    (known,) = core.core.directory.wrappers.values()
    known.capacity = BROKEN
    assert core.route("alice") is None
    assert _failed(core.core.take_actions()) == [Entry.ORDER]
    known.capacity = 10
    assert core.route("bob") is None
    assert len(core.core.assignments.orders) == 1
    assert _failed(core.after(1.0)) == []


@pytest.fixture
async def service() -> AsyncIterator[RoutingService]:
    control = ControlClient(None)
    core = Core(Settings(settle=0.0), time.monotonic(), "t")
    made = RoutingService(core, control, Metrics(CollectorRegistry()), lambda: None)
    yield made
    made.stop()
    await control.close()


async def test_an_answer_that_nobody_waits_for_does_not_keep_others_from_theirs(
    service: RoutingService, wrapper: FakeWrapper
) -> None:
    now = time.monotonic()
    assert service.core.route(Uid("ghost"), None, now) is None
    waiting = asyncio.create_task(service.route("alice", None))
    await eventually(lambda: len(service.core.assignments.room) == 2, "both wait")
    wrapper.start(0)
    wrapper.start(1)
    service.report(wrapper.wrapper_id, Received(wrapper.full()))
    instance = await asyncio.wait_for(waiting, 20)
    assert instance.user == "alice"
    assert service.core.tally.errors[Entry.ACTION] == 1


async def test_followers_get_the_next_state_after_one_that_could_not_be_made() -> None:
    errors: list[Exception] = []
    states = iter([b"first", None, b"third"])

    def state() -> bytes:
        found = next(states)
        if found is None:
            raise ValueError("broken")
        return found

    feed = Feed(state, 1, errors.append)
    task = asyncio.create_task(feed.run())
    with feed._following() as mailbox:
        assert b"first" in (await asyncio.wait_for(mailbox.get(), 20) or b"")
        feed.changed()
        await eventually(lambda: errors, "the error")
        feed.changed()
        assert b"third" in (await asyncio.wait_for(mailbox.get(), 20) or b"")
    task.cancel()
