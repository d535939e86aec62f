"""Orders that the Routing Manager gives to wrappers, over mutual TLS."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web as http
from msgspec.structs import replace

from standby import tls, web
from standby.identity import Role
from standby.messages import StartOrder
from standby.states import State
from tests.integration.routing_manager.conftest import Running, Start
from tests.support.certificates import Certificates
from tests.support.waiting import eventually
from tests.unit.routing_manager.fakes import FakeWrapper


class ListeningWrapper(FakeWrapper):
    """A wrapper with a control listener that remembers its orders and answers with `status`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.status = 200
        self.tickets: list[str] = []
        self.drains = 0
        self.callers: set[Role] = set()

    async def _start(self, request: http.Request) -> http.Response:
        self.callers.add(web.peer(request).role)
        self.tickets.append((await web.read(request, StartOrder)).ticket)
        return http.Response(status=self.status)

    async def _drain(self, _request: http.Request) -> http.Response:
        self.drains += 1
        return http.Response(status=self.status)

    @contextlib.asynccontextmanager
    async def listening(self, certificates: Certificates) -> AsyncIterator[None]:
        application = http.Application()
        application.router.add_post("/v1/starts", self._start)
        application.router.add_post("/v1/drain", self._drain)
        context = tls.server_context(certificates.part(Role.WRAPPER, self.wrapper_id))
        async with web.serving(application, [web.Listener(tls=context)]) as bound:
            ((host, port),) = bound
            self.control_url = f"https://{host}:{port}"
            yield


@pytest.fixture
async def wrapper(certificates: Certificates) -> AsyncIterator[ListeningWrapper]:
    made = ListeningWrapper("wrapper-1")
    async with made.listening(certificates):
        yield made


async def test_a_waiting_user_gets_the_server_that_was_ordered_for_it(
    start: Start, wrapper: ListeningWrapper
) -> None:
    manager = await start(approach="on-demand")
    await manager.report(wrapper, wrapper.full())
    asked = asyncio.create_task(manager.get("/v1/route/alice"))
    await eventually(lambda: wrapper.tickets, "the order has arrived")
    assert wrapper.callers == {Role.ROUTING_MANAGER}

    wrapper.start(0, State.STARTING, ticket=wrapper.tickets[0])
    await manager.report(wrapper, wrapper.partial())
    wrapper.ready(0)
    await manager.report(wrapper, wrapper.partial())

    status, route = await asked
    assert (status, route["boot_id"]) == (200, wrapper.slots[0].boot_id)
    assert len(wrapper.tickets) == 1


async def test_an_order_that_was_not_carried_out_is_repeated_with_its_ticket(
    start: Start, wrapper: ListeningWrapper
) -> None:
    manager = await start(approach="on-demand", order_retry=0.05)
    await manager.report(wrapper, wrapper.full())
    asked = asyncio.create_task(manager.get("/v1/route/alice"))
    await eventually(lambda: len(wrapper.tickets) >= 2, "the order is repeated")
    assert wrapper.tickets[0] == wrapper.tickets[1]
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_an_order_refused_by_one_wrapper_goes_to_another(
    start: Start, wrapper: ListeningWrapper, certificates: Certificates
) -> None:
    manager = await start(approach="on-demand")
    wrapper.status = 503
    other = ListeningWrapper("wrapper-2")
    other.capacity = 1
    async with other.listening(certificates):
        for each in (wrapper, other):
            await manager.report(each, each.full())
        asked = asyncio.create_task(manager.get("/v1/route/alice"))
        await eventually(lambda: other.tickets, "the other wrapper has the order")
        assert wrapper.tickets
        other.start(0, ticket=other.tickets[0])
        await manager.report(other, other.partial())
        assert (await asked)[1]["wrapper_id"] == "wrapper-2"


async def test_a_wrapper_that_cannot_be_reached_does_not_keep_its_user_from_another(
    start: Start, wrapper: ListeningWrapper
) -> None:
    manager = await start(approach="on-demand")
    unreachable = FakeWrapper("wrapper-0", capacity=50)
    await manager.report(unreachable, unreachable.full())
    await manager.report(wrapper, wrapper.full())
    asked = asyncio.create_task(manager.get("/v1/route/alice"))
    await eventually(lambda: wrapper.tickets, "the reachable wrapper has the order")
    wrapper.start(0, ticket=wrapper.tickets[0])
    await manager.report(wrapper, wrapper.partial())
    assert (await asked)[0] == 200


async def _drain(manager: Running) -> tuple[int, dict[str, object]]:
    context = manager.context(Role.OPERATOR, "olga")
    url = f"{manager.control_url}/v1/wrappers/wrapper-1/drain"
    async with manager.session.post(url, ssl=context) as response:
        return response.status, await response.json()


async def test_an_operators_drain_is_passed_on(start: Start, wrapper: ListeningWrapper) -> None:
    manager = await start()
    await manager.report(wrapper, wrapper.full())
    status, view = await _drain(manager)
    assert (status, view["wrapper_id"], wrapper.drains) == (200, "wrapper-1", 1)


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1", "https://127.0.0.1:1", "https://"])
async def test_a_drain_that_cannot_be_passed_on_says_so(manager: Running, url: str | None) -> None:
    wrapper = FakeWrapper("wrapper-1")
    await manager.report(wrapper, replace(wrapper.full(), control_url=url))
    status, body = await _drain(manager)
    assert (status, body["error"]["code"]) == (502, "wrapper_unreachable")  # type: ignore[index]


async def test_a_drain_that_the_wrapper_refuses_says_so(
    start: Start, wrapper: ListeningWrapper
) -> None:
    manager = await start()
    wrapper.status = 409
    await manager.report(wrapper, wrapper.full())
    assert (await _drain(manager))[0] == 502
