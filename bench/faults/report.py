"""What a run found: as data (`--json`) and as text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.faults.history import History, Injected
from bench.faults.plan import Deed, Kind
from bench.faults.verdict import Finding, Wrong
from bench.spread import Spread
from smartgrid_client.requests import Operation

SHOWN: Final = 20
"""Findings printed; all of them are in the JSON."""


class Tally(Struct, frozen=True, kw_only=True):
    """One operation's tries."""

    tries: int
    done: int
    failed: dict[str, int]
    """By error code; most of these were repeated."""


class Result(Struct, frozen=True, kw_only=True):
    """One run. The wrongs come first; `verdict.py` and `impact.py` define every figure."""

    ok: bool
    """Every wrong is 0, no request failed by a Routing Manager kill or was refused for good, all parts came back, and
    the watch could see."""
    acknowledged_batches: int
    lost_rows: int
    duplicated_rows: int
    foreign_rows: int
    processes_with_two_users: int
    concurrent_writers: int
    stuck_users: int
    lost_alarms: int
    unreadable_databases: int
    kills: dict[Kind, int]
    stops: dict[Kind, int]
    requests_failed_on_open_connections_by_routing_manager_kill: int
    requests_on_open_connections_during_routing_manager_kills: int
    """Of which those are the failed ones; 0 here would mean that nothing was tested."""
    failed_requests: list[str]
    """Those, in words."""
    refused_for_good: dict[str, int]
    """Failures that no other try can mend, by error code; these clients do nothing that should be refused so."""
    unavailable_seconds: dict[Kind, Spread]
    """By kills."""
    unavailable_seconds_stopped: dict[Kind, Spread]
    """By stops, the stopped time included."""
    parts_not_back: int
    """Killed parts that were not ready again within the time for a server's start."""
    healthy: bool
    """After the faults all parts were ready and the pools full, within the time for a platform's start."""
    acknowledged_alarms: int
    duplicates_recognised: int
    """Batches that were sent again and answered as stored before."""
    sessions: int
    """LOGINs that succeeded."""
    processes: int
    """Server processes that ever ran."""
    processes_with_a_user: int
    longest_login_seconds: float
    """From a client's first try to its success, over all tries."""
    errors_logged: dict[str, int]
    """Log records of level ERROR, by `part event`: not wrongs by themselves, but each is worth a look."""
    operations: dict[Operation, Tally]
    looks: int
    """Of the watch for two writers, and how many times it saw a process with a database open."""
    databases_seen_open: int
    interrupted: bool
    seconds: float
    """During which faults happened."""
    users: int
    pool: int
    wrappers: int
    seed: int
    machine: dict[str, str | int | float]
    versions: dict[str, str]
    findings: list[Finding]
    evidence: str | None
    """Where histories, logs and databases were kept."""


def wrongs(findings: Iterable[Finding]) -> dict[Wrong, int]:
    """How much there is of each."""
    found = Counter(dict.fromkeys(Wrong, 0))
    for each in findings:
        found[each.wrong] += each.count
    return dict(found)


def faults_by_kind(faults: Iterable[Injected], deed: Deed) -> dict[Kind, int]:
    found = Counter(each.kind for each in faults if each.deed is deed)
    return {kind: found[kind] for kind in Kind}


def tally(histories: Iterable[History]) -> dict[Operation, Tally]:
    tries = [each for history in histories for each in history.tries]
    found = {}
    for operation in Operation:
        ours = [each for each in tries if each.operation is operation]
        codes = Counter(each.code for each in ours if each.code is not None)
        done = len(ours) - codes.total()
        found[operation] = Tally(tries=len(ours), done=done, failed=dict(codes.most_common()))
    return found


def refused_for_good(histories: Iterable[History]) -> dict[str, int]:
    tries = (each for history in histories for each in history.tries)
    return dict(Counter(each.code for each in tries if each.final and each.code).most_common())


def show(result: Result, console: Console) -> None:
    """Print the result for people."""
    faults = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("fault", "kills", "p50 s", "p99 s", "max s", "stops", "max s stopped"):
        faults.add_column(name, justify="left" if name == "fault" else "right")
    for kind in Kind:
        killed, stopped = result.unavailable_seconds[kind], result.unavailable_seconds_stopped[kind]
        values = (result.kills[kind], killed.p50, killed.p99, killed.max)
        faults.add_row(kind, *map(_cell, (*values, result.stops[kind], stopped.max)))
    console.print(faults)
    for name, value in _lines(result):
        console.print(f"{name}: {value}", highlight=False)
    for finding in result.findings[:SHOWN]:
        console.print(f"[red]{finding.wrong}[/] {finding.text}\n    see {finding.evidence}")
    left = len(result.findings) - SHOWN
    if left > 0:
        console.print(f"… and {left} more in the JSON")
    console.print("[green]no wrong was found[/]" if result.ok else "[bold red]wrongs were found[/]")


def _lines(result: Result) -> Sequence[tuple[str, object]]:
    counts: Mapping[Wrong, int] = wrongs(result.findings)
    failed = result.requests_failed_on_open_connections_by_routing_manager_kill
    tried = result.requests_on_open_connections_during_routing_manager_kills
    return (
        ("acknowledged", f"{result.acknowledged_batches} batches"),
        ("sessions", f"{result.sessions} on {result.processes_with_a_user} processes"),
        *((wrong.replace("_", " "), count) for wrong, count in counts.items()),
        ("failed on open connections by a Routing Manager kill", f"{failed} of {tried} requests"),
        ("refused for good", result.refused_for_good or "nothing"),
        ("logged as errors", result.errors_logged or "nothing"),
        ("longest LOGIN", f"{result.longest_login_seconds:.1f} s"),
    )


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.2f}"
