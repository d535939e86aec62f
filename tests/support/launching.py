"""Servers launched without a wrapper, by a launcher alone."""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app_wrapper import application
from app_wrapper.launchers import Exit, Handle, Launcher, LaunchRequest
from app_wrapper.launchers.spawn import SpawnLauncher
from standby.ids import BootId, Slot
from tests.support.wrapper import APPS

_APP: Final = APPS / "forked" / "app.toml"
_NUMBERS: Final = itertools.count(1)


def spawn(*command: str) -> SpawnLauncher:
    """A launcher of that program, or of the server that tells about itself."""
    app = application.load(_APP)
    if command:
        app = application.Application(name="other", command=list(command))
    return SpawnLauncher(app, _APP.parent, os.environ)


def request(directory: Path, listener: socket.socket) -> LaunchRequest:
    """For a server with a boot id that no other has."""
    host, port = listener.getsockname()
    return LaunchRequest(
        slot=Slot(0),
        boot_id=BootId(f"{next(_NUMBERS):016x}"),
        host=host,
        port=port,
        fd=listener.fileno(),
        slot_dir=directory,
        uid=None,
    )


@dataclass
class Server:
    """A server that was launched, and what it has said so far."""

    boot_id: BootId
    port: int
    handle: Handle
    launched_at: float
    lines: list[str] = field(default_factory=list)
    said_at: list[float] = field(default_factory=list)
    listening: "asyncio.Task[None] | None" = None

    async def listen(self) -> None:
        async for line in self.handle.lines():
            self.lines.append(line)
            self.said_at.append(asyncio.get_running_loop().time())

    async def all_said(self) -> list[str]:
        """Everything it has printed, once it has ended."""
        assert self.listening is not None
        async with asyncio.timeout(60):
            await self.listening
        return self.lines

    async def ended(self) -> Exit:
        async with asyncio.timeout(60):
            return await self.handle.wait()


@contextlib.asynccontextmanager
async def launched(launcher: Launcher, directory: Path) -> AsyncIterator[Server]:
    """A server that is listened to; seen off at the end as a sidecar does it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wanted = request(directory, listener)
        now = asyncio.get_running_loop().time()
        handle = await launcher.launch(wanted)
    server = Server(wanted.boot_id, wanted.port, handle, now)
    server.listening = asyncio.create_task(server.listen())
    try:
        yield server
    finally:
        handle.kill()
        await handle.wait()
        handle.close()
        server.listening.cancel()
        await asyncio.gather(server.listening, return_exceptions=True)
