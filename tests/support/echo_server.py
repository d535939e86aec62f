"""A TLS server that answers each line with its own name and the line, in place of a server process."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from standby.identity import Role
from tests.support.certificates import Certificates


@dataclass(frozen=True)
class EchoServer:
    name: str
    port: int


def client_context(certificates: Certificates) -> ssl.SSLContext:
    """Trusts only the echo servers' authority, so a connection proves that nobody in between opened TLS."""
    context = ssl.create_default_context(cafile=certificates.directory / "parts-ca.pem")
    context.check_hostname = False
    return context


@contextlib.asynccontextmanager
async def echo_server(certificates: Certificates, name: str = "a") -> AsyncIterator[EchoServer]:
    files = certificates.part(Role.WRAPPER, "echo")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while line := await reader.readline():
                writer.write(f"{name}:".encode() + line)
                await writer.drain()
        tasks.discard(task)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield EchoServer(name, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await server.wait_closed()
