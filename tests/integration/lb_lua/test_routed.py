"""A real HAProxy with the hook, in front of a stub Routing Manager and TLS echo servers."""

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
import time

import pytest

from standby.processes import reserve_port
from tests.integration.lb_lua import CONNECT, QUERY, QUICKLY
from tests.support.balancer import Balancer, client_hello
from tests.support.echo_server import EchoServer
from tests.support.stub_manager import BOOT_ID, StubManager, refusal, route
from tests.support.waiting import eventually

BROKEN = {
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
    "a route to a name": route(1, address="example.org"),
    "a route to port 0": route(0),
    "a state nobody may be sent to": route(1, state="STOPPED"),
    "a body without end": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
    "a huge body": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,
    "a status that is none": b"HTTP/1.1 999 x\r\nContent-Length: 2\r\n\r\n{}",
}


async def test_a_client_reaches_the_process_that_the_routing_manager_names(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["alice"] = route(server.port)
    assert await lb.say("alice", context, "hello") == "a:hello"
    assert manager.sources == {"source=127.0.0.1"}
    record = await lb.logged(uid="alice")
    assert record["to"] == f"127.0.0.1:{server.port}"
    assert record["state"] == "RESERVED"
    assert record["boot_id"] == BOOT_ID


async def test_a_name_in_upper_case_is_the_same_user(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["carol"] = route(server.port)
    assert await lb.say("CAROL", context, "hello") == "a:hello"


async def test_a_route_to_an_ipv6_address_works(lb: Balancer, manager: StubManager) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        listener.setblocking(False)
        manager.answers["six"] = route(listener.getsockname()[1], address="::1")
        hello = client_hello("six")
        _, writer = await asyncio.open_connection(*lb.address)
        writer.write(hello)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            accepted, _ = await loop.sock_accept(listener)
            with accepted:
                assert await loop.sock_recv(accepted, 65536) == hello
        writer.close()
        await writer.wait_closed()


async def test_fifty_connections_share_few_connections_to_the_routing_manager(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    uids = [f"user-{number}" for number in range(50)]
    manager.answers |= dict.fromkeys(uids, route(server.port))
    for uid in uids:
        assert await lb.say(uid, context, uid) == f"a:{uid}"
    assert manager.asked == dict.fromkeys(uids, 1)
    assert manager.connections <= lb.settings.threads


async def test_fifty_clients_at_once_all_arrive(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    uids = [f"crowd-{number}" for number in range(50)]
    manager.answers |= dict.fromkeys(uids, route(server.port))
    answers = await asyncio.gather(*(lb.say(uid, context, uid) for uid in uids))
    assert answers == [f"a:{uid}" for uid in uids]


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (503, "no_capacity", "TLSV1_ALERT_INTERNAL_ERROR"),
        (503, "not_settled", "TLSV1_CERTIFICATE_UNOBTAINABLE"),
        (500, "internal", "TLSV1_ALERT_INTERNAL_ERROR"),
        (400, "bad_name", "TLSV1_UNRECOGNIZED_NAME"),
    ],
)
async def test_a_refusal_reaches_the_client_as_an_alert_and_the_operator_as_a_code(
    lb: Balancer, manager: StubManager, context: ssl.SSLContext, status: int, code: str, reason: str
) -> None:
    uid = code.replace("_", "-")
    manager.answers[uid] = refusal(status, code)
    assert await lb.alert_reason(uid, context) == reason
    assert manager.asked[uid] == 1
    record = await lb.logged(uid=uid)
    level = "INFO" if code == "bad_name" else "WARNING"
    assert (record["refusal"], record["level"]) == (code, level)


async def test_while_the_routing_manager_is_away_only_a_session_s_last_route_is_used(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["active"] = route(server.port, state="ACTIVE")
    manager.answers["promised"] = route(server.port)
    for uid in ("active", "promised"):
        await lb.say(uid, context, "hello")

    await manager.stop()
    began = time.monotonic()
    for _ in range(4):  # so that both threads are met
        assert await lb.say("active", context, "again") == "a:again"
    for uid in ("promised", "stranger"):
        assert await lb.alert_reason(uid, context) == "TLSV1_CERTIFICATE_UNOBTAINABLE"
    assert time.monotonic() - began < QUICKLY
    assert await lb.logged(uid="stranger", refusal="routing_manager_away", level="ERROR")
    recalled = await lb.logged(uid="active", state="RECALLED", level="WARNING")
    assert (recalled["to"], recalled["via"]) == (f"127.0.0.1:{server.port}", "routed")
    assert 0 <= recalled["away_s"] < QUICKLY

    await manager.start()
    manager.answers["stranger"] = route(server.port)
    assert await lb.say("stranger", context, "hello") == "a:hello"
    assert await lb.logged(uid="stranger", refusal="-", level="INFO", away_s=0)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_kept_connection_that_went_stale_costs_no_client(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext, *, reset: bool
) -> None:
    uid = f"stale-{reset}".lower()
    manager.answers[uid] = route(server.port)
    for _ in range(3):
        assert await lb.say(uid, context, "hello") == "a:hello"
        await manager.drop(reset=reset)
        assert await lb.say(uid, context, "hello") == "a:hello"


async def test_a_connection_that_breaks_while_waiting_is_replaced_and_the_request_repeated(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.held["waiting"] = asyncio.Event()
    client = asyncio.create_task(lb.say("waiting", context, "hello"))
    await eventually(lambda: manager.asked["waiting"], "the hook has asked")
    manager.answers["waiting"] = route(server.port)
    manager.held.clear()
    await manager.drop()
    assert await client == "a:hello"


async def test_one_user_s_wait_holds_up_nobody_else(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    waiting = [f"patient-{number}" for number in range(10)]
    manager.held |= {uid: asyncio.Event() for uid in waiting}
    manager.answers |= dict.fromkeys([*waiting, "quick"], route(server.port))
    clients = [asyncio.create_task(lb.say(uid, context, uid)) for uid in waiting]
    for _ in range(5):
        assert await lb.say("quick", context, "hello") == "a:hello"
    assert not any(client.done() for client in clients)
    for event in manager.held.values():
        event.set()
    assert await asyncio.gather(*clients) == [f"a:{uid}" for uid in waiting]


async def test_a_routing_manager_that_never_answers_is_away_after_the_deadline(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["known"] = route(server.port, state="ACTIVE")
    await lb.say("known", context, "hello")
    manager.held |= {uid: asyncio.Event() for uid in ("known", "never")}
    began = time.monotonic()
    said, reason = await asyncio.gather(
        lb.say("known", context, "hello"), lb.alert_reason("never", context)
    )
    assert (said, reason) == ("a:hello", "TLSV1_CERTIFICATE_UNOBTAINABLE")
    assert QUERY * 0.9 <= time.monotonic() - began < QUERY + QUICKLY
    assert (await lb.logged(uid="never"))["refusal"] == "routing_manager_away"


@pytest.mark.parametrize("what", BROKEN)
async def test_a_broken_answer_is_asked_for_twice_and_then_the_user_is_refused(
    lb: Balancer, manager: StubManager, context: ssl.SSLContext, what: str
) -> None:
    uid = what.replace(" ", "-").lower()
    manager.answers[uid] = BROKEN[what]
    manager.closes_after.add(uid)
    assert await lb.alert_reason(uid, context) == "TLSV1_CERTIFICATE_UNOBTAINABLE"
    assert 2 <= manager.asked[uid] <= 3
    assert (await lb.logged(uid=uid))["refusal"] == "routing_manager_away"


async def test_a_session_s_last_route_is_used_when_answers_are_broken(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    manager.answers["steady"] = route(server.port, state="ACTIVE")
    await lb.say("steady", context, "hello")
    manager.answers["steady"] = BROKEN["no JSON"]
    assert await lb.say("steady", context, "hello") == "a:hello"


async def test_a_user_whose_server_has_just_ended_is_routed_once_more(
    lb: Balancer, manager: StubManager, server: EchoServer, context: ssl.SSLContext
) -> None:
    with reserve_port() as dead:
        manager.once["again"] = route(dead.getsockname()[1], state="ACTIVE")
        manager.answers["again"] = route(server.port)
        assert await lb.say("again", context, "hello") == "a:hello"
    assert manager.asked["again"] == 2
    assert manager.sources == {"source=127.0.0.1"}


async def test_a_server_process_that_has_just_died_is_an_alert_and_not_a_silent_close(
    lb: Balancer, manager: StubManager, context: ssl.SSLContext
) -> None:
    with reserve_port() as dead:
        manager.answers["late"] = route(dead.getsockname()[1])
        began = time.monotonic()
        assert await lb.alert_reason("late", context) == "TLSV1_ALERT_INTERNAL_ERROR"
        assert time.monotonic() - began < QUICKLY
    last = await lb.logged(event="connection_moved", uid="late", refusal="server_gone")
    assert last["level"] == "WARNING"


async def test_a_server_process_that_does_not_accept_is_an_alert_after_the_deadline(
    lb: Balancer, manager: StubManager, context: ssl.SSLContext
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_connection(full.getsockname()))
        manager.answers["stuck"] = route(full.getsockname()[1])
        began = time.monotonic()
        assert await lb.alert_reason("stuck", context) == "TLSV1_ALERT_INTERNAL_ERROR"
        assert time.monotonic() - began < CONNECT + QUICKLY


@pytest.mark.parametrize("reset", [False, True], ids=["closing", "resetting"])
async def test_clients_that_leave_while_waiting_leave_nothing_behind(
    lb: Balancer,
    manager: StubManager,
    server: EchoServer,
    context: ssl.SSLContext,
    *,
    reset: bool,
) -> None:
    uids = [f"leaver-{number}-{reset}".lower() for number in range(20)]
    manager.held |= {uid: asyncio.Event() for uid in uids}
    for uid in uids:
        with socket.create_connection(lb.address) as sock:
            sock.sendall(client_hello(uid))
            await eventually(functools.partial(manager.asked.get, uid), "the hook has asked")
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for event in manager.held.values():
        event.set()
    manager.answers["stayer"] = route(server.port)
    assert await lb.say("stayer", context, "hello") == "a:hello"
    kept = lb.settings.kept_connections * lb.settings.threads
    await eventually(lambda: manager.open_connections <= kept, "no connection is left open")
    assert lb.process.poll() is None
