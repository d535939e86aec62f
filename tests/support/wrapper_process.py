"""An App Wrapper as it really runs: a process of its own, seen through its log and its listeners."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from app_wrapper.settings import PREFIX, Settings
from standby import tls
from standby.messages import InstanceView, WrapperState
from standby.settings import to_environ
from standby.states import State
from standby.tls import TlsFiles
from tests.support.waiting import eventually

T = TypeVar("T")
_END: Final = 20.0


@dataclass
class WrapperProcess:
    child: "subprocess.Popen[bytes]"
    log_file: Path
    url: str = ""
    control_url: str = ""

    def log(self, event: str) -> list[dict[str, Any]]:
        """The records of that event, so far."""
        lines = self.log_file.read_text().split("\n")[:-1]
        records = [msgspec.json.decode(line) for line in lines if line.startswith("{")]
        return [each for each in records if each.get("event") == event]

    async def state(self) -> WrapperState:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/v1/instances") as response,
        ):
            return msgspec.json.decode(await response.read(), type=WrapperState)

    async def servers(self) -> list[InstanceView]:
        return (await self.state()).instances

    async def ready(self, count: int = 1) -> list[InstanceView]:
        """The READY servers, once there are at least that many."""

        async def enough() -> list[InstanceView]:
            found = [each for each in (await self.state()).instances if each.state is State.READY]
            return found if len(found) >= count else []

        return await eventually(enough, f"{count} servers are READY")

    async def get(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}{path}") as response,
        ):
            return response.status, await response.text()

    async def order(
        self, method: str, path: str, files: TlsFiles, message: object = None
    ) -> tuple[int, dict[str, Any]]:
        """Give an order over the control listener: status and body of the answer."""
        context = tls.client_context(files)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method,
                f"{self.control_url}{path}",
                data=msgspec.json.encode(message) if message is not None else None,
                ssl=context,
            ) as response,
        ):
            return response.status, msgspec.json.decode(await response.read())

    def signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    async def ended(self, deadline: float = _END) -> int:
        """The exit status, once the process has ended."""
        await eventually(
            lambda: self.child.poll() is not None, "the wrapper has ended", deadline=deadline
        )
        return self.child.returncode


def start(settings: Settings, log_file: Path) -> "subprocess.Popen[bytes]":
    """Start a wrapper process, wherever that leads."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "app_wrapper"],
            env={**os.environ, **to_environ(settings, PREFIX)},
            stderr=log,
        )


@contextlib.asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[WrapperProcess]:
    """A wrapper process that listens; killed at the end if it still runs."""
    log_file = settings.state_dir.parent / f"{settings.state_dir.name}.log"
    process = WrapperProcess(await asyncio.to_thread(start, settings, log_file), log_file)
    try:
        (listening,) = await eventually(lambda: process.log("listening"), "the wrapper listens")
        process.url = listening["url"]
        process.control_url = listening["control_url"] or ""
        yield process
    finally:
        if process.child.poll() is None:
            process.child.kill()
        process.child.wait()
