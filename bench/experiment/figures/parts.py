"""Which cells go into which figure, and which of them are one series. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.experiment import labels
from bench.experiment.figures import style
from bench.experiment.record import Cell, Experiment, Figure, Level
from bench.experiment.results import Numbers, Results


@dataclass(frozen=True, slots=True)
class Series:
    """Cells that are drawn alike, their measurements together."""

    label: str
    look: style.Look
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Part:
    """What one drawing shows."""

    value: str
    """Of the level that tells this figure from its sisters; empty when it has none."""
    label: str
    series: Sequence[Series]


def value(cell: Cell, level: str) -> Level | None:
    if level == labels.SYSTEM:
        return cell.system.name if cell.system else None
    return cell.levels.get(level)


def parts(experiment: Experiment, figure: Figure) -> list[Part]:
    """In the plan's order, which is the order of the cells."""
    names = _names(experiment.cells, figure.series)
    looks = _looks(experiment.cells, names)
    if not figure.each:
        return [Part("", "", _series(experiment.cells, names, looks))]
    return [
        Part(
            str(cells[0].levels.get(figure.each, value(cells[0], figure.each))),
            labels.one(cells[0], figure.each),
            _series(cells, names, looks),
        )
        for cells in _grouped(experiment.cells, [figure.each]).values()
    ]


def pooled(results: Results, cells: Iterable[Cell]) -> dict[str, Numbers]:
    """Latencies of all these cells by operation, ascending."""
    found: dict[str, list[Numbers]] = {}
    for cell in cells:
        for operation, values in results.latencies(cell.id).items():
            found.setdefault(operation, []).append(values)
    return {name: np.sort(np.concatenate(several)) for name, several in found.items()}


Key = tuple[Level | None, ...]
_INSTEAD: Final = ("launcher", "way")
"""What is compared where no platform serves."""


def _names(cells: Iterable[Cell], series: str) -> list[str]:
    names = [name.strip() for name in series.split(",")]
    if labels.SYSTEM not in names or any(cell.system for cell in cells):
        return names
    there = {name for cell in cells for name in cell.levels}
    instead = next((name for name in _INSTEAD if name in there), labels.SYSTEM)
    return [instead if name == labels.SYSTEM else name for name in names]


def _grouped(cells: Iterable[Cell], names: Sequence[str]) -> dict[Key, list[Cell]]:
    found: dict[Key, list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(value(cell, name) for name in names), []).append(cell)
    return found


def _looks(cells: Iterable[Cell], names: Sequence[str]) -> dict[Key, style.Look]:
    groups = _grouped(cells, names)
    if list(names) == [labels.SYSTEM]:
        return {key: style.of_system(group[0].system) for key, group in groups.items()}
    if list(names) == ["launcher"]:
        return {key: style.of_launcher(str(key[0])) for key in groups}
    return {key: style.numbered(number) for number, key in enumerate(groups)}


def _series(
    cells: Iterable[Cell], names: Sequence[str], looks: Mapping[Key, style.Look]
) -> list[Series]:
    return [
        Series(_label(group, names), looks[key], group)
        for key, group in _grouped(cells, names).items()
    ]


def _label(group: Sequence[Cell], names: Sequence[str]) -> str:
    """Simulated is said even where the system is not what tells the series apart."""
    label = labels.named(group[0], names)
    launchers = {labels.launcher(launcher) for cell in group if (launcher := launched(cell))}
    simulated = sorted(name for name in launchers if name.startswith("simulated"))
    return label if not simulated or "simulated" in label else f"{label} ({', '.join(simulated)})"


def launched(cell: Cell) -> str:
    """How the cell's servers are started; empty where there are none."""
    return cell.system.launcher if cell.system else str(cell.levels.get("launcher", ""))
