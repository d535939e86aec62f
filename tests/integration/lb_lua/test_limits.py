"""HAProxy with settings of its own per test."""

import ssl
from pathlib import Path

import aiohttp
import pytest

from lb_lua.admin import Admin
from standby.processes import reserve_port
from tests.support.balancer import balancer
from tests.support.echo_server import EchoServer
from tests.support.stub_manager import StubManager, route
from tests.support.waiting import eventually


async def test_a_remembered_route_is_forgotten_when_not_used_for_a_session_s_length(
    tmp_path: Path, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["old"] = route(server.port, state="ACTIVE")
    with balancer(tmp_path, routing_manager_port=manager.port, session_length=1.0) as short:
        await short.say("old", context, "hello")
        await manager.stop()
        assert await short.say("old", context, "hello") == "a:hello"

        admin = Admin(short.settings.admin_socket)

        async def forgotten() -> bool:
            return "used:0" in await admin.ask("show table remembered")

        await eventually(forgotten, "the route is forgotten", deadline=5)
        with pytest.raises(ssl.SSLError):
            await short.say("old", context, "hello")


async def test_metrics_and_health_are_served_on_a_listener_of_their_own(
    tmp_path: Path, manager: StubManager
) -> None:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        with balancer(tmp_path, routing_manager_port=manager.port, metrics_port=port):
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                for path in ("/healthz", "/readyz"):
                    async with http.get(path) as reply:
                        assert (reply.status, await reply.text()) == (200, "ok")
                async with http.get("/metrics") as reply:
                    assert "haproxy_frontend_connections_total" in await reply.text()
                async with http.get("/other") as reply:
                    assert reply.status == 404
