"""A Routing Manager that was told of the backends: each is an ACTIVE server of its user."""

import asyncio
import contextlib
import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench.manager import manager
from standby.ids import BootId, Epoch, Generation, Slot, Uid
from standby.messages import InstanceReport, Report
from standby.states import State

_WRAPPER: Final = "backends"
_UP: Final = 20.0
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
    with manager() as running:
        asyncio.run(running.tell({_WRAPPER: _report(places)}))
        yield Manager(running.pid, running.port)


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
