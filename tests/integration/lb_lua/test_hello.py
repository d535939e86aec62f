"""What HAProxy makes of a client's first bytes: a user id, or an alert."""

import asyncio
import socket
import time

import pytest

from tests.integration.lb_lua import HELLO, QUICKLY
from tests.support.balancer import Balancer, client_hello, client_hello_with
from tests.support.echo_server import EchoServer
from tests.support.stub_manager import StubManager, route

HANDSHAKE = 22
DECODE_ERROR, MISSING_EXTENSION, UNRECOGNIZED_NAME = 50, 109, 112


async def test_no_server_name_is_refused_with_missing_extension(
    lb: Balancer, manager: StubManager
) -> None:
    assert await lb.alert(client_hello(None)) == MISSING_EXTENSION
    assert (await lb.logged(refusal="no_sni"))["uid"] == "-"
    assert not manager.asked


@pytest.mark.parametrize("name", ["a_b", "a.b", "a" * 60 + "." + "b" * 20, "-a", "a-", "x" * 64])
async def test_a_server_name_that_is_no_user_id_is_refused_with_unrecognized_name(
    lb: Balancer, manager: StubManager, name: str
) -> None:
    assert await lb.alert(client_hello_with(name.encode())) == UNRECOGNIZED_NAME
    assert not manager.asked


@pytest.mark.parametrize("bad", [b"\n", b"\0", b"\r", b" ", b"/", b"?", b'"', b"\xc3"])
async def test_a_server_name_with_odd_bytes_is_refused_and_not_logged(
    lb: Balancer, manager: StubManager, bad: bytes
) -> None:
    assert await lb.alert(client_hello_with(b"alice" + bad)) == UNRECOGNIZED_NAME
    assert not manager.asked


async def test_plain_http_is_answered_with_an_alert_at_once(lb: Balancer) -> None:
    began = time.monotonic()
    assert await lb.alert(b"GET / HTTP/1.1\r\nHost: alice\r\n\r\n") == DECODE_ERROR
    assert await lb.alert(b"POST / HTTP/1.1\r\n\r\n" + b"x" * 200_000) == DECODE_ERROR
    assert time.monotonic() - began < HELLO


@pytest.mark.parametrize("size", [1, 5, 6, 100])
async def test_half_a_client_hello_and_then_silence_ends_at_the_deadline(
    lb: Balancer, size: int
) -> None:
    began = time.monotonic()
    assert await lb.alert(client_hello("alice")[:size]) == DECODE_ERROR
    assert HELLO * 0.9 <= time.monotonic() - began < HELLO + QUICKLY


async def test_a_client_hello_may_come_byte_by_byte(
    lb: Balancer, manager: StubManager, server: EchoServer
) -> None:
    manager.answers["slow"] = route(server.port)
    reader, writer = await asyncio.open_connection(*lb.address)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in client_hello("slow"):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await reader.readexactly(1) == bytes([HANDSHAKE])
    writer.close()
    await writer.wait_closed()
    assert (await lb.logged(uid="slow"))["state"] == "RESERVED"
