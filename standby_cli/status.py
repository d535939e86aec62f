"""How `standby status` shows what it has learnt (`standby_cli.overview`)."""

from collections.abc import Sequence
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app_wrapper.lives import NOT_ATTESTED
from attestation.policy import Refusal
from attestation.verify import SIMULATED
from standby.messages import InstanceView
from standby.states import USUAL_ENDS, State
from standby_cli import assurance
from standby_cli.overview import PartView, Status, duration
from standby_cli.part_names import ROUTING_MANAGER
from standby_cli.terminal import styled

_STYLES = {
    State.STARTING: "dim",
    State.READY: "green",
    State.RESERVED: "yellow",
    State.ACTIVE: "bold cyan",
    State.STOPPED: "dim",
}
_RIGHT: Final = {"slot", "age", "in state", "pid", "since", "ends"}
_WITHOUT_MANAGER: Final = (
    "open sessions go on; no new user is served until the Routing Manager is back. What follows is what the wrappers "
    "say, who know neither reservations nor users who wait"
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
    waiting = f"; {status.waiting} waiting" if status.seen_by == ROUTING_MANAGER else ""
    console.print(styled((status.approach, "bold"), f": {', '.join(parts)}{waiting}"))
    for text in status.away:
        console.print(styled(("away", "bold red"), f" {text}"), soft_wrap=True)
    if any(text.startswith(ROUTING_MANAGER) for text in status.away):
        console.print(styled(_WITHOUT_MANAGER), soft_wrap=True)
    for text in status.degraded:
        console.print(styled(("degraded", "red"), f" {text}"))
    if any(_is_another_program(text) for text in status.degraded):
        console.print(styled(_what_to_do(installed=installed)), soft_wrap=True)
    for wrapper in status.wrappers:
        if wrapper.draining:
            console.print(styled(("draining", "yellow"), f" {wrapper.wrapper_id}"))
    _show_assurance(status, console)
    if status.parts and (verbose or status.away):
        console.print(_parts(status.parts))
        console.print()
    console.print(_servers(status.instances))
    if verbose:
        console.print()
        console.print(_details(status.instances))


def _show_assurance(status: Status, console: Console) -> None:
    console.print(styled("attestation: ") + _attested(status.attestation))
    if (logins := assurance.logins(status.instances)) is not None:
        console.print(styled("LOGINs: ", (logins, "red")), soft_wrap=True)
    if status.counts.READY + status.counts.RESERVED + status.counts.ACTIVE == 0:
        return
    lines = assurance.hardening(status.instances)
    for line in lines:
        console.print(styled("hardening: ", (line, "red")), soft_wrap=True)
    if assurance.without_own_uid(status.instances):
        text = "own-uid missing" if lines else "all layers but own-uid"
        console.print(styled(f"hardening: {text}, which only root can give"))
    elif not lines:
        console.print(styled("hardening: all layers"))


def _attested(said: str) -> Text:
    text = styled(said)
    text.highlight_words([SIMULATED], "red")
    return text


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
        table.add_column(name, justify="right" if name in _RIGHT else "left")
    return table


def _parts(parts: Sequence[PartView]) -> Table:
    table = _table("part", "condition", "pid", "since", "ends", "last end")
    for each in parts:
        condition = styled(("away", "red") if each.away else "runs" if each.pid else "left")
        pid = "" if each.pid is None else str(each.pid)
        name, last = styled(each.name), styled(each.last_exit or "")
        table.add_row(name, condition, pid, duration(each.seconds), str(each.ends), last)
    return table


def _servers(instances: Sequence[InstanceView]) -> Table:
    table = _table("wrapper", "slot", "state", "user", "age", "in state", "boot id", "generation")
    for each in _sorted(instances):
        trouble = each.reason is not None and each.reason not in USUAL_ENDS
        style = "red" if trouble else _STYLES[each.state]
        why = f" ({each.reason})" if each.reason else ""
        table.add_row(
            styled(each.wrapper_id),
            str(each.slot),
            styled((each.state.capitalize(), style), why),
            styled(each.user or ""),
            duration(each.age_seconds),
            duration(each.state_seconds),
            styled(each.boot_id),
            "" if each.generation is None else str(each.generation),
        )
    return table


def _details(instances: Sequence[InstanceView]) -> Table:
    table = _table("wrapper", "slot", "attestation", "hardening")
    for each in _sorted(instances):
        said, layers = _attested(each.attestation or ""), styled(assurance.of_instance(each))
        table.add_row(styled(each.wrapper_id), str(each.slot), said, layers)
    return table


def _sorted(instances: Sequence[InstanceView]) -> list[InstanceView]:
    return sorted(instances, key=lambda one: (one.wrapper_id, one.slot))
