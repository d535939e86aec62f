"""The status page and its stream of states."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from standby.messages import PlatformState
from tests.integration.routing_manager.conftest import Running, Start
from tests.unit.routing_manager.fakes import FakeWrapper


@contextlib.asynccontextmanager
async def _following(manager: Running) -> AsyncIterator[AsyncIterator[PlatformState]]:
    async with manager.session.get(f"{manager.url}/v1/events") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield _states(response)


async def _states(response: aiohttp.ClientResponse) -> AsyncIterator[PlatformState]:
    async for line in response.content:
        if line.startswith(b"data: {"):
            yield msgspec.json.decode(line.removeprefix(b"data: "), type=PlatformState)


async def test_a_follower_gets_the_state_at_once_and_after_changes(manager: Running) -> None:
    wrapper = FakeWrapper("wrapper-1")
    async with asyncio.timeout(10), _following(manager) as states:
        assert (await anext(states)).wrappers == []
        wrapper.start(0)
        await manager.report(wrapper, wrapper.full())
        assert (await anext(states)).counts.READY == 1
        await manager.get("/v1/route/alice")
        state = await anext(states)
        assert (state.counts.RESERVED, state.instances[0].user) == (1, "alice")


async def test_many_changes_come_as_few_states_and_the_last_one_is_true(manager: Running) -> None:
    wrapper = FakeWrapper("wrapper-1", capacity=100)
    async with asyncio.timeout(10), _following(manager) as states:
        await anext(states)
        for slot in range(40):
            wrapper.start(slot)
            await manager.report(wrapper, wrapper.full())
        got = 0
        async for state in states:
            got += 1
            if state.counts.READY == 40:
                break
        assert got < 20


async def test_a_follower_of_a_quiet_platform_hears_that_the_routing_manager_is_there(
    manager: Running,
) -> None:
    async with (
        asyncio.timeout(30),
        manager.session.get(f"{manager.url}/v1/events") as response,
    ):
        async for line in response.content:
            if line.startswith(b"event: alive"):
                return
    raise AssertionError("the stream ended without a sign of life")


async def test_too_many_followers_are_refused_and_places_come_back(start: Start) -> None:
    manager = await start(followers=1)
    async with _following(manager) as states:
        await anext(states)
        status, body = await manager.get("/v1/events")
        assert (status, body["error"]["code"]) == (503, "too_many_followers")  # type: ignore[index]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_plain_text(manager: Running, path: str) -> None:
    async with manager.session.get(manager.url + path) as response:
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_the_page_comes_with_headers_that_forbid_everything_from_elsewhere(
    manager: Running,
) -> None:
    async with manager.session.get(manager.url + "/") as response:
        policy = response.headers["Content-Security-Policy"]
        assert response.content_type == "text/html"
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "EventSource" in await response.text()


async def test_every_series_exists_before_anything_has_happened(manager: Running) -> None:
    text = await manager.metrics()
    for series in (
        'instances{state="ACTIVE"}',
        'assignments_total{outcome="session"}',
        'refusals_total{reason="waiting_room_full"}',
        'reservations_ended_total{reason="confirmed"}',
        'reports_total{outcome="stale"}',
        'wait_seconds_count{outcome="served"}',
        "waiting_users",
        "route_duration_seconds_count",
    ):
        assert f"standby_routing_manager_{series} 0.0" in text
