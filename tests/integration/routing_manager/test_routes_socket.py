"""With a Unix socket for routes, no other account on the machine can ask for them."""

import stat
from pathlib import Path

import aiohttp
import pytest

from routing_manager.settings import Settings
from standby import unix_sockets
from standby.exit_codes import EXIT_CONFIG
from tests.integration.routing_manager.test_process import event, running


async def _asked(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(f"{url}/v1/route/alice") as response:
        return response.status, (await response.json())["error"]["code"]


async def test_routes_are_given_over_the_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "routes.sock"
    settings = Settings(port=0, settle=0.0, waiting_room=0.2, routes_socket=path)
    async with running(settings) as process:
        listening = await event(process, "listening")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with unix_sockets.named(path) as name:
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(name)) as session:
                assert await _asked(session, "http://manager") == (503, "no_capacity")
        async with aiohttp.ClientSession() as session:
            assert await _asked(session, listening["url"]) == (403, "routes_elsewhere")
            async with session.get(f"{listening['url']}/v1/state") as response:
                assert response.status == 200


async def test_a_successor_takes_the_socket_over(tmp_path: Path) -> None:
    path = tmp_path / "routes.sock"
    settings = Settings(port=0, settle=0.0, waiting_room=0.2, routes_socket=path)
    async with running(settings) as first:
        await event(first, "listening")
        async with running(settings) as second:
            await event(second, "listening")
            first.terminate()
            assert await first.wait() == 0
            with unix_sockets.named(path) as name:
                async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(name)) as session:
                    assert await _asked(session, "http://manager") == (503, "no_capacity")


@pytest.mark.parametrize(
    "changes", [{"routes_socket": "no/such/routes.sock"}, {"connections": 10**6}]
)
async def test_what_cannot_work_has_an_exit_status_of_its_own(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    if "routes_socket" in changes:
        changes = {"routes_socket": tmp_path / str(changes["routes_socket"])}
    async with running(Settings(port=0, **changes)) as process:  # type: ignore[arg-type]  # by name
        assert await process.wait() == EXIT_CONFIG
