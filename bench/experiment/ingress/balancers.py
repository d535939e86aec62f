"""HAProxy, as the platform runs it, in front of the backends."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from bench.part import part
from bench.platform import NO_LIMIT
from lb_lua.admin import Admin, AdminError
from lb_lua.settings import PREFIX, Settings
from standby.processes import reserve_port

_A_DAY: Final = 86_400.0
_NEXT_TO_NONE: Final = 2
"""The smallest table of remembered routes."""
_UP: Final = 10.0
_QUIET: Final = 60.0
_ASK_AGAIN: Final = 0.01


class Way(StrEnum):
    """How the load balancer finds the destination."""

    HOOK = "hook"
    HOOK_FIRST = "hook-first"
    STATIC = "static"


@dataclass(frozen=True)
class Balancer:
    pid: int
    port: int
    _admin: Admin

    def until_quiet(self) -> None:
        """Return once nothing of a run is left in it: after too much load it is busy with users who have gone.

        Raises:
            TimeoutError: there still is after a minute.
        """
        asyncio.run(self._until_quiet())

    async def _until_quiet(self) -> None:
        async with asyncio.timeout(_QUIET):
            while True:
                with contextlib.suppress(AdminError):  # it is too busy to answer
                    info = await self._admin.info()
                    if info["CurrConns"] == info["Run_queue"] == "0":
                        return
                await asyncio.sleep(_ASK_AGAIN)


@contextlib.contextmanager
def balancer(way: Way, places: Mapping[str, int], manager_port: int) -> Iterator[Balancer]:
    """One that listens, while the context lasts; `places` are the ports in a static map."""
    with tempfile.TemporaryDirectory(prefix="bench-lb-") as scratch, reserve_port() as reserved:
        settings = _settings(way, Path(scratch), reserved.getsockname()[1], manager_port)
        if settings.static_map:
            lines = [f"{uid} 127.0.0.1:{port}\n" for uid, port in places.items()]
            settings.static_map.write_text("".join(lines))
        with part("lb_lua", settings, PREFIX) as pid:
            admin = Admin(settings.admin_socket)
            asyncio.run(_until_up(admin))
            yield Balancer(pid, settings.port, admin)


def _settings(way: Way, scratch: Path, port: int, manager_port: int) -> Settings:
    common = Settings(
        port=port,
        runtime_dir=scratch,
        source_share=0,
        connection_rate=NO_LIMIT,
        session_length=_A_DAY,
    )
    match way:
        case Way.STATIC:
            return msgspec.structs.replace(common, static_map=scratch / "users.map")
        case Way.HOOK:
            return msgspec.structs.replace(common, routing_manager_port=manager_port)
        case Way.HOOK_FIRST:
            return msgspec.structs.replace(
                common, routing_manager_port=manager_port, remembered_routes=_NEXT_TO_NONE
            )


async def _until_up(admin: Admin) -> None:
    async with asyncio.timeout(_UP):
        while True:
            with contextlib.suppress(AdminError):
                await admin.info()
                return
            await asyncio.sleep(_ASK_AGAIN)
