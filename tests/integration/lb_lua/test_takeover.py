"""HAProxy starts again: beside the running one, whose listeners it takes over, or after a kill."""

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from lb_lua.admin import Admin
from lb_lua.settings import PREFIX
from standby.messages import WrapperState
from standby.processes import dies_with_parent, reserve_port
from standby.service import READY_FD
from standby.settings import to_environ
from standby.states import State
from standby.web import Listener, serving
from tests.integration.lb_lua import CONNECT, HELLO, QUERY
from tests.support.balancer import Balancer, balancer
from tests.support.echo_server import EchoServer
from tests.support.stub_manager import BOOT_ID, StubManager, refusal, route
from tests.support.waiting import eventually

DEADLINE = 60.0
DEADLINES = {
    "client_hello": HELLO,
    "route_query": QUERY,
    "route_connect": CONNECT,
    "server_connect": CONNECT,
}


@contextlib.contextmanager
def _successor(lb: Balancer) -> Iterator["subprocess.Popen[bytes]"]:
    """Another HAProxy with the same settings, once it has said that it serves."""
    reader, writer = os.pipe()
    with (lb.settings.runtime_dir / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lb_lua"],
            env={**os.environ, **to_environ(lb.settings, PREFIX), READY_FD: str(writer)},
            stderr=log,
            pass_fds=[writer],
            preexec_fn=dies_with_parent(),  # noqa: PLW1509  # single-threaded at this point
        )
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as said:
            assert said.readline() == b"\n", "it ended and did not serve"
        yield process
    finally:
        process.terminate()
        process.wait()


async def _serving_pid(lb: Balancer) -> int:
    return int((await Admin(lb.settings.admin_socket).info())["Pid"])


async def test_open_connections_go_on_and_new_ones_are_never_refused(
    tmp_path: Path,
    manager: StubManager,
    manager_port: int,
    server: EchoServer,
    context: ssl.SSLContext,
) -> None:
    manager.answers["busy"] = manager.answers["quiet"] = route(server.port, state="ACTIVE")
    stop, said = asyncio.Event(), 0

    async def comes_and_goes() -> None:
        nonlocal said
        while not stop.is_set():
            assert await lb.say("busy", context, "hello") == "a:hello"
            said += 1

    with balancer(tmp_path / "lb", routing_manager_port=manager_port, **DEADLINES) as lb:
        reader, writer = await asyncio.open_connection(
            *lb.address, ssl=context, server_hostname="quiet"
        )
        users = [asyncio.create_task(comes_and_goes()) for _ in range(4)]
        await eventually(lambda: said > 8, "users come and go", deadline=DEADLINE)
        entered = contextlib.ExitStack()
        with entered:
            successor = await asyncio.to_thread(entered.enter_context, _successor(lb))
            lb.process.send_signal(signal.SIGUSR1)
            before = said
            await eventually(lambda: said > before + 20, "users go on", deadline=DEADLINE)
            stop.set()
            await asyncio.gather(*users)
            assert await _serving_pid(lb) == successor.pid
            writer.write(b"still here\n")
            assert await reader.readline() == b"a:still here\n"
            assert lb.process.poll() is None, "it waits for its last connection"
            writer.close()
            await writer.wait_closed()
            await eventually(
                lambda: lb.process.poll() == 0, "it ends with that one", deadline=DEADLINE
            )
            assert await lb.say("busy", context, "hello") == "a:hello"


def _serves(uid: str, port: int, generation: int, state: State = State.ACTIVE) -> dict[str, object]:
    """A server as its wrapper shows it."""
    server = {
        "wrapper_id": "w1",
        "slot": 0,
        "boot_id": BOOT_ID,
        "address": "127.0.0.1",
        "port": port,
    }
    session = {"state": state, "user": uid, "generation": generation, "reason": None}
    return {**server, **session, "age_seconds": 1.0, "state_seconds": 1.0}


@contextlib.asynccontextmanager
async def _wrapper(*servers: dict[str, object]) -> AsyncIterator[str]:
    """The URL of a wrapper with these servers."""
    known = {"wrapper_id": "w1", "epoch": 1, "pool_size": 1, "capacity": 1, "draining": False}
    shown = {**known, "degraded": None, "counts": {}, "instances": servers}
    state = msgspec.convert(shown, WrapperState)

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(state))

    app = web.Application()
    app.router.add_get("/v1/instances", answer)
    async with serving(app, [Listener()]) as ((host, port),):
        yield f"http://{host}:{port}"


async def test_sessions_are_found_by_an_haproxy_that_starts_while_the_routing_manager_is_away(
    tmp_path: Path,
    manager: StubManager,
    manager_port: int,
    server: EchoServer,
    context: ssl.SSLContext,
) -> None:
    await manager.stop()
    with reserve_port() as silent:
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with _wrapper(
            _serves("alice", 1, 6),
            _serves("alice", server.port, 7),
            _serves("gone", server.port, 1, State.STOPPED),
        ) as url:
            options = {"wrapper_urls": (nowhere, url), **DEADLINES}
            lb = await asyncio.to_thread(
                (started := contextlib.ExitStack()).enter_context,
                balancer(tmp_path / "lb", routing_manager_port=manager_port, **options),
            )
        with started:
            for _ in range(4):  # both threads are met
                assert await lb.say("alice", context, "hello") == "a:hello"
            assert await lb.logged(uid="alice", state="RECALLED", to=f"127.0.0.1:{server.port}")
            for uid in ("gone", "stranger"):
                reason = await lb.alert_reason(uid, context)
                assert reason == "TLSV1_CERTIFICATE_UNOBTAINABLE"
            await manager.start()
            manager.answers["alice"] = refusal(503, "no_capacity")
            assert await lb.alert_reason("alice", context) == "TLSV1_ALERT_INTERNAL_ERROR"
            await manager.stop()
            for _ in range(4):
                reason = await lb.alert_reason("alice", context)
                assert reason == "TLSV1_CERTIFICATE_UNOBTAINABLE", "her session had ended"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_after_its_end_it_starts_without_a_predecessor(
    tmp_path: Path, manager_port: int, number: signal.Signals
) -> None:
    with balancer(tmp_path / "lb", routing_manager_port=manager_port, **DEADLINES) as lb:
        lb.process.send_signal(number)
        await asyncio.to_thread(lb.process.wait, DEADLINE)
        entered = contextlib.ExitStack()
        with entered:
            again = await asyncio.to_thread(entered.enter_context, _successor(lb))
            assert await _serving_pid(lb) == again.pid


async def test_a_routing_manager_that_is_stopping_is_asked_again_as_its_successor_may_answer(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.once["patient"] = refusal(503, "stopping")
    manager.answers["patient"] = route(server.port)
    assert await lb.say("patient", context, "hello") == "a:hello"
    assert manager.asked["patient"] == 2
