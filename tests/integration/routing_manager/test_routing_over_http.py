"""Reports, routes and waiting over real sockets."""

import asyncio

import pytest

from standby.messages import ReportOutcome
from standby.states import State
from tests.integration.routing_manager.conftest import Running, Start
from tests.support.waiting import eventually
from tests.unit.routing_manager.fakes import FakeWrapper


@pytest.fixture
def wrapper() -> FakeWrapper:
    return FakeWrapper("wrapper-1")


async def _waiting(manager: Running, users: int) -> None:
    async def as_many() -> bool:
        return (await manager.state()).waiting == users

    await eventually(as_many, f"{users} users wait")


async def test_a_user_is_sent_to_a_ready_process_and_after_login_to_the_same(
    manager: Running, wrapper: FakeWrapper
) -> None:
    told = wrapper.start(0)
    await manager.report(wrapper, wrapper.full())

    status, route = await manager.get("/v1/route/Alice?source=192.0.2.7")
    assert (status, route) == (
        200,
        {
            "address": told.address,
            "port": told.port,
            "state": "RESERVED",
            "wrapper_id": "wrapper-1",
            "slot": 0,
            "boot_id": told.boot_id,
        },
    )

    wrapper.login(0, "alice", 3)
    assert (await manager.report(wrapper, wrapper.partial())).outcome is ReportOutcome.ACCEPTED
    _, route = await manager.get("/v1/route/alice")
    assert (route["state"], route["generation"], route["boot_id"]) == ("ACTIVE", 3, told.boot_id)

    (view,) = (await manager.state()).instances
    assert (view.state, view.user, view.generation) == (State.ACTIVE, "alice", 3)


async def test_a_waiting_request_is_answered_when_a_process_becomes_ready(
    manager: Running, wrapper: FakeWrapper
) -> None:
    await manager.report(wrapper, wrapper.full())
    asked = asyncio.create_task(manager.get("/v1/route/alice"))
    await _waiting(manager, 1)

    told = wrapper.start(0)
    await manager.report(wrapper, wrapper.partial())

    status, route = await asked
    assert (status, route["boot_id"]) == (200, told.boot_id)


async def test_connections_of_one_user_share_a_place_and_the_answer(
    start: Start, wrapper: FakeWrapper
) -> None:
    manager = await start(waiting_places=1)
    asked = [asyncio.create_task(manager.get("/v1/route/alice")) for _ in range(3)]
    await _waiting(manager, 1)
    status, body = await manager.get("/v1/route/bob")
    assert (status, body["error"]["code"]) == (503, "no_capacity")  # type: ignore[index]

    wrapper.start(0)
    await manager.report(wrapper, wrapper.full())

    routes = [route for _, route in await asyncio.gather(*asked)]
    assert routes[0] == routes[1] == routes[2]


async def test_a_client_that_hangs_up_gives_its_place_to_the_next(
    start: Start, wrapper: FakeWrapper
) -> None:
    manager = await start(waiting_places=1)
    asked = asyncio.create_task(manager.get("/v1/route/alice"))
    await _waiting(manager, 1)

    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await _waiting(manager, 0)

    asked = asyncio.create_task(manager.get("/v1/route/bob"))
    await _waiting(manager, 1)
    wrapper.start(0)
    await manager.report(wrapper, wrapper.full())
    assert (await asked)[0] == 200
    assert 'waits_total{outcome="left"} 1.0' in await manager.metrics()


async def test_one_of_two_connections_that_hangs_up_leaves_the_other_its_place(
    manager: Running, wrapper: FakeWrapper
) -> None:
    asked = [asyncio.create_task(manager.get("/v1/route/alice")) for _ in range(2)]
    place = manager.core.assignments.room
    await eventually(lambda: place and place.first().connections == 2, "both wait")
    asked[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked[0]
    await eventually(lambda: place.first().connections == 1, "one has left")

    wrapper.start(0)
    await manager.report(wrapper, wrapper.full())

    assert (await asked[1])[0] == 200


async def test_a_wait_ends_with_a_refusal_at_its_deadline(start: Start) -> None:
    manager = await start(waiting_room=0.05)
    status, body = await manager.get("/v1/route/alice")
    assert (status, body["error"]["code"]) == (503, "no_capacity")  # type: ignore[index]
    assert 'refusals_total{reason="waited_too_long"} 1.0' in await manager.metrics()


async def test_an_unused_promise_serves_the_next_user_at_its_deadline(
    start: Start, wrapper: FakeWrapper
) -> None:
    manager = await start(reservation=0.2)
    wrapper.start(0)
    await manager.report(wrapper, wrapper.full())
    _, first = await manager.get("/v1/route/alice")
    _, second = await manager.get("/v1/route/bob")
    assert first["boot_id"] == second["boot_id"]
    assert 'reservations_ended_total{reason="expired"} 1.0' in await manager.metrics()


async def test_a_name_that_is_no_user_id_is_refused_with_its_own_code(manager: Running) -> None:
    for name in ("a_b", "-a", "x" * 64, "a.b", "%00", "caf%C3%A9"):
        status, body = await manager.get(f"/v1/route/{name}")
        assert (status, body["error"]["code"]) == (400, "bad_name")  # type: ignore[index]


async def test_a_restarted_routing_manager_learns_everything_from_one_full_report(
    start: Start, wrapper: FakeWrapper
) -> None:
    before = await start()
    wrapper.start(0)
    wrapper.login(0, "alice", 1)
    wrapper.start(1)
    await before.report(wrapper, wrapper.full())

    after = await start(settle=0.5)
    asked = asyncio.create_task(after.get("/v1/route/bob"))
    await _waiting(after, 1)
    wrapper.start(2)
    assert (await after.report(wrapper, wrapper.partial())).outcome is ReportOutcome.RESYNC
    assert (await after.report(wrapper, wrapper.full())).outcome is ReportOutcome.ACCEPTED

    _, route = await after.get("/v1/route/alice")
    assert route["boot_id"] == wrapper.slots[0].boot_id
    assert (await after.state()).settled is False
    async with after.session.get(f"{after.url}/readyz") as response:
        assert response.status == 503
    assert (await asked)[1]["boot_id"] == wrapper.slots[1].boot_id
    async with after.session.get(f"{after.url}/readyz") as response:
        assert response.status == 200


async def test_a_silent_wrapper_is_lost_without_anybody_asking(
    start: Start, wrapper: FakeWrapper
) -> None:
    manager = await start(wrapper_lost=0.1)
    wrapper.start(0)
    await manager.report(wrapper, wrapper.full())

    async def lost() -> bool:
        return (await manager.state()).instances == []

    await eventually(lost, "the wrapper's processes are gone")
    (view,) = (await manager.state()).wrappers
    assert view.degraded is not None
    assert "lost" in view.degraded
