"""Which run comes after which; pure.

Systems alternate: with the same other levels each has its turn before any has its next, and every second round goes
backwards, so that no system always follows the same one. Runs that can use the same platforms follow each other,
because starting a server for each user takes longer than a run. Where each platform is alone, all runs of a system
follow each other: what is measured there is memory, which drifts with nothing.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from bench.experiment import plan
from bench.experiment.plan import CellPlan, ExperimentPlan, Ingress, Plan, Sessions, Startup
from bench.experiment.record import Level

T = TypeVar("T")


class RunPlan(Struct, frozen=True, kw_only=True):
    experiment: ExperimentPlan
    cells: tuple[CellPlan, ...]
    """One; the launchers of a start-up experiment alternate within a run."""
    repetition: int
    seed: int
    """The same for the systems that are compared: they get the same users, requests and moments."""

    def names(self) -> list[str]:
        """Of its directories, one for each cell."""
        return [f"{cell.id}-{self.repetition}" for cell in self.cells]


def runs(plan_: Plan) -> list[RunPlan]:
    """All runs of a plan."""
    return [run for each in plan_.experiments for run in _runs(each, plan_.seed)]


def _runs(experiment: ExperimentPlan, seed: int) -> Iterator[RunPlan]:
    cells = list(plan.cells(experiment))
    for number, (repetition, group) in enumerate(_rounds(experiment, cells)):
        turns = [tuple(group)] if isinstance(experiment, Startup) else [(cell,) for cell in group]
        for turn in reversed(turns) if number % 2 else turns:
            yield RunPlan(
                experiment=experiment, cells=turn, repetition=repetition, seed=seed * 1000 + number
            )


def _rounds(
    experiment: ExperimentPlan, cells: Sequence[CellPlan]
) -> Iterator[tuple[int, list[CellPlan]]]:
    """Cells that differ only in what is compared, with the number of the repetition."""
    repetitions = range(1, experiment.repetitions + 1)
    match experiment:
        case Startup():
            yield from ((repetition, list(cells)) for repetition in repetitions)
        case Ingress():
            yield from itertools.product(
                repetitions, _grouped(cells, ("backends", "rate", "clients"))
            )
        case Sessions() if experiment.alone:
            for repetition, system in itertools.product(repetitions, _systems(cells)):
                yield repetition, [each for each in cells if each.system == system]
        case Sessions():
            for group, repetition in itertools.product(
                _grouped(cells, ("users", "active")), repetitions
            ):
                others = ("write_ratio", "period", "hours")
                yield from ((repetition, each) for each in _grouped(group, others))


def _systems(cells: Iterable[CellPlan]) -> list[object]:
    return list(dict.fromkeys(cell.system for cell in cells))


def _grouped(cells: Iterable[CellPlan], names: Sequence[str]) -> list[list[CellPlan]]:
    """Cells with the same values of these levels together, in the order of their first appearance."""
    groups: dict[tuple[Level | None, ...], list[CellPlan]] = {}
    for cell in cells:
        groups.setdefault(_values(cell.levels, names), []).append(cell)
    return list(groups.values())


def _values(levels: Mapping[str, Level], names: Sequence[str]) -> tuple[Level | None, ...]:
    return tuple(levels.get(name) for name in names)
