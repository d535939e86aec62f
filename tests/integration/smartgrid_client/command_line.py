"""The command in a process of its own, with what every run of it needs."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.smartgrid_client.conftest import UID, Place
from tests.support.smartgrid_stub import KEY_HEX

DEADLINE = 30.0


@dataclass
class Result:
    status: int
    out: str
    err: str


def arguments(place: Place, keydir: Path) -> list[str]:
    """Everything that is required but `--mode`; the key is written."""
    (keydir / "db.key").write_text(KEY_HEX + "\n")
    return [
        sys.executable, "-m", "smartgrid_client",
        "-server", "127.0.0.1", "-port", str(place.port), "-sni", UID,
        "-cert", str(place.tls.certificate), "-key", str(place.tls.key),
        "-ca", str(place.tls.authorities), "-keydir", str(keydir),
    ]  # fmt: skip


def of_meter(place: Place) -> list[str]:
    """After `arguments`: the user's meter instead of the user."""
    return ["--mode", "1", "--cert", str(place.meter.certificate), "--key", str(place.meter.key)]


async def run(
    command: list[str], *more: str, given: bytes = b"", environ: dict[str, str] | None = None
) -> Result:
    """`given` is what it finds on standard input."""
    async with running(command, *more, environ=environ) as process:
        return await ended(process, given)


@asynccontextmanager
async def running(
    command: list[str], *more: str, environ: dict[str, str] | None = None
) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command, *more, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=os.environ | (environ or {})
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass
class Terminal:
    """What a person sees and types where the command runs."""

    process: Process
    screen: asyncio.StreamReader
    keyboard: int

    async def shows(self, text: str) -> str:
        """What is shown up to this text."""
        async with asyncio.timeout(DEADLINE):
            return (await self.screen.readuntil(text.encode())).decode()

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    async def ends(self) -> Result:
        """With everything that is shown until then."""
        shown = b""
        async with asyncio.timeout(DEADLINE):
            with contextlib.suppress(OSError):  # the last process has left the terminal
                while some := await self.screen.read(1 << 16):
                    shown += some
            return Result(await self.process.wait(), shown.decode(), "")


@asynccontextmanager
async def at_a_terminal(command: list[str], *more: str) -> AsyncIterator[Terminal]:
    ours, its = os.openpty()
    keyboard = os.dup(ours)
    screen = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(screen), os.fdopen(ours, "rb", buffering=0)
    )
    with_terminal = ["setsid", "--ctty", *command, *more]
    process = await asyncio.create_subprocess_exec(
        *with_terminal, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    try:
        yield Terminal(process, screen, keyboard)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        transport.close()
        os.close(keyboard)


async def ended(process: Process, given: bytes = b"") -> Result:
    out, err = await asyncio.wait_for(process.communicate(given), DEADLINE)
    assert process.returncode is not None
    assert KEY_HEX not in (out + err).decode()
    assert b"token-" not in out + err
    return Result(process.returncode, out.decode(), err.decode())
