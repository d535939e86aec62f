"""Two Routing Managers that are told the same and know nothing of each other: the promises hold all the same."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
import pytest

from app_wrapper.wrapper import running
from routing_manager import app
from routing_manager.settings import Settings
from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from smartgrid_client.errors import ClientError
from smartgrid_client.messages import Login
from smartgrid_server.main import __file__ as server_file
from standby import tls, web
from standby.identity import Role
from standby.ids import parse_uid
from standby.messages import PlatformState, Route
from tests.support.certificates import Certificates
from tests.support.smartgrid import provision, secret
from tests.support.waiting import eventually
from tests.support.wrapper import settings, with_tls

_SERVERS = 3
_USERS = ("anna", "bert", "carla")


@dataclass
class Platform:
    """One wrapper, two Routing Managers, no load balancer: the tests ask whom they like."""

    urls: list[str]
    certificates: Certificates
    session: aiohttp.ClientSession

    async def route(self, manager: int, uid: str) -> Route:
        async with self.session.get(f"{self.urls[manager]}/v1/route/{uid}") as response:
            return msgspec.json.decode(await response.read(), type=Route)

    async def state(self, manager: int) -> PlatformState:
        async with self.session.get(f"{self.urls[manager]}/v1/state") as response:
            return msgspec.json.decode(await response.read(), type=PlatformState)

    @contextlib.asynccontextmanager
    async def client(self, route: Route, uid: str) -> AsyncIterator[SmartGridClient]:
        address = Address(route.address, route.port, parse_uid(uid))
        client = SmartGridClient(address, self.certificates.user(uid))
        try:
            yield client
        finally:
            await client.close()


@pytest.fixture
async def platform(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Platform]:
    provision(tmp_path, certificates, _USERS, monkeypatch)
    async with contextlib.AsyncExitStack() as stack:
        files = certificates.part(Role.ROUTING_MANAGER, "routing-manager")
        urls, control_urls = [], []
        for _ in range(2):
            application = app.make(Settings(settle=0.0), tls.client_context(files))
            listeners = [web.Listener(), web.Listener(tls=tls.server_context(files))]
            (plain, control) = await stack.enter_async_context(
                web.serving(application, listeners, cancel_on_disconnect=True)
            )
            urls.append(f"http://{plain[0]}:{plain[1]}")
            control_urls.append(f"https://{control[0]}:{control[1]}")
        await stack.enter_async_context(
            running(
                settings(
                    tmp_path,
                    app=Path(server_file).with_name("app.toml"),
                    pool_size=_SERVERS,
                    report_urls=tuple(control_urls),
                    **with_tls(certificates.part(Role.WRAPPER, "w1")),
                )
            )
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        both = Platform(urls, certificates, session)
        for manager in range(2):
            await eventually(partial(_ready, both, manager), "the pool is known", deadline=60)
        yield both


async def _ready(platform: Platform, manager: int) -> bool:
    return (await platform.state(manager)).counts.READY == _SERVERS


async def _login(client: SmartGridClient) -> Login | ClientError:
    try:
        return await client.login(secret())
    except ClientError as error:
        return error


async def test_two_users_sent_to_one_server_get_one_server_each(platform: Platform) -> None:
    route = await platform.route(0, "anna")
    other = await platform.route(1, "bert")
    assert other.boot_id == route.boot_id, "neither knows what the other has promised"
    async with platform.client(route, "anna") as anna, platform.client(other, "bert") as bert:
        outcomes = await asyncio.gather(_login(anna), _login(bert))
        (won,) = [each for each in outcomes if isinstance(each, Login)]
        (lost,) = [each for each in outcomes if isinstance(each, ClientError)]
        assert won.boot_id == route.boot_id
        # told in the handshake, or by the server, if it was the other one's only after that
        assert lost.reason in {"platform_busy", "server_taken"}
        assert lost.retry
    loser, manager = ("anna", 0) if outcomes[0] is lost else ("bert", 1)
    again = await eventually(
        lambda: _elsewhere(platform, manager, loser, route.boot_id), "the report has arrived"
    )
    assert again is not None
    async with platform.client(again, loser) as client:
        assert isinstance(await _login(client), Login)


async def _elsewhere(platform: Platform, manager: int, uid: str, boot_id: str) -> Route | None:
    route = await platform.route(manager, uid)
    return route if route.boot_id != boot_id else None


async def test_a_user_sent_to_two_servers_has_one_writer(platform: Platform) -> None:
    await platform.route(0, "bert")  # the first one promises its first server to somebody else
    routes = [await platform.route(0, "anna"), await platform.route(1, "anna")]
    assert routes[0].boot_id != routes[1].boot_id
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(platform.client(route, "anna")) for route in routes
        ]
        outcomes = await asyncio.gather(*map(_login, clients))
        (won,) = [each for each in outcomes if isinstance(each, Login)]
        (lost,) = [each for each in outcomes if isinstance(each, ClientError)]
        assert (lost.reason, lost.retry) == ("claimed_elsewhere", True)
        assert won.boot_id in str(lost), "the refusal names the holder"
        for manager in range(2):
            await eventually(
                partial(_sent_to, platform, manager, won.boot_id),
                "both know where the session is",
            )


async def _sent_to(platform: Platform, manager: int, boot_id: str) -> bool:
    return (await platform.route(manager, "anna")).boot_id == boot_id
