"""`python -m routing_manager` as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from routing_manager.settings import PREFIX, Settings
from standby.exit_codes import EXIT_CONFIG
from standby.identity import Role
from standby.settings import to_environ
from tests.support.certificates import Certificates
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "routing_manager",
        env={**os.environ, **to_environ(settings, PREFIX)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def event(process: asyncio.subprocess.Process, name: str) -> dict[str, Any]:
    """The next record of that name in the process's log."""
    assert process.stderr is not None
    async with asyncio.timeout(20):
        async for line in process.stderr:
            record: dict[str, Any] = json.loads(line)
            if record["event"] == name:
                return record
    pytest.fail(f"the log ended without {name}")


async def test_it_says_where_it_listens_refuses_who_waits_at_sigterm_and_ends_well(
    certificates: Certificates,
) -> None:
    files = certificates.part(Role.ROUTING_MANAGER, "routing-manager")
    settings = Settings(
        port=0,
        control_port=0,
        settle=0.0,
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_authorities=files.authorities,
    )
    async with running(settings) as process, aiohttp.ClientSession() as session:
        listening = await event(process, "listening")
        assert listening["control_url"].startswith("https://127.0.0.1:")
        asked = asyncio.create_task(session.get(listening["url"] + "/v1/route/alice"))
        await eventually(lambda: _waits(session, listening["url"]), "the request waits")
        follower = await session.get(listening["url"] + "/v1/events")

        process.send_signal(signal.SIGTERM)

        async with await asked as response:
            body = await response.json()
        assert (response.status, body["error"]["code"]) == (503, "stopping")
        await follower.read()
        assert await process.wait() == 0


async def _waits(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(f"{url}/v1/state") as response:
        return bool((await response.json())["waiting"])


async def test_without_tls_files_there_is_no_control_listener() -> None:
    async with running(Settings(port=0)) as process:
        assert (await event(process, "listening"))["control_url"] is None
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


@pytest.mark.parametrize(
    "settings",
    [
        Settings(port=0, approach="on-demand"),
        Settings(port=0, tls_certificate="/nonexistent.pem"),  # type: ignore[arg-type]  # text, as in the environment
    ],
)
async def test_settings_that_cannot_work_have_their_own_exit_status(settings: Settings) -> None:
    async with running(settings) as process:
        await event(process, "settings_unusable")
        assert await process.wait() == EXIT_CONFIG
