"""Alphas of this platform from an experiment's summary: standby ÷ trivial, by operation, memory and processors.

Two cells are compared when they belong to the same experiment of kind `sessions` and have the same levels except
`servers`, which differs by nature: a pool here, a server for each user there. As in the source (the dissertation on
SCO, equations 4.14 and 4.15) an alpha is the mean over all compared pairs of the ratio of the two. Each pair of systems
has alphas of its own; a system with simulated enclaves is never compared with one without, because that would measure
the simulation.

Variables: the operations in small letters (`login`, `long_write`, …: ratio of medians), `memory` (of the server
processes only, not of the Routing Manager and the wrappers) and `processors` (of all parts without the load generator).

Intervals: a ratio lies between low ÷ high and high ÷ low of two independent estimates, and the mean of ratios between
the means of those ends. Both are conservative. `memory` and `processors` are measured without intervals.

Not promised: that slow and failed requests are seen. The medians are of requests that were answered as wanted, so
the failed ones are counted beside each alpha.

Rejected: the geometric mean, for which twice and half cancel out. The source takes the arithmetic one, and its totals
could not be compared with ours.
"""

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from bench.costs.errors import NothingToCompareError
from bench.costs.model import Alpha
from bench.experiment.record import Cell, Estimate, Experiment, Summary, System

KIND: Final = "sessions"
TEST: Final = "standby"
CONTROL: Final = "trivial"
SERVERS: Final = "servers"
"""The role whose memory counts."""
GENERATOR: Final = "generator"
"""The role that is no part of the platform."""

_Pair: TypeAlias = tuple[Cell, Cell]
"""Platform under test, control."""


class Variable(Struct, frozen=True, kw_only=True):
    """One alpha, and what it stands on."""

    name: str
    alpha: Alpha
    pairs: int
    """Compared cells; the alpha is the mean over them."""
    failed_test: int
    failed_control: int
    """Requests that are in no median. 0 for memory and processors."""


class Comparison(Struct, frozen=True, kw_only=True):
    """The alphas of one system against another."""

    test: System
    control: System
    variables: list[Variable]

    @property
    def alphas(self) -> dict[str, Alpha]:
        return {each.name: each.alpha for each in self.variables}


def compare(summary: Summary) -> list[Comparison]:
    """Every standby system against every trivial one that it can be compared with, in the summary's order.

    Raises:
        NothingToCompareError: there is no such pair, or nothing was measured in both of its cells.
    """
    experiments = [each for each in summary.experiments if each.kind == KIND]
    if not experiments:
        raise NothingToCompareError(f"{summary.name}: there is no experiment of kind {KIND}")
    found: dict[tuple[str, str], list[_Pair]] = {}
    for test, control in itertools.chain.from_iterable(map(pairs_of, experiments)):
        found.setdefault((_system(test).name, _system(control).name), []).append((test, control))
    compared = [
        Comparison(test=_system(pairs[0][0]), control=_system(pairs[0][1]), variables=variables)
        for pairs in found.values()
        if (variables := _variables(pairs))
    ]
    if not compared:
        raise NothingToCompareError(
            f"{summary.name}: no two cells with valid runs differ in {TEST} and {CONTROL} alone"
        )
    return compared


def ratio(test: Estimate, control: Estimate) -> Estimate:
    """Of two independent estimates; the control's low end is more than 0."""
    return Estimate(
        value=test.value / control.value,
        low=test.low / control.high,
        high=test.high / control.low,
    )


def mean(ratios: Sequence[Estimate]) -> Estimate:
    return Estimate(
        value=statistics.fmean(each.value for each in ratios),
        low=statistics.fmean(each.low for each in ratios),
        high=statistics.fmean(each.high for each in ratios),
    )


def _system(cell: Cell) -> System:
    if cell.system is None:
        raise ValueError(f"{cell.id}: no platform serves there")
    return cell.system


def pairs_of(experiment: Experiment) -> Iterator[_Pair]:
    """Standby and trivial cells with valid runs that differ in nothing else."""
    cells = [each for each in experiment.cells if each.system and each.valid]
    for test, control in itertools.product(cells, cells):
        one, other = _system(test), _system(control)
        approaches = (one.approach, other.approach) == (TEST, CONTROL)
        same = one.simulated == other.simulated and test.conditions == control.conditions
        if approaches and same:
            yield test, control


def _variables(pairs: Sequence[_Pair]) -> list[Variable]:
    """Of each variable that at least one pair has on both sides."""
    names = dict.fromkeys(name for pair in pairs for name in pair[0].operations)
    found = [_operation(name, pairs) for name in names]
    found += [_resource("memory", _memory, pairs), _resource("processors", _processors, pairs)]
    return [each for each in found if each]


def _operation(name: str, pairs: Sequence[_Pair]) -> Variable | None:
    ratios, failed_test, failed_control = [], 0, 0
    for one, other in pairs:
        test, control = one.operations.get(name), other.operations.get(name)
        if test and control and test.p50 and control.p50 and control.p50.low > 0:
            ratios.append(ratio(test.p50, control.p50))
            failed_test += test.failed
            failed_control += control.failed
    if not ratios:
        return None
    return Variable(
        name=name.lower(),
        alpha=mean(ratios),
        pairs=len(ratios),
        failed_test=failed_test,
        failed_control=failed_control,
    )


def _resource(name: str, used: Callable[[Cell], float], pairs: Sequence[_Pair]) -> Variable | None:
    both = [(used(test), used(control)) for test, control in pairs]
    ratios = [test / control for test, control in both if test > 0 and control > 0]
    if not ratios:
        return None
    alpha = statistics.fmean(ratios)
    return Variable(name=name, alpha=alpha, pairs=len(ratios), failed_test=0, failed_control=0)


def _memory(cell: Cell) -> float:
    servers = cell.groups.get(SERVERS)
    return servers.memory if servers else 0.0


def _processors(cell: Cell) -> float:
    return sum(group.processors for role, group in cell.groups.items() if role != GENERATOR)
