"""The stranger sends what it is asked for, from its own address, and leaves nothing behind."""

import asyncio
import contextlib
import ssl

from bench import stranger
from bench.stranger import Stranger
from tests.support.waiting import eventually


async def test_whole_and_half_hellos_arrive_from_one_address_until_it_is_stopped() -> None:
    received: list[tuple[str, bytes]] = []
    open_now: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        host, _ = writer.get_extra_info("peername")
        received.append((host, await reader.read(4096)))
        try:
            await reader.read()
        except ConnectionResetError:
            pass
        finally:
            open_now.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        made = Stranger("127.0.0.1", port, rate=100, half=4)
        stop = asyncio.Event()
        task = asyncio.create_task(made.run(stop))
        await eventually(lambda: len(received) >= 8, "eight connections")
        stop.set()
        await asyncio.wait_for(task, 20)
        await eventually(lambda: not open_now, "every connection is closed")
    assert {host for host, _ in received} == {stranger.ADDRESS}
    whole = [data for _, data in received if _complete(data)]
    assert len({_name(data) for data in whole}) == len(whole), "every name is another one"
    assert any(data and not _complete(data) for _, data in received)
    assert made.sent.hellos >= 6
    assert made.sent.halves >= 2


async def test_a_load_balancer_that_is_not_there_is_counted_and_nothing_else() -> None:
    made = Stranger("127.0.0.1", 1, rate=100)
    stop = asyncio.Event()
    task = asyncio.create_task(made.run(stop))
    await eventually(lambda: made.sent.refused >= 3, "three refused connections")
    stop.set()
    await asyncio.wait_for(task, 20)
    assert made.sent.hellos == 0


def _complete(data: bytes) -> bool:
    """One TLS record of the length that its header says."""
    return len(data) >= 5 and len(data) == 5 + int.from_bytes(data[3:5], "big")


def _name(data: bytes) -> str | None:
    """The server name, as a TLS library reads it."""
    found: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def note(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int:
        found.append(name)
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = note
    incoming = ssl.MemoryBIO()
    incoming.write(data)
    with contextlib.suppress(ssl.SSLError):
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    return found[0]
