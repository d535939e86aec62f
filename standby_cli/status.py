"""What `standby status` shows: the Routing Manager's view, or without one (approach `trivial`) the wrappers' own."""

from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app_wrapper.lives import NOT_ATTESTED
from attestation.policy import Refusal
from attestation.verify import SIMULATED
from standby.messages import InstanceView, PlatformState, StateCounts, WrapperState, WrapperView
from standby.states import State
from standby_cli import assurance
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
    attestation: str
    """By what the servers that are up were admitted, in words."""
    hardening_missing: dict[str, list[str]]
    """Layers that some of these servers lack, and which servers, as `wrapper/slot`."""
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
        attestation=assurance.attestation(state.instances),
        hardening_missing=assurance.missing(state.instances),
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
        attestation=assurance.attestation(instances),
        hardening_missing=assurance.missing(instances),
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


def show(
    status: Status, console: Console, *, verbose: bool = False, installed: bool = False
) -> None:
    """Print the status for people.

    Args:
        status: what was collected
        console: where it goes
        verbose: add what is known of each server's attestation and hardening
        installed: the policy is not the platform's own, and stays as it is
    """
    counts = msgspec.structs.asdict(status.counts)
    parts = [f"{number} {state.capitalize()}" for state, number in counts.items()]
    console.print(f"[bold]{status.approach}[/]: {', '.join(parts)}; {status.waiting} waiting")
    for text in status.degraded:
        console.print(f"[red]degraded[/] {escape(text)}")
    if any(_is_another_program(text) for text in status.degraded):
        console.print(_what_to_do(installed=installed), soft_wrap=True)
    for wrapper in status.wrappers:
        if wrapper.draining:
            console.print(f"[yellow]draining[/] {wrapper.wrapper_id}")
    _show_assurance(status, console)
    console.print(_servers(status.instances))
    if verbose:
        console.print()
        console.print(_details(status.instances))


def _show_assurance(status: Status, console: Console) -> None:
    said = escape(status.attestation).replace(SIMULATED, f"[red]{SIMULATED}[/]")
    console.print(f"attestation: {said}", highlight=False)
    if status.counts.READY + status.counts.RESERVED + status.counts.ACTIVE == 0:
        return
    lines = assurance.hardening(status.instances)
    for line in lines:
        console.print(f"hardening: [red]{escape(line)}[/]", highlight=False, soft_wrap=True)
    if assurance.without_own_uid(status.instances):
        text = "own-uid missing" if lines else "all layers but own-uid"
        console.print(f"hardening: {text}, which only root can give")
    elif not lines:
        console.print("hardening: all layers")


def _is_another_program(degraded: str) -> bool:
    """Whether servers were refused for what they are, and not for the time or the collateral."""
    return f"{Refusal.MRENCLAVE}: expected" in degraded.partition(NOT_ATTESTED)[2]


def _what_to_do(*, installed: bool) -> str:
    else_do = (
        "install a policy that admits it (`standby down`, `standby up --policy FILE`)"
        if installed
        else "`standby down` and `standby up` for a new policy"
    )
    return f"the program on disk is not the admitted one: put it back, or {else_do}"


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in {"slot", "age", "in state"} else "left")
    return table


def _servers(instances: Sequence[InstanceView]) -> Table:
    table = _table("wrapper", "slot", "state", "user", "age", "in state", "boot id", "generation")
    for each in _sorted(instances):
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
    return table


def _details(instances: Sequence[InstanceView]) -> Table:
    table = _table("wrapper", "slot", "attestation", "hardening")
    for each in _sorted(instances):
        said = escape(each.attestation or "").replace(SIMULATED, f"[red]{SIMULATED}[/]")
        table.add_row(each.wrapper_id, str(each.slot), said, assurance.of_instance(each))
    return table


def _sorted(instances: Sequence[InstanceView]) -> list[InstanceView]:
    return sorted(instances, key=lambda one: (one.wrapper_id, one.slot))


def duration(seconds: float) -> str:
    """`3.2 s`, `5 min`, `2.0 h`: short, with the precision a person can use."""
    minute, hour = 60, 3600
    if seconds < minute:
        return f"{seconds:.1f} s"
    return f"{seconds / minute:.0f} min" if seconds < hour else f"{seconds / hour:.1f} h"
