"""The command in a process of its own, with what every run of it needs."""

import asyncio
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


async def run(command: list[str], *more: str) -> Result:
    async with running(command, *more) as process:
        return await ended(process)


@asynccontextmanager
async def running(command: list[str], *more: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*command, *more, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: Process) -> Result:
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode is not None
    assert KEY_HEX not in (out + err).decode()
    assert b"token-" not in out + err
    return Result(process.returncode, out.decode(), err.decode())
