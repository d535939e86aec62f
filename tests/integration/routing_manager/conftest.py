"""A real Routing Manager on ports of the system's choice, and clients of it with certificates."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import msgspec
import pytest

from routing_manager import app
from routing_manager.core import Core
from routing_manager.settings import Settings
from standby import tls, web
from standby.identity import Role
from standby.messages import PlatformState, Report, ReportReply
from tests.support.certificates import Certificates
from tests.unit.routing_manager.fakes import FakeWrapper


@dataclass
class Running:
    """A Routing Manager that serves, and how to talk to it."""

    url: str
    control_url: str
    session: aiohttp.ClientSession
    certificates: Certificates
    core: Core

    def context(self, role: Role, name: str) -> ssl.SSLContext:
        return tls.client_context(self.certificates.part(role, name))

    async def report(self, wrapper: FakeWrapper, report: Report) -> ReportReply:
        """Deliver a report with the wrapper's own certificate."""
        async with self.session.post(
            f"{self.control_url}/v1/wrappers/{wrapper.wrapper_id}/report",
            data=msgspec.json.encode(report),
            ssl=self.context(Role.WRAPPER, wrapper.wrapper_id),
        ) as response:
            body = await response.read()
            assert response.status == 200, body
            return msgspec.json.decode(body, type=ReportReply)

    async def get(self, path: str) -> tuple[int, dict[str, object]]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.json()

    async def state(self) -> PlatformState:
        async with self.session.get(f"{self.url}/v1/state") as response:
            return msgspec.json.decode(await response.read(), type=PlatformState)

    async def metrics(self) -> str:
        async with self.session.get(f"{self.url}/metrics") as response:
            return await response.text()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(certificates: Certificates) -> AsyncIterator[Start]:
    """Starts Routing Managers; keyword arguments are their settings."""
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        )

        async def begin(**values: object) -> Running:
            settings = Settings(**{"settle": 0.0, **values})  # type: ignore[arg-type]  # as each test needs
            files = certificates.part(Role.ROUTING_MANAGER, "routing-manager")
            application = app.make(settings, tls.client_context(files))
            listeners = [web.Listener(), web.Listener(tls=tls.server_context(files))]
            bound = await stack.enter_async_context(
                web.serving(application, listeners, cancel_on_disconnect=True)
            )
            urls = [
                f"{scheme}://{host}:{port}"
                for scheme, (host, port) in zip(("http", "https"), bound, strict=True)
            ]
            return Running(urls[0], urls[1], session, certificates, application[app.CORE])

        yield begin


@pytest.fixture
async def manager(start: Start) -> Running:
    return await start()
