"""A Routing Manager that was told of the backends: each is an ACTIVE server of its user."""

import asyncio
import contextlib
import http.client
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from bench.micro.part import part
from routing_manager.settings import PREFIX, Settings
from standby.identity import Role
from standby.ids import BootId, Epoch, Generation, Slot, Uid
from standby.messages import InstanceReport, PlatformState, Report
from standby.processes import reserve_port
from standby.states import State
from standby.tls import client_context
from standby_cli.authorities import Authorities

_WRAPPER: Final = "backends"
_SILENT: Final = 1e6
"""Seconds for which a wrapper may be silent: this one reports once."""
_UP: Final = 20.0
_ASK_AGAIN: Final = 0.02
_ASKED: Final = "standby_routing_manager_route_duration_seconds_count "


@dataclass(frozen=True)
class Manager:
    pid: int
    port: int

    def asked(self) -> int:
        """Routing questions answered since it started."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_UP)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return int(float(text.partition(_ASKED)[2].split(maxsplit=1)[0]))


@contextlib.contextmanager
def knowing(places: Mapping[str, int]) -> Iterator[Manager]:
    """A Routing Manager that knows the port of each user's server, while the context lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-rm-") as scratch,
        reserve_port() as plain,
        reserve_port() as control,
    ):
        authorities = Authorities(Path(scratch))
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
            asyncio.run(_tell(settings, authorities, places))
            yield Manager(pid, settings.port)


async def _tell(settings: Settings, authorities: Authorities, places: Mapping[str, int]) -> None:
    plain = f"http://127.0.0.1:{settings.port}"
    async with aiohttp.ClientSession() as session:
        await _until_up(session, plain)
        await session.post(
            f"https://127.0.0.1:{settings.control_port}/v1/wrappers/{_WRAPPER}/report",
            data=msgspec.json.encode(_report(places)),
            ssl=client_context(authorities.part(Role.WRAPPER, _WRAPPER)),
            raise_for_status=True,
        )
        async with session.get(f"{plain}/v1/state") as response:
            state = msgspec.json.decode(await response.read(), type=PlatformState)
    known = state.counts.ACTIVE
    if known != len(places):
        raise RuntimeError(f"{known} of {len(places)} backends are known")


async def _until_up(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(_UP):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(_ASK_AGAIN)


def _report(places: Mapping[str, int]) -> Report:
    instances = [
        InstanceReport(
            slot=Slot(slot),
            boot_id=BootId(f"{slot:016x}"),
            address="127.0.0.1",
            port=port,
            state=State.ACTIVE,
            uid=Uid(uid),
            generation=Generation(1),
        )
        for slot, (uid, port) in enumerate(places.items())
    ]
    return Report(
        epoch=Epoch(1), sequence=1, full=True, capacity=len(instances), instances=instances
    )
