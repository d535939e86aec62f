"""The wrapper's end of a server's channel, with a real pair of sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from app_wrapper.attesting import attendant
from app_wrapper.attesting.attendant import attend
from app_wrapper.attesting.attended import Attended
from app_wrapper.events import Attested, NotAttested, Said
from attestation.issuing import messages
from attestation.issuing.messages import Answer, Begin, Kept, Refused, Request
from standby.ids import BootId

BOOT = BootId("1" * 16)
DEADLINE = 5.0


class FakeRegistrar:
    """Answers everything, and fails when it is told to."""

    def __init__(self) -> None:
        self.fails = False
        self.left: list[BootId] = []

    def answer(self, _server: Attended, _request: Request, tell: object) -> Answer:
        if self.fails:
            raise RuntimeError("a bug")
        assert callable(tell)
        tell(Attested("policy 1", {}))
        return Kept()

    def gone(self, boot_id: BootId) -> None:
        self.left.append(boot_id)


class Talk:
    """The server's end, and what the wrapper was told."""

    def __init__(self, sock: socket.socket, registrar: FakeRegistrar) -> None:
        self.registrar = registrar
        self.told: list[Said] = []
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def say(self, packet: bytes) -> bytes:
        await self._loop.sock_sendall(self._sock, packet)
        return await self._loop.sock_recv(self._sock, messages.LONGEST)

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
async def talk() -> AsyncIterator[tuple[Talk, "asyncio.Task[None]"]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)  # the standard library's signature
    with ours, theirs:
        made = Talk(theirs, FakeRegistrar())
        server = Attended(BOOT, lambda: "3a")
        task = asyncio.create_task(
            attend(ours, server, made.registrar, made.told.append)  # type: ignore[arg-type]  # a fake
        )
        async with asyncio.timeout(DEADLINE):
            yield made, task
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_was_learned_is_told_before_the_answer(
    talk: tuple[Talk, "asyncio.Task[None]"],
) -> None:
    server, _ = talk
    answer = messages.read_answer(await server.say(messages.encode(Begin())))
    assert (answer, server.told) == (Kept(), [Attested("policy 1", {})])


async def test_nonsense_ends_the_channel_and_the_server_learns_it(
    talk: tuple[Talk, "asyncio.Task[None]"],
) -> None:
    server, task = talk
    assert await server.say(b"\xc1 nonsense") == b""
    await task
    (told,) = server.told
    assert isinstance(told, NotAttested)
    assert (told.code, server.registrar.left) == ("broken_channel", [BOOT])


@pytest.mark.parametrize(
    "hardening",
    [
        {"landlock": "x" * 41},
        {"landlock": "[/nope]"},
        {"landlock": "\x1b[31mapplied"},
        {"x" * 41: "applied"},
        {"[/nope]": "applied"},
        {"landlock": 1},
        {f"layer-{number}": "applied" for number in range(1000)},
    ],
)
async def test_a_server_says_of_its_layers_what_can_be_said_or_loses_its_channel(
    talk: tuple[Talk, "asyncio.Task[None]"], hardening: dict[str, object]
) -> None:
    server, task = talk
    packet = msgspec.msgpack.encode({"type": "begin", "hardening": hardening})
    assert await server.say(packet) == b""
    await task
    (told,) = server.told
    assert isinstance(told, NotAttested)
    assert told.code == "broken_channel"


async def test_a_packet_nested_without_end_ends_the_channel_and_no_more(
    talk: tuple[Talk, "asyncio.Task[None]"],
) -> None:
    server, task = talk
    assert await server.say(b"\x82\xa4type\xa5begin\xa1x" + b"\x91" * 100_000) == b""
    await task
    assert server.registrar.left == [BOOT]


async def test_a_fault_of_the_wrapper_is_an_answer_and_not_silence(
    talk: tuple[Talk, "asyncio.Task[None]"],
) -> None:
    server, _ = talk
    server.registrar.fails = True
    answer = messages.read_answer(await server.say(messages.encode(Begin())))
    assert isinstance(answer, Refused)
    server.registrar.fails = False
    again = messages.read_answer(await server.say(messages.encode(Begin())))
    assert again == Kept()


async def test_faults_of_one_kind_that_a_server_can_cause_are_logged_once(
    talk: tuple[Talk, "asyncio.Task[None]"], caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = talk
    server.registrar.fails = True
    for _ in range(20):
        await server.say(messages.encode(Begin()))
    assert [each.message for each in caplog.records] == ["request_failed"]


async def test_a_server_that_asks_without_end_waits_for_its_wrapper(
    talk: tuple[Talk, "asyncio.Task[None]"],
) -> None:
    server, _ = talk
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(attendant.AT_ONCE + 12):
        await server.say(messages.encode(Begin()))
    # the wait comes after an answer, so the last ones need not be waited for
    assert loop.time() - began >= 10 / attendant.RATE


async def test_the_end_of_the_server_is_the_end_of_the_talk(
    talk: tuple[Talk, "asyncio.Task[None]"],
) -> None:
    server, task = talk
    server.close()
    await task
    assert server.registrar.left == [BOOT]
