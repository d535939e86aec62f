"""The dissertation's numbers beside ours, with what differs between the set-ups; pure, but for reading its own data.

The numbers are in published.toml, each with its section or table. A number of ours stands beside one of theirs only
where the levels are the same; otherwise it says that it was not measured here. Nothing is scaled, except the ingress
controllers' totals, which are rates over the same ten minutes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from bench.experiment import labels
from bench.experiment.record import Cell, Experiment, System

NONE: Final = "not measured here"
_FILE: Final = Path(__file__).with_name("published.toml")
_BENCHMARK: Final = 600
"""Seconds of the dissertation's (section 4.3.3)."""
_BACKENDS: Final = 800
_MEGABYTES: Final = 2**20 / 1e6
"""In a MiB."""
_NEAR: Final = 0.02
"""Shares of active users that are the same: the dissertation rounds its own up to whole servers."""


class Row(NamedTuple):
    """One number of the dissertation's."""

    source: str
    what: str
    theirs: str
    ours: str


class Comparison(NamedTuple):
    """All of one experiment's."""

    rows: list[Row]
    differs: str
    """In what the set-ups differ; a paragraph."""


class _Latency(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    operation: str
    by_servers: dict[int, tuple[float, float, float]]


class _Allocated(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    by_servers: dict[int, float]


class _Startup(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    what: str
    launcher: str
    mean: float
    lowest: float
    highest: float


class _Saved(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    active: int
    users: int
    percent: float


class _RoutingManager(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    percent: float
    megabytes: float


class _Requests(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    controller: str
    by_clients: dict[int, int]
    built_here: bool = False


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """published.toml."""

    differs: dict[str, str]
    latency: list[_Latency]
    allocated: _Allocated
    startup: list[_Startup]
    saved: list[_Saved]
    routing_manager: _RoutingManager
    requests: list[_Requests]


@cache
def published() -> Published:
    return msgspec.toml.decode(_FILE.read_bytes(), type=Published, strict=False)


def compared(experiment: Experiment) -> Comparison:
    """What the dissertation says about this experiment; no rows where it says nothing in numbers.

    An experiment belongs to what its name begins with: `type2-small` to `type2`.
    """
    subjects: dict[str, tuple[Callable[[list[Cell]], Iterator[Row]], ...]] = {
        "startup": (_startup,),
        "baseline": (_latency, _allocated),
        "type2": (_saved, _routing_manager),
        "memory": (_saved,),
        "ingress": (_requests,),
    }
    name = experiment.name
    subject = next((each for each in subjects if name == each or name.startswith(f"{each}-")), "")
    rows = [row for find in subjects.get(subject, ()) for row in find(experiment.cells)]
    return Comparison(rows, published().differs.get(subject, ""))


def saved(active: int, users: int) -> str:
    """Memory saved with as large a part of the users active, with the place; empty where nothing is said."""
    found = (
        each
        for each in published().saved
        if abs(active / users - each.active / each.users) <= _NEAR
    )
    return next((f"{each.percent:.2f} % ({each.source})" for each in found), "")


def start(launcher: str) -> str:
    """Mean time of what a launcher simulates, with the place; empty for others."""
    found = (each for each in published().startup if each.launcher == launcher)
    return next((f"{each.mean:,.0f} ms for a real one ({each.source})" for each in found), "")


def _startup(cells: list[Cell]) -> Iterator[Row]:
    for each in published().startup:
        said = f"{each.mean:,.0f} ms on average ({each.lowest:,.0f} to {each.highest:,.0f} ms)"
        ours = [
            f"{labels.launcher(each.launcher)}: {start.mean:,.0f} ms on average,"
            f" {start.max:,.0f} ms at most"
            for cell in cells
            if cell.levels.get("launcher") == each.launcher
            and (start := cell.operations.get("START"))
            and start.mean is not None
            and start.max is not None
        ]
        yield Row(each.source, each.what, said, _joined(ours))


def _latency(cells: list[Cell]) -> Iterator[Row]:
    for table in published().latency:
        for servers, theirs in table.by_servers.items():
            said = f"{' / '.join(f'{each:,.0f}' for each in theirs)} ms"
            ours = [
                f"{labels.system(cell.system)}: {found}"
                for cell in _trivial(cells, servers)
                if _busiest(cell) and (found := _percentiles(cell, table.operation))
            ]
            what = f"{table.operation}, {servers} servers, p50 / p95 / p99"
            yield Row(table.source, what, said, _joined(ours))


def _allocated(cells: list[Cell]) -> Iterator[Row]:
    table = published().allocated
    for servers, theirs in table.by_servers.items():
        ours = [
            f"{labels.system(cell.system)}: {held * _MEGABYTES / 1000:.2f} GB"
            for cell in _trivial(cells, servers)
            if (held := _memory(cell))
        ]
        yield Row(table.source, f"Memory of {servers} servers", f"{theirs} GB", _joined(ours))


def _saved(cells: list[Cell]) -> Iterator[Row]:
    for each in published().saved:
        what = f"Memory saved against trivial, {each.active} of {each.users} users active"
        found: dict[str, list[float]] = defaultdict(list)
        for cell in cells:
            if abs(_share(cell) - each.active / each.users) <= _NEAR:
                for other, saved in _savings(cell, cells):
                    against = f"{labels.system(cell.system)} against {labels.system(other)}"
                    found[against].append(100 * saved)
        ours = [f"{against}: {_range(saved)} %" for against, saved in found.items()]
        yield Row(each.source, what, f"{each.percent:.2f} %", _joined(ours))


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _routing_manager(cells: list[Cell]) -> Iterator[Row]:
    said = published().routing_manager
    groups = [
        group
        for cell in cells
        if cell.system
        and cell.system.approach == "standby"
        and (group := cell.groups.get("routing-manager"))
    ]
    processors = [f"{100 * max(group.processors for group in groups):.1f} %"] if groups else []
    memory = [f"{max(group.memory for group in groups) * _MEGABYTES:.1f} MB"] if groups else []
    yield Row(
        said.source,
        "Processor use of the Routing Manager; ours: the most of any standby cell",
        f"under {said.percent:g} %",
        _joined(processors),
    )
    yield Row(
        said.source,
        "Memory of the Routing Manager; ours: the most of any standby cell",
        f"at most {said.megabytes:g} MB",
        _joined(memory),
    )


def _requests(cells: list[Cell]) -> Iterator[Row]:
    for each in published().requests:
        for clients, total in each.by_clients.items():
            what = f"{each.controller}, {_BACKENDS} backends, {clients:,} clients, answers in 10 minutes"
            ours = [
                f"{labels.levels(cell.levels)}: {cell.throughput * _BENCHMARK:,.0f} at this rate"
                for cell in cells
                if cell.valid and _as_many(cell, clients // _BACKENDS)
            ]
            nothing = NONE if each.built_here else "not built here"
            yield Row(
                each.source, what, f"{total:,}", _joined(ours if each.built_here else [], nothing)
            )


def _as_many(cell: Cell, for_each: int) -> bool:
    """Whether each backend has as many clients."""
    clients, backends = cell.levels.get("clients"), cell.levels.get("backends")
    return isinstance(clients, int) and isinstance(backends, int) and clients == for_each * backends


def _trivial(cells: Iterable[Cell], servers: int) -> list[Cell]:
    return [
        cell
        for cell in cells
        if cell.system and cell.system.approach == "trivial" and cell.levels.get("users") == servers
    ]


def _busiest(cell: Cell) -> bool:
    """With the levels of table 5.1, as far as the cell has them."""
    return cell.levels.get("write_ratio", 0.5) == 0.5 and cell.levels.get("period", 10) == 10  # noqa: PLR2004


def _percentiles(cell: Cell, operation: str) -> str:
    found = cell.operations.get(operation)
    if not found or not (found.p50 and found.p95 and found.p99):
        return ""
    values = (found.p50.value, found.p95.value, found.p99.value)
    return f"{' / '.join(labels.significant(each) for each in values)} ms"


def _share(cell: Cell) -> float:
    """Of users that are active; nan where that is no level."""
    active, users = cell.levels.get("active"), cell.levels.get("users")
    if isinstance(active, int) and isinstance(users, int) and users:
        return active / users
    return float("nan")


def _savings(cell: Cell, cells: Iterable[Cell]) -> Iterator[tuple[System, float]]:
    """Of a standby cell, against each trivial cell that differs in nothing but the system, simulated or not alike."""
    mine = _memory(cell) if cell.system and cell.system.approach == "standby" else 0.0
    for other in cells:
        theirs = _memory(other)
        if (
            mine
            and theirs
            and cell.system
            and other.system
            and other.system.approach == "trivial"
            and other.system.simulated == cell.system.simulated
            and other.conditions == cell.conditions
        ):
            yield other.system, 1 - mine / theirs


def _memory(cell: Cell) -> float:
    """MiB of the servers; 0 where nobody measured it."""
    group = cell.groups.get("servers")
    return group.memory if group else 0.0


def _joined(ours: list[str], nothing: str = NONE) -> str:
    return "; ".join(ours) or nothing
