"""What `standby status` shows: the Routing Manager's view, or without one (approach `trivial`) the wrappers' own."""

from collections import Counter

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from standby.messages import InstanceView, PlatformState, StateCounts, WrapperState, WrapperView
from standby.states import State
from standby_cli.control import Control
from standby_cli.endpoints import Endpoints

_STYLES = {
    State.STARTING: "dim",
    State.READY: "green",
    State.RESERVED: "yellow",
    State.ACTIVE: "bold cyan",
    State.STOPPED: "red",
}


class Status(Struct, frozen=True, kw_only=True):
    """`standby status --json`."""

    approach: str
    counts: StateCounts
    waiting: int
    """Users in the waiting room."""
    degraded: list[str]
    """What keeps the platform from its full size, in words."""
    wrappers: list[WrapperView]
    instances: list[InstanceView]


async def collect(running: Endpoints, calls: Control) -> Status:
    """Ask the running platform.

    Raises:
        CallError: a part does not answer.
    """
    if running.routing_manager is None:
        return await _from_wrappers(running, calls)
    state = await calls.get(f"{running.routing_manager.url}/v1/state", PlatformState)
    ours = {each.id for each in running.wrappers}
    wrappers = [each for each in state.wrappers if each.wrapper_id in ours]  # not those that left
    degraded = [f"{each.wrapper_id}: {each.degraded}" for each in wrappers if each.degraded]
    missing = ours - {each.wrapper_id for each in wrappers}
    degraded += [f"{each}: does not report" for each in sorted(missing)]
    if not state.settled:
        degraded.append("routing manager: has just started and is learning what there is")
    return Status(
        approach=running.approach,
        counts=state.counts,
        waiting=state.waiting,
        degraded=degraded,
        wrappers=wrappers,
        instances=state.instances,
    )


async def _from_wrappers(running: Endpoints, calls: Control) -> Status:
    states = [
        await calls.get(f"{wrapper.url}/v1/instances", WrapperState) for wrapper in running.wrappers
    ]
    instances = [instance for state in states for instance in state.instances]
    counts = Counter(instance.state.value for instance in instances)
    return Status(
        approach=running.approach,
        counts=msgspec.convert(counts, StateCounts),
        waiting=0,
        degraded=[f"{each.wrapper_id}: {each.degraded}" for each in states if each.degraded],
        wrappers=[
            WrapperView(
                wrapper_id=each.wrapper_id,
                epoch=each.epoch,
                capacity=each.capacity,
                draining=each.draining,
                degraded=each.degraded,
                silent_seconds=0,
            )
            for each in states
        ],
        instances=instances,
    )


def show(status: Status, console: Console) -> None:
    """Print the status for people."""
    counts = msgspec.structs.asdict(status.counts)
    parts = [f"{number} {state.capitalize()}" for state, number in counts.items()]
    console.print(f"[bold]{status.approach}[/]: {', '.join(parts)}; {status.waiting} waiting")
    for text in status.degraded:
        console.print(f"[red]degraded[/] {text}")
    for wrapper in status.wrappers:
        if wrapper.draining:
            console.print(f"[yellow]draining[/] {wrapper.wrapper_id}")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("wrapper", "slot", "state", "user", "age", "in state", "boot id", "generation"):
        table.add_column(name, justify="right" if name in {"slot", "age", "in state"} else "left")
    for each in sorted(status.instances, key=lambda one: (one.wrapper_id, one.slot)):
        state = f"[{_STYLES[each.state]}]{each.state.capitalize()}[/]"
        if each.reason:
            state += f" ({each.reason})"
        table.add_row(
            each.wrapper_id,
            str(each.slot),
            state,
            each.user or "",
            duration(each.age_seconds),
            duration(each.state_seconds),
            each.boot_id,
            "" if each.generation is None else str(each.generation),
        )
    console.print(table)


def duration(seconds: float) -> str:
    """`3.2 s`, `5 min`, `2.0 h`: short, with the precision a person can use."""
    minute, hour = 60, 3600
    if seconds < minute:
        return f"{seconds:.1f} s"
    return f"{seconds / minute:.0f} min" if seconds < hour else f"{seconds / hour:.1f} h"
