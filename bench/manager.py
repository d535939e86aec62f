"""A Routing Manager by itself, told of servers by wrappers that report once."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from bench.part import part
from routing_manager.settings import PREFIX, Settings
from standby.identity import Role
from standby.messages import PlatformState, Report
from standby.processes import reserve_port
from standby.tls import client_context
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout

_SILENT: Final = 1e6
"""Seconds for which a wrapper may be silent."""
_UP: Final = 20.0
_ASK_AGAIN: Final = 0.02


@dataclass(frozen=True)
class Manager:
    """One that runs."""

    pid: int
    port: int
    _control_port: int
    _authorities: Authorities

    async def tell(self, reports: Mapping[str, Report]) -> None:
        """Report for each of these wrappers; every instance is ACTIVE.

        Raises:
            RuntimeError: it does not know all of them afterwards.
        """
        plain = f"http://127.0.0.1:{self.port}"
        async with aiohttp.ClientSession() as session:
            await _until_up(session, plain)
            for name, report in reports.items():
                await session.post(
                    f"https://127.0.0.1:{self._control_port}/v1/wrappers/{name}/report",
                    data=msgspec.json.encode(report),
                    ssl=client_context(self._authorities.part(Role.WRAPPER, name)),
                    raise_for_status=True,
                )
            async with session.get(f"{plain}/v1/state") as response:
                known = msgspec.json.decode(await response.read(), type=PlatformState).counts.ACTIVE
        told = sum(len(report.instances) for report in reports.values())
        if known != told:
            raise RuntimeError(f"{known} of {told} instances are known")


@contextlib.contextmanager
def manager() -> Iterator[Manager]:
    """One that knows nothing yet, while the context lasts; it may not be up before it is told something."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-rm-") as scratch,
        reserve_port() as plain,
        reserve_port() as control,
    ):
        layout = Layout(Path(scratch) / "state")
        layout.make()
        authorities = Authorities(layout)
        authorities.make()
        files = authorities.part(Role.ROUTING_MANAGER, "main")
        settings = Settings(
            port=plain.getsockname()[1],
            control_port=control.getsockname()[1],
            tls_certificate=files.certificate,
            tls_key=files.key,
            tls_authorities=files.authorities,
            settle=0.0,
            wrapper_lost=_SILENT,
        )
        with part("routing_manager", settings, PREFIX) as pid:
            yield Manager(pid, settings.port, settings.control_port, authorities)


async def _until_up(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(_UP):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(_ASK_AGAIN)
