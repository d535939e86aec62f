"""An App Wrapper under test: settings for it, users for it, and a client of the tiny server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from app_wrapper.process import Process
from app_wrapper.settings import Settings
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.wrapper import Wrapper
from standby.ids import WrapperId, parse_uid
from standby.states import State
from standby.tls import TlsFiles
from tests.support.waiting import eventually

APPS: Final = Path(__file__).parent / "apps"
TINY: Final = APPS / "tiny" / "app.toml"
TINY_PORT: Final = APPS / "tiny" / "app-port.toml"
BAD: Final = APPS / "bad" / "app.toml"
USERS: Final = ("anna", "bert", "carla")
_DEADLINE: Final = 10.0


def settings(directory: Path, **changes: Any) -> Settings:
    """Settings of a wrapper that keeps everything below `directory`; users are enrolled with `enroll`."""
    base = Settings(
        id=WrapperId("w1"),
        app=TINY,
        state_dir=directory / "state",
        volumes_dir=directory / "volumes",
        volume_handover=0.3,
        restart_first=0.02,
        restart_most=0.2,
    )
    return msgspec.structs.replace(base, **changes)


def with_tls(files: TlsFiles) -> dict[str, Any]:
    return {
        "tls_certificate": files.certificate,
        "tls_key": files.key,
        "tls_authorities": files.authorities,
    }


def enroll(directory: Path, *uids: str) -> HostPathVolumes:
    """A volume for each user."""
    volumes = HostPathVolumes(directory / "volumes")
    for uid in uids:
        volumes.create(parse_uid(uid))
    return volumes


def processes(wrapper: Wrapper, state: State | None = None) -> list[Process]:
    found = wrapper.supervisor.pool.roster.processes()
    return [each for each in found if state in {None, each.state}]


async def ready(wrapper: Wrapper, count: int = 1) -> list[Process]:
    """The READY servers, once there are at least that many."""

    def enough() -> list[Process]:
        found = processes(wrapper, State.READY)
        return found if len(found) >= count else []

    return await eventually(enough, f"{count} servers are READY")


class TinyClient:
    """A client of the tiny server (and of the bad ones, as far as they answer)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int | None) -> AsyncIterator[Self]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, line: str) -> str:
        """The server's answer; empty when it closed the connection instead."""
        self._writer.write(f"{line}\n".encode())
        return await self.hear()

    async def hear(self) -> str:
        async with asyncio.timeout(_DEADLINE):
            try:
                return (await self._reader.readline()).decode().rstrip("\n")
            except ConnectionError:
                return ""

    async def log_in(self, uid: str) -> tuple[str, int]:
        """The boot id and generation that serve the user."""
        word, boot_id, generation = (await self.ask(f"USER {uid}")).split()
        assert word == "WELCOME"
        return boot_id, int(generation)

    async def notes(self) -> list[str]:
        found = [await self.ask("READ")]
        while found[-1] != "END":
            found.append(await self.hear())
        return found[:-1]
