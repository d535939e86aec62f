"""What follows from the cells of an experiment, in sentences with a figure, an interval and a verdict; pure.

An interval that lies wholly on the right side of what is required is `met`, wholly on the other side `missed`, and
otherwise `undecided`: more repetitions would be needed. Nothing is judged from invalid runs.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from bench.experiment import labels, published, statistics
from bench.experiment.plan import ExperimentPlan, Goal, Sessions, Startup
from bench.experiment.record import Cell, Comparison, Conclusion, Estimate, Level, Verdict
from bench.experiment.statistics import Latencies

RATIO: Final = 1.10
"""Standby's latencies against trivial's, at most."""
_JUDGED: Final = (Verdict.MET, Verdict.UNDECIDED, Verdict.MISSED)
"""From good to bad."""
_PERCENTS: Final = (50, 95, 99)


@dataclass(frozen=True)
class Measured:
    cell: Cell
    """Its figures are of the valid runs only."""
    latencies: Mapping[str, Latencies]

    @property
    def approach(self) -> str:
        return self.cell.system.approach if self.cell.system else ""

    @property
    def simulated(self) -> bool:
        return bool(self.cell.system and self.cell.system.simulated)

    def like(self, other: "Measured") -> bool:
        """Whether only the system differs."""
        return self.cell.conditions == other.cell.conditions


def of(
    experiment: ExperimentPlan, cells: Sequence[Measured], compared: Sequence[Comparison]
) -> Iterator[Conclusion]:
    """Everything that can be said; what is required and was not measured is said, too."""
    if isinstance(experiment, Startup):
        yield from _starts(cells)
    elif isinstance(experiment, Sessions):
        for goal in experiment.goals:
            yield from _saved(goal, cells)
        yield from _failures(cells)
        yield from _slower(compared)
        yield from _on_demand(cells)
    else:
        yield from _ways(cells)


def comparisons(experiment: ExperimentPlan, cells: Sequence[Measured]) -> Iterator[Comparison]:
    """Every standby cell against the trivial cell of the same levels: each operation, each percentile.

    Not where each platform was alone, because their turns did not alternate.
    """
    if not isinstance(experiment, Sessions) or experiment.alone:
        return
    for ours, theirs in _pairs(cells, "standby", "trivial"):
        for operation in labels.in_order(ours.latencies.keys() & theirs.latencies.keys()):
            for percent in _PERCENTS:
                estimate = statistics.ratio(
                    ours.latencies[operation], theirs.latencies[operation], percent
                )
                yield Comparison(
                    systems=(_name(ours), _name(theirs)),
                    levels=ours.cell.conditions,
                    operation=operation,
                    percentile=percent,
                    ratio=estimate,
                    verdict=judge_at_most(estimate, RATIO),
                )


def judge_at_most(estimate: Estimate, limit: float) -> Verdict:
    if estimate.high <= limit:
        return Verdict.MET
    return Verdict.MISSED if estimate.low > limit else Verdict.UNDECIDED


def judge_at_least(estimate: Estimate, limit: float) -> Verdict:
    if estimate.low >= limit:
        return Verdict.MET
    return Verdict.MISSED if estimate.high < limit else Verdict.UNDECIDED


def _name(measured: Measured) -> str:
    return measured.cell.system.name if measured.cell.system else ""


def _pairs(
    cells: Sequence[Measured], first: str, second: str
) -> Iterator[tuple[Measured, Measured]]:
    """Cells of two approaches that differ in nothing else; a simulated system is not set against a real one."""
    for ours in cells:
        for theirs in cells:
            approaches = (ours.approach, theirs.approach) == (first, second)
            if approaches and ours.simulated == theirs.simulated and ours.like(theirs):
                yield ours, theirs


def _said(
    text: str,
    estimate: Estimate | None = None,
    unit: str = "",
    required: str = "",
    verdict: Verdict = Verdict.NOT_MEASURED,
    published: str = "",
    note: str = "",
) -> Conclusion:
    return Conclusion(
        text=text,
        estimate=estimate,
        unit=unit,
        required=required,
        verdict=verdict,
        published=published,
        note=note,
    )


def _saved(goal: Goal, cells: Sequence[Measured]) -> Iterator[Conclusion]:
    """Memory of the servers, at full activity, and before anybody came."""
    required = f"≥ {100 * goal.saved:g} %"
    of_goal = [each for each in cells if each.cell.levels.get("active") == goal.active]
    ours = next((each for each in of_goal if _name(each) == goal.system), None)
    theirs = next((each for each in of_goal if _name(each) == goal.against), None)
    memories = [_memory(each) for each in (ours, theirs)]
    if not ours or not theirs or None in memories:
        yield _said(
            f"Memory saved by {goal.system} against {goal.against}, {goal.active} users active",
            required=required,
        )
        return
    users = int(ours.cell.levels["users"])
    text = (
        f"Memory of the servers that {labels.system(ours.cell.system)} saves against "
        f"{labels.system(theirs.cell.system)}, {goal.active} of {users} users active"
    )
    mine, other = ours.cell.groups["servers"], theirs.cell.groups["servers"]
    saving = _exactly(100 * (1 - mine.memory / other.memory))
    verdict = judge_at_least(saving, 100 * goal.saved)
    yield _said(text, saving, "%", required, verdict, published.saved(goal.active, users))
    if mine.waiting and other.waiting:
        idle = _exactly(100 * (1 - mine.waiting / other.waiting))
        yield _said(f"{text}, before the first LOGIN", idle, "%", "", Verdict.MEASURED)


def _memory(measured: Measured | None) -> float | None:
    if measured is None or "servers" not in measured.cell.groups:
        return None
    return measured.cell.groups["servers"].memory or None


def _exactly(value: float) -> Estimate:
    """Memory is read, not sampled at random; its readings of one run differ by less than is shown."""
    return Estimate(value=value, low=value, high=value)


def _failures(cells: Sequence[Measured]) -> Iterator[Conclusion]:
    """Of every system's requests, how many failed."""
    for name in dict.fromkeys(_name(each) for each in cells):
        mine = [each.cell for each in cells if _name(each) == name and each.cell.valid]
        operations = [each for cell in mine for each in cell.operations.values()]
        failed = sum(each.failed for each in operations)
        total = sum(each.count for each in operations) + failed
        if not mine or mine[0].system is None or not total:
            continue
        yield _said(
            f"Failed requests of {labels.system(mine[0].system)}, of {total:,}",
            _exactly(failed),
            "",
            "0",
            Verdict.MET if failed == 0 else Verdict.MISSED,
        )


def _slower(compared: Sequence[Comparison]) -> Iterator[Conclusion]:
    """One sentence for each operation and percentile, over all cells."""
    operations = labels.in_order(each.operation for each in compared)

    def key(each: Comparison) -> tuple[tuple[str, str], int, int]:
        return each.systems, operations.index(each.operation), each.percentile

    for (systems, place, percent), group in groupby(sorted(compared, key=key), key):
        mine = list(group)
        counts = {
            verdict: sum(1 for each in mine if each.verdict is verdict) for verdict in Verdict
        }
        said = [f"{verdict} in {counts[verdict]}" for verdict in _JUDGED if counts[verdict]]
        yield _said(
            f"{operations[place]} p{percent}, {_names(systems)}",
            _geometric(each.ratio for each in mine),
            "ratio",
            f"≤ {RATIO:.2f} in each cell",
            next(verdict for verdict in reversed(_JUDGED) if counts[verdict]),
            note=f"{_mean_of(mine)}; {', '.join(said)}",
        )


def _names(systems: tuple[str, str]) -> str:
    return " ÷ ".join(map(labels.named_system, systems))


def _mean_of(cells: Sequence[object]) -> str:
    return f"geometric mean of {len(cells)} cells" if len(cells) > 1 else "one cell"


def _geometric(estimates: Iterable[Estimate]) -> Estimate:
    """Mean of ratios, and of the ends of their intervals: wider than an interval of the mean."""
    taken = list(estimates)

    def mean(values: Iterable[float]) -> float:
        return math.exp(sum(map(math.log, values)) / len(taken))

    return Estimate(
        value=mean(each.value for each in taken),
        low=mean(each.low for each in taken),
        high=mean(each.high for each in taken),
    )


def _on_demand(cells: Sequence[Measured]) -> Iterator[Conclusion]:
    """What starting a server at LOGIN costs the user."""
    by_systems: dict[tuple[str, str], list[Estimate]] = {}
    for theirs, ours in _pairs(cells, "on-demand", "standby"):
        if "LOGIN" in theirs.latencies and "LOGIN" in ours.latencies:
            found = statistics.ratio(theirs.latencies["LOGIN"], ours.latencies["LOGIN"], 50)
            by_systems.setdefault((_name(theirs), _name(ours)), []).append(found)
    for (theirs_name, ours_name), ratios in by_systems.items():
        yield _said(
            f"LOGIN p50, {_names((theirs_name, ours_name))}",
            _geometric(ratios),
            "ratio",
            "",
            Verdict.MEASURED,
            note=_mean_of(ratios),
        )


def _starts(cells: Sequence[Measured]) -> Iterator[Conclusion]:
    for each in cells:
        name = str(each.cell.levels["launcher"])
        if "START" in each.latencies:
            found = each.latencies["START"]
            yield _said(
                f"Start of a server by {labels.launcher(name)}, median of {found.values.size}, ms",
                found.estimate(50),
                "",
                "",
                Verdict.MEASURED,
                published.start(name),
            )


def _ways(cells: Sequence[Measured]) -> Iterator[Conclusion]:
    """The hook against the static map, at the same load."""

    def load(cell: Cell) -> dict[str, Level]:
        return {name: value for name, value in cell.levels.items() if name != "way"}

    for static in (each for each in cells if each.cell.levels["way"] == "static"):
        for other in cells:
            if other is static or load(other.cell) != load(static.cell):
                continue
            if not other.latencies or not static.latencies:
                continue
            at = _words(load(other.cell))
            way = labels.level("way", other.cell.levels["way"], {})
            for percent in (50, 99):
                yield _said(
                    f"Connection p{percent}, {way} ÷ static map, {at}",
                    statistics.ratio(
                        other.latencies["CONNECT"], static.latencies["CONNECT"], percent
                    ),
                    "ratio",
                    "",
                    Verdict.MEASURED,
                )
            if "clients" in other.cell.levels:
                yield _said(
                    f"Throughput, {way} ÷ static map, {at}",
                    _exactly(other.cell.throughput / static.cell.throughput),
                    "ratio",
                    "",
                    Verdict.MEASURED,
                )


def _words(levels: Mapping[str, Level]) -> str:
    return ", ".join(labels.level(name, value, levels) for name, value in levels.items())
