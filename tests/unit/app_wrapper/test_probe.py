"""A probe believes what only a process that works can do."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from app_wrapper import probe
from app_wrapper.probe import TRIES, Probe
from standby.identity import Role
from standby.tls import server_context
from tests.support.certificates import Certificates


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


async def _answers(address: tuple[str, int], deadline: float) -> bool:
    return await probe.answers(*address, deadline)


async def test_a_tls_server_answers_a_hello_without_a_name_if_only_with_an_alert(
    tmp_path: Path,
) -> None:
    def refuse(_connection: object, name: str | None, _context: ssl.SSLContext) -> int | None:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name is None else None

    context = server_context(Certificates.create(tmp_path).part(Role.WRAPPER, "w1"))
    context.sni_callback = refuse
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        assert await _answers(server.sockets[0].getsockname(), 5.0)


async def test_a_process_that_hangs_accepts_connections_and_does_not_answer(
    listener: socket.socket,
) -> None:
    with listener:
        assert not await _answers(listener.getsockname(), 0.05)


async def test_nobody_there_is_no_answer(listener: socket.socket) -> None:
    address = listener.getsockname()
    listener.close()
    assert not await _answers(address, 5.0)


async def test_one_missed_answer_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [False, True, False, True] + [False] * TRIES + [True]

    async def answers(*_: object) -> bool:
        return outcomes.pop(0)

    monkeypatch.setattr(probe, "answers", answers)
    await Probe(interval=0.001, answer=1.0).until_silent("127.0.0.1", 1)
    assert outcomes == [True]
