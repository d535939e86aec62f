"""A Routing Manager that answers as a test tells it, well or badly, and counts what it is asked."""

import asyncio
import contextlib
import json
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER that makes `close` send RST."""
BOOT_ID: Final = "0123456789abcdef"


def response(status: int, message: object) -> bytes:
    body = json.dumps(message).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def route(port: int, *, state: str = "RESERVED", address: str = "127.0.0.1") -> bytes:
    return response(
        200,
        {
            "address": address,
            "port": port,
            "state": state,
            "wrapper_id": "w-1",
            "slot": 0,
            "boot_id": BOOT_ID,
        },
    )


def refusal(status: int, code: str) -> bytes:
    return response(status, {"error": {"code": code, "message": 'no "{"', "id": "abc"}})


class StubManager:
    """`answers[uid]` is what it sends; a user in `held` waits for its event first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: dict[str, bytes] = {}
        self.once: dict[str, bytes] = {}
        """Sent instead of the answer, the first time only."""
        self.held: dict[str, asyncio.Event] = {}
        self.closes_after: set[str] = set()
        """Users after whose answer the connection is closed, as if it had gone stale at once."""
        self.asked: Counter[str] = Counter()
        self.sources: set[str] = set()
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_port=True
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self.drop()
            await self._server.wait_closed()
            self._server = None

    async def drop(self, *, reset: bool = False) -> None:
        """Close every connection, with FIN or with RST."""
        for writer in list(self._writers):
            if reset:
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort() if reset else writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task: asyncio.Task[Any] | None = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(
                asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
            ):
                await self._answer(reader, writer)
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            path, _, query = request.split(" ")[1].partition("?")
            uid = path.removeprefix("/v1/route/")
            self.asked[uid] += 1
            self.sources.add(query)
            if uid in self.held:
                await self.held[uid].wait()
            answer = self.answers.get(uid, refusal(503, "no_capacity"))
            writer.write(self.once.pop(uid, answer))
            await writer.drain()
            if uid in self.closes_after:
                return


@contextlib.asynccontextmanager
async def stub_manager(port: int) -> AsyncIterator[StubManager]:
    manager = StubManager(port)
    await manager.start()
    try:
        yield manager
    finally:
        await manager.stop()
