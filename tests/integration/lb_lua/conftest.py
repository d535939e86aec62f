"""One HAProxy per module, a stub Routing Manager and a TLS echo server per test."""

import ssl
from collections.abc import AsyncIterator, Iterator

import pytest

from standby.processes import reserve_port
from tests.integration.lb_lua import CONNECT, HELLO, QUERY
from tests.support.balancer import Balancer, balancer
from tests.support.certificates import Certificates
from tests.support.echo_server import EchoServer, client_context, echo_server
from tests.support.stub_manager import StubManager, stub_manager


@pytest.fixture(scope="module")
def manager_port() -> Iterator[int]:
    with reserve_port() as reserved:
        yield reserved.getsockname()[1]


@pytest.fixture(scope="module")
def lb(tmp_path_factory: pytest.TempPathFactory, manager_port: int) -> Iterator[Balancer]:
    with balancer(
        tmp_path_factory.mktemp("lb"),
        routing_manager_port=manager_port,
        client_hello=HELLO,
        route_query=QUERY,
        route_connect=CONNECT,
        server_connect=CONNECT,
    ) as running:
        yield running


@pytest.fixture
async def manager(manager_port: int) -> AsyncIterator[StubManager]:
    async with stub_manager(manager_port) as stub:
        yield stub


@pytest.fixture
async def server(certificates: Certificates) -> AsyncIterator[EchoServer]:
    async with echo_server(certificates) as running:
        yield running


@pytest.fixture(scope="module")
def context(certificates: Certificates) -> ssl.SSLContext:
    return client_context(certificates)
