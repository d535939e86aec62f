"""A user with a session is sent there without a question, and notices at most once that it is no longer theirs."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import pytest

from standby.processes import reserve_port
from tests.support.balancer import Balancer, client_hello
from tests.support.echo_server import EchoServer
from tests.support.stub_manager import StubManager, refusal, route
from tests.support.waiting import eventually

ALERT = bytes((21, 3, 3, 0, 2, 2, 112))
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


async def _remember(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext, uid: str
) -> None:
    """The user has a session at this server, and HAProxy knows it."""
    manager.answers[uid] = route(server.port, state="ACTIVE")
    for _ in range(2):
        assert await lb.say(uid, context, "hello") == "a:hello"
    assert manager.asked[uid] == 1


async def test_a_sessions_route_is_used_once_more_after_each_answer_by_every_thread(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    await _remember(lb, manager, server, context, "known")
    for _ in range(8):
        assert await lb.say("known", context, "again") == "a:again"
    assert manager.asked["known"] == 5
    record = await lb.logged(uid="known", state="RECALLED")
    assert record["to"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("state", ["RESERVED", "READY"])
async def test_a_promise_or_a_shared_server_is_never_remembered(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext, state: str
) -> None:
    uid = f"promised-{state}".lower()
    manager.answers[uid] = route(server.port, state=state)
    for _ in range(3):
        assert await lb.say(uid, context, "hello") == "a:hello"
    assert manager.asked[uid] == 3


async def test_a_session_whose_server_has_ended_costs_its_user_nothing(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    with reserve_port() as dead:
        manager.answers["moved"] = route(dead.getsockname()[1], state="ACTIVE")
        listener = socket.create_server(dead.getsockname(), reuse_port=True)
        async with _serving(listener, _says(b"\x16")):
            assert await _first_bytes(lb, "moved") == b"\x16"
            assert manager.asked["moved"] == 1
        manager.answers["moved"] = route(server.port)
        assert await lb.say("moved", context, "hello") == "a:hello"
        first = await lb.logged(uid="moved", state="RECALLED")
        assert first["via"].startswith("moved")
        assert first["to"] == f"127.0.0.1:{dead.getsockname()[1]}"
        then = await lb.logged(event="connection_moved", uid="moved")
        assert (then["to"], then["via"]) == (f"127.0.0.1:{server.port}", "routed")
        assert then["source_port"] == first["source_port"]
    assert manager.asked["moved"] == 2
    assert await lb.say("moved", context, "hello") == "a:hello"
    assert manager.asked["moved"] == 3, "the old route is forgotten"


def _says(data: bytes) -> Behaviour:
    def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return behave


def _closes(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@contextlib.asynccontextmanager
async def _serving(listener: socket.socket, behave: Behaviour) -> AsyncIterator[None]:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        behave(reader, writer)

    server = await asyncio.start_server(serve, sock=listener)
    try:
        yield
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def _first_bytes(lb: Balancer, uid: str) -> bytes:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*lb.address)
        writer.write(client_hello(uid))
        try:
            return await reader.read(16)
        finally:
            writer.transport.abort()


@pytest.mark.parametrize(
    ("stranger", "gets"),
    [
        pytest.param(_says(ALERT), ALERT, id="refuses-the-name"),
        pytest.param(_says(b"HTTP/1.1 400"), b"HTTP/1.1 400", id="speaks-no-tls"),
        pytest.param(_closes, b"", id="closes"),
    ],
)
async def test_whoever_else_has_the_port_now_is_met_once(
    lb: Balancer,
    manager: StubManager,
    server: EchoServer,
    context: ssl.SSLContext,
    request: pytest.FixtureRequest,
    stranger: Behaviour,
    gets: bytes,
) -> None:
    uid = request.node.callspec.id
    listener = socket.create_server(("127.0.0.1", 0))
    manager.answers[uid] = route(listener.getsockname()[1], state="ACTIVE")
    answered = 0

    def changing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        answered += 1
        (_says(b"\x16") if answered == 1 else stranger)(reader, writer)

    async with _serving(listener, changing):
        assert await _first_bytes(lb, uid) == b"\x16"
        manager.answers[uid] = route(server.port)
        assert await _first_bytes(lb, uid) == gets
        assert await lb.say(uid, context, "hello") == "a:hello"
    assert (answered, manager.asked[uid]) == (2, 2)


async def test_while_a_remembered_server_is_silent_others_of_its_user_ask(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    manager.answers["hung"] = route(listener.getsockname()[1], state="ACTIVE")
    connections: list[asyncio.StreamReader] = []

    def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(reader)
        if len(connections) == 1:
            writer.write(b"\x16")

    async with _serving(listener, behave):
        assert await _first_bytes(lb, "hung") == b"\x16"
        waiting = asyncio.create_task(_first_bytes(lb, "hung"))
        await eventually(lambda: len(connections) == 2, "it has been connected to again")
        manager.answers["hung"] = route(server.port, state="ACTIVE")
        assert await lb.say("hung", context, "hello") == "a:hello"
        assert await lb.say("hung", context, "hello") == "a:hello"
        assert manager.asked["hung"] == 2
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_refusal_forgets_the_session(
    lb: Balancer, manager: StubManager, context: ssl.SSLContext
) -> None:
    with reserve_port() as dead:
        manager.once["ended"] = route(dead.getsockname()[1], state="ACTIVE")
        manager.answers["ended"] = refusal(503, "no_capacity")
        with pytest.raises(ssl.SSLError):
            await lb.say("ended", context, "hello")
        asked = manager.asked["ended"]
        await manager.stop()
        with pytest.raises(ssl.SSLError):
            await lb.say("ended", context, "hello")
    assert asked == 2
    assert await lb.logged(uid="ended", refusal="routing_manager_away")
