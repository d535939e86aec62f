"""Which process a fault hits: looked up anew each time, because parts restart and get other pids."""

from dataclasses import dataclass

from bench import processes
from bench.faults.plan import Fault, Kind
from bench.processes import Pid, Server
from standby_cli import endpoints
from standby_cli.endpoints import Endpoints
from standby_cli.layout import Layout
from standby_cli.part_names import HAPROXY, ROUTING_MANAGER


@dataclass(frozen=True, slots=True)
class Target:
    """One live process of the platform."""

    kind: Kind
    name: str
    """The part's; of a server: its wrapper's."""
    process: Pid
    boot_id: str | None = None
    """Of a server."""
    uid: str | None = None
    """Whose data a server has open."""


def find(fault: Fault, layout: Layout) -> Target | None:
    """The process for this fault; None when there is none now.

    Raises:
        NotRunningError: there is no platform.
    """
    found = candidates(fault.kind, layout)
    if fault.kind is Kind.SERVER and fault.busy:
        found = [each for each in found if each.uid is not None] or found
    return found[int(fault.lot * len(found))] if found else None


def candidates(kind: Kind, layout: Layout) -> list[Target]:
    """Every live process of that kind."""
    if kind is Kind.SERVER:
        return [
            Target(kind, each.wrapper, each.process, each.boot_id, _user(each, layout))
            for each in processes.servers(layout)
        ]
    running = endpoints.read(layout.endpoints)
    return [
        Target(kind, name, process)
        for name, pid in pids(running)[kind].items()
        if (process := Pid.of(pid))
    ]


def pids(running: Endpoints) -> dict[Kind, dict[str, int]]:
    """The parts that the supervisor runs, by kind and name."""
    manager = running.pids.routing_manager
    return {
        Kind.ROUTING_MANAGER: {ROUTING_MANAGER: manager} if manager else {},
        Kind.HAPROXY: {HAPROXY: running.pids.haproxy},
        Kind.WRAPPER: dict(sorted(running.pids.wrappers.items())),
        Kind.SERVER: {},
        Kind.STRANGER: {},
    }


def _user(server: Server, layout: Layout) -> str | None:
    return processes.writes(server.process, layout.volumes)
