"""What an evaluation's figures mean for somebody who pays: costs by profile, and a pool for ten thousand users; pure.

The demand is the one of the dissertation's claim (section 5.2.3): 10,000 users, one per cent of them active, sessions
of 600 s. What a server needs is taken from the cells: memory of the best standby launcher and of plain trivial servers,
from the pair of cells with the most active users; the recycle is the launcher's median start, because a wrapper starts
the next server as soon as the last one has ended.
"""

from collections.abc import Iterator
from typing import Final

from bench.capacity.model import Demand
from bench.capacity.model import size as size_of
from bench.capacity.report import Result
from bench.costs import alphas, files, report
from bench.costs.errors import NothingToCompareError
from bench.costs.report import Costs
from bench.experiment.record import Cell, Summary

_USERS: Final = 10_000
_ACTIVE: Final = 0.01
_SESSION: Final = 600.0
_NODE: Final = 8192.0
"""MiB, as the dissertation's machines had (section 5.2.1)."""
_LIMIT: Final = 0.01


def costs(summary: Summary) -> list[Costs]:
    """For each pair of systems that can be compared; empty if there is none."""
    try:
        compared = alphas.compare(summary)
    except NothingToCompareError:
        return []
    profiles = files.read_profiles(files.PROFILES).profile
    return [report.costs(each, profiles) for each in compared]


def capacity(summary: Summary) -> Result | None:
    """The pool for the dissertation's ten thousand users; None if what it needs was not measured."""
    pairs = list(_pairs(summary))
    starts = _starts(summary)
    if not pairs:
        return None
    ours, theirs = max(pairs, key=lambda pair: (_number(pair[0], "active"), -_memory(pair[0])))
    launcher = ours.system.launcher if ours.system else ""
    waiting = ours.groups["servers"].waiting
    if launcher not in starts or not waiting:
        return None
    demand = Demand(
        users=_USERS,
        active_ratio=_ACTIVE,
        arrivals=_USERS * _ACTIVE / _SESSION,
        recycle=starts[launcher],
        server_memory=max(waiting, _memory(ours)) / _number(ours, "servers"),
        waiting_memory=waiting / _number(ours, "servers"),
        trivial_memory=_memory(theirs) / _number(theirs, "servers"),
        template_memory=0.0,  # it is in the servers' memory
        node_memory=_NODE,
        wait_limit=_LIMIT,
    )
    return Result(demand=demand, sizing=size_of(demand))


def _pairs(summary: Summary) -> Iterator[tuple[Cell, Cell]]:
    """Standby and plain trivial cells that differ in nothing else, whose memory was read.

    Customers only: a meter's session is over before its memory is read.
    """
    for experiment in summary.experiments:
        for ours, theirs in alphas.pairs_of(experiment):
            spawned = theirs.system is not None and theirs.system.launcher == "spawn"
            if spawned and "period" in ours.levels and _memory(ours) and _memory(theirs):
                yield ours, theirs


def _starts(summary: Summary) -> dict[str, float]:
    """Median seconds of a start, by launcher."""
    cells = [
        cell
        for experiment in summary.experiments
        if experiment.kind == "startup"
        for cell in experiment.cells
    ]
    found = {str(cell.levels["launcher"]): cell.operations.get("START") for cell in cells}
    return {name: each.p50.value / 1000 for name, each in found.items() if each and each.p50}


def _memory(cell: Cell) -> float:
    return cell.groups["servers"].memory if "servers" in cell.groups else 0.0


def _number(cell: Cell, level: str) -> float:
    return float(cell.levels.get(level, 0))
