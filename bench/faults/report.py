"""What a run found: as data (`--json`) and as text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.faults.conditions import Judgement
from bench.faults.history import History, Injected
from bench.faults.plan import PARTS, Deed, Kind
from bench.faults.verdict import Finding, Wrong
from bench.spread import Spread
from smartgrid_client.requests import Operation


class Tally(Struct, frozen=True, kw_only=True):
    """One operation's tries."""

    tries: int
    done: int
    failed: dict[str, int]
    """By error code; most of these were repeated."""


class Result(Struct, frozen=True, kw_only=True):
    """One run. The wrongs come first; `verdict.py` and `impact.py` define every figure."""

    judgement: Judgement
    failures: list[str]
    """Every condition that does not hold, with its evidence: `conditions.py`."""
    lacking: list[str]
    """Why the run says too little."""
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
    terminations: dict[Kind, int]
    """SIGTERM; the part was started again."""
    floods: int
    made_up_names: int
    """Sent by the stranger in the floods."""
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
    unavailable_seconds_terminated: dict[Kind, Spread]
    """By SIGTERM, the time included in which a wrapper lets sessions go on."""
    unavailable_seconds_flooded: Spread
    """By floods, the flood's time included."""
    parts_not_back: int
    """Parts that were killed or asked to end, and were not ready again in time."""
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
    for name in ("fault", "kills", "p50 s", "p99 s", "max s", "stops", "max s", "SIGTERM", "max s"):
        faults.add_column(name, justify="left" if name == "fault" else "right")
    for kind in PARTS:
        killed, stopped = result.unavailable_seconds[kind], result.unavailable_seconds_stopped[kind]
        terminated = result.unavailable_seconds_terminated[kind]
        kills = (result.kills[kind], killed.p50, killed.p99, killed.max)
        others = (result.stops[kind], stopped.max, result.terminations[kind], terminated.max)
        faults.add_row(kind, *map(_cell, (*kills, *others)))
    console.print(faults)
    for name, value in _lines(result):
        console.print(f"{name}: {value}", highlight=False)
    for text in result.failures:
        console.print(f"[red]failed[/] {escape(text)}", highlight=False, soft_wrap=True)
    for text in result.lacking:
        console.print(f"[yellow]too little[/] {escape(text)}", highlight=False, soft_wrap=True)
    console.print(_JUDGEMENTS[result.judgement])


_JUDGEMENTS: Final = {
    Judgement.KEPT: "[green]no wrong was found[/]",
    Judgement.FAILED: "[bold red]wrongs were found[/]",
    Judgement.INCONCLUSIVE: "[yellow]inconclusive: run it longer, or on a machine with more time[/]",
}


def _lines(result: Result) -> Sequence[tuple[str, object]]:
    counts: Mapping[Wrong, int] = wrongs(result.findings)
    failed = result.requests_failed_on_open_connections_by_routing_manager_kill
    tried = result.requests_on_open_connections_during_routing_manager_kills
    return (
        ("floods", f"{result.floods} with {result.made_up_names} made-up names"),
        ("slowest request in a flood", f"{_cell(result.unavailable_seconds_flooded.max)} s"),
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
