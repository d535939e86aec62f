"""Budgets of connections: what one source may take of each, and what is left for others."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from lb_lua.admin import Admin
from tests.support.balancer import balancer, client_hello
from tests.support.echo_server import EchoServer
from tests.support.strangers import strangers
from tests.support.stub_manager import StubManager, route
from tests.support.waiting import eventually

_PATIENT: Final = {"client_hello": 60.0, "route_query": 60.0}
"""Connections that wait stay as they are for the length of a test."""
_PLENTY: Final = 1_000_000


class Held:
    """A server process that holds its connections and says nothing."""

    port: int

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)

    async def until_connected(self, count: int) -> None:
        await eventually(lambda: len(self._writers) == count, f"{count} are connected")

    def end(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    server = Held()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    server.end()
    listener.close()
    await listener.wait_closed()


async def test_one_source_takes_one_part_of_the_connections_without_a_route(
    tmp_path: Path, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["quiet"] = route(server.port)
    with (
        balancer(
            tmp_path,
            routing_manager_port=manager.port,
            unrouted_connections=45,
            source_share=8,
            **_PATIENT,
        ) as lb,
        strangers(lb.address) as crowd,
    ):
        crowd.come(60)
        await crowd.until_open(5)  # 8 x 5 + 5 = 45
        assert await lb.say("quiet", context, "hello") == "a:hello"


async def test_many_sources_leave_a_part_to_others(
    tmp_path: Path, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["quiet"] = route(server.port)
    with (
        balancer(
            tmp_path,
            routing_manager_port=manager.port,
            unrouted_connections=240,
            source_share=8,
            **_PATIENT,
        ) as lb,
        strangers(lb.address) as crowd,
    ):
        for _ in range(20):
            for number in range(16):
                crowd.come(1, source=f"127.0.3.{number + 1}")
        await eventually(lambda: crowd.open <= 176, "each has a tenth part, or a little more")
        assert crowd.open >= 144
        for _ in range(5):
            assert await lb.say("quiet", context, "hello") == "a:hello"


async def test_questions_to_the_routing_manager_are_bounded_with_the_rest(
    tmp_path: Path, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["quiet"] = route(server.port)
    manager.held["asked"] = asyncio.Event()
    with (
        balancer(
            tmp_path,
            routing_manager_port=manager.port,
            unrouted_connections=45,
            source_share=8,
            max_connections=100,
            **_PATIENT,
        ) as lb,
        strangers(lb.address) as crowd,
    ):
        crowd.come(60, data=client_hello("asked"))
        await crowd.until_open(5)
        await eventually(lambda: manager.asked["asked"] == 5, "each has asked")
        assert await lb.say("quiet", context, "hello") == "a:hello"
        assert manager.asked["asked"] == 5
        assert "not enough free sockets" not in (tmp_path / "log").read_text()


async def test_a_connection_with_a_route_is_not_one_without(
    tmp_path: Path, manager: StubManager, held: Held
) -> None:
    manager.answers["routed"] = route(held.port)
    with (
        balancer(
            tmp_path,
            routing_manager_port=manager.port,
            unrouted_connections=9,
            source_share=8,
            **_PATIENT,
        ) as lb,
        strangers(lb.address) as crowd,
    ):
        for number in range(1, 11):
            crowd.come(1, data=client_hello("routed"))
            await held.until_connected(number)
        assert crowd.open == 10
        crowd.come(5)
        await crowd.until_open(11)


async def test_one_source_takes_one_part_of_all_connections(
    tmp_path: Path, manager: StubManager, server: EchoServer, held: Held, context: ssl.SSLContext
) -> None:
    manager.answers |= {"routed": route(held.port), "quiet": route(server.port)}
    with (
        balancer(
            tmp_path,
            routing_manager_port=manager.port,
            max_connections=45,
            source_share=8,
            **_PATIENT,
        ) as lb,
        strangers(lb.address) as crowd,
    ):
        crowd.come(60, data=client_hello("routed"))
        await crowd.until_open(5)
        assert await lb.say("quiet", context, "hello") == "a:hello"


async def test_one_source_takes_one_part_of_the_rate_and_is_served_again_however_often_it_tries(
    tmp_path: Path, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["quiet"] = route(server.port)
    with (
        balancer(
            tmp_path,
            routing_manager_port=manager.port,
            connection_rate=9,
            source_share=8,
            **_PATIENT,
        ) as lb,
        strangers(lb.address) as crowd,
    ):
        crowd.come(60)
        await eventually(lambda: crowd.open <= 10, "a ninth of 90 in ten seconds")
        before = crowd.open
        assert before
        assert await lb.say("quiet", context, "hello") == "a:hello"

        def served_again() -> bool:
            crowd.come(1)
            return crowd.open > before

        await eventually(served_again, "a source that never stops trying is served", deadline=60)


async def test_refusals_are_counted_and_a_few_are_logged(
    tmp_path: Path, manager: StubManager
) -> None:
    with balancer(
        tmp_path, routing_manager_port=manager.port, logged_connections=3, connection_rate=_PLENTY
    ) as lb:
        for _ in range(20):
            assert await lb.alert(client_hello(None)) == 109
        admin = Admin(lb.settings.admin_socket)
        table = await admin.ask("show table refusals")
        (entry,) = [line for line in table.splitlines() if "key=no_sni " in line]
        assert "conn_cnt=20 " in entry
        await lb.logged(refusal="no_sni")
        assert len(lb.connections()) == 3


async def test_of_one_source_a_few_connections_are_logged_and_all_of_others(
    tmp_path: Path, manager: StubManager, server: EchoServer, held: Held, context: ssl.SSLContext
) -> None:
    manager.answers |= {"often": route(held.port), "quiet": route(server.port)}
    with (
        balancer(tmp_path, routing_manager_port=manager.port, logged_connections=3) as lb,
        strangers(lb.address) as crowd,
    ):
        crowd.come(20, data=client_hello("often"))
        await held.until_connected(20)
        held.end()
        crowd.leave()
        await lb.say("quiet", context, "hello")
        await lb.logged(uid="quiet")
        await eventually(lambda: len(lb.connections()) == 4, "three of the many, and the one")


def test_a_source_of_ipv6_is_a_network_of_64_bits(tmp_path: Path) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this account may not make a network of its own")
    module = "tests.integration.lb_lua.networks"
    done = subprocess.run(
        [*alone, sys.executable, "-m", module, tmp_path],
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {"one network, two addresses": 5, "another network": 4}
