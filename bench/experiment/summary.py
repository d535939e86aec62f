"""From the runs' files to the summary: valid runs of a cell together, then what follows from the cells."""

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from bench import machine
from bench.experiment import conclusions, epc, outcome, plan, resources, rows, runner, usage
from bench.experiment.conclusions import Measured
from bench.experiment.order import RunPlan
from bench.experiment.outcome import Outcome
from bench.experiment.plan import CellPlan, ExperimentPlan, Plan
from bench.experiment.record import Cell, Experiment, Group, Operation, Summary
from bench.experiment.rows import Row
from bench.experiment.statistics import Latencies, middle
from bench.experiment.usage import Usage


@dataclass(frozen=True)
class _Run:
    outcome: Outcome
    rows: list[Row]
    usage: Mapping[str, Usage]


def summarise(plan_: Plan, directory: Path, planned: Sequence[RunPlan]) -> Summary:
    """Of what has been run so far."""
    done = [
        run for run in planned if all(outcome.read(_place(directory, name)) for name in run.names())
    ]
    experiments = [_experiment(each, directory) for each in plan_.experiments]
    found = machine.read(directory / runner.MACHINE)
    spent = sum(
        said.seconds
        for run in done
        if (said := outcome.read(_place(directory, run.names()[0]))) is not None
    )
    return Summary(
        name=plan_.name,
        title=plan_.title,
        began=dt.datetime.fromtimestamp(_began(directory), dt.UTC).isoformat(timespec="seconds"),
        seconds=spent,
        complete=len(done) == len(planned),
        runs_done=len(done),
        runs_planned=len(planned),
        versions=found.versions,
        machine=found.facts,
        experiments=experiments,
    )


def _began(directory: Path) -> float:
    """When the plan was first written there, in Unix seconds."""
    return (directory / runner.PLAN).stat().st_mtime


def _place(directory: Path, name: str) -> Path:
    return directory / "runs" / name


def _experiment(planned: ExperimentPlan, directory: Path) -> Experiment:
    measured = [_cell(planned, each, directory) for each in plan.cells(planned)]
    compared = list(conclusions.comparisons(planned, measured))
    return Experiment(
        name=planned.name,
        kind=str(type(planned).__struct_config__.tag),
        title=planned.title,
        about=planned.about,
        like=planned.like,
        compression=planned.compression,
        cells=[each.cell for each in measured],
        conclusions=list(conclusions.of(planned, measured, compared)),
        comparisons=compared,
        figures=planned.figures,
    )


def _cell(planned: ExperimentPlan, cell: CellPlan, directory: Path) -> Measured:
    found = [
        _place(directory, f"{cell.id}-{number}") for number in range(1, planned.repetitions + 1)
    ]
    outcomes = {place: said for place in found if (said := outcome.read(place)) is not None}
    valid = [_read(place, said) for place, said in outcomes.items() if not said.problems]
    latencies = _latencies(valid)
    answered = sum(1 for run in valid for row in run.rows if not row.error and not row.warm_up)
    seconds = sum(run.outcome.measured_seconds for run in valid)
    return Measured(
        Cell(
            id=cell.id,
            system=cell.system,
            levels=dict(cell.levels),
            runs=len(outcomes),
            valid=len(valid),
            problems=[text for said in outcomes.values() for text in said.problems],
            operations=_operations(valid, latencies),
            throughput=answered / seconds if seconds else 0.0,
            groups=_groups([run.usage for run in valid]),
            epc=epc.summarise([place for place, said in outcomes.items() if not said.problems]),
        ),
        latencies,
    )


def _read(place: Path, said: Outcome) -> _Run:
    file = place / "resources.csv"
    used = usage.by_role(resources.read(file), said) if file.exists() else {}
    return _Run(said, rows.read(place / "requests.csv"), used)


def _latencies(runs: Sequence[_Run]) -> dict[str, Latencies]:
    values: dict[str, list[float]] = defaultdict(list)
    sessions: dict[str, list[Hashable]] = defaultdict(list)
    for number, run in enumerate(runs):
        for place, row in enumerate(run.rows):
            if not row.error and not row.warm_up:
                values[row.operation].append(row.latency_ms)
                sessions[row.operation].append(
                    (number, row.session if row.session != "" else place)
                )
    return {name: Latencies.of(values[name], sessions[name]) for name in values}


def _operations(runs: Sequence[_Run], latencies: Mapping[str, Latencies]) -> dict[str, Operation]:
    failed: dict[str, int] = defaultdict(int)
    for run in runs:
        for row in run.rows:
            failed[row.operation] += bool(row.error)
    return {
        name: Operation(
            count=int(found.values.size) if found else 0,
            failed=failures,
            mean=float(np.mean(found.values)) if found else None,
            p50=found.estimate(50) if found else None,
            p95=found.estimate(95) if found else None,
            p99=found.estimate(99) if found else None,
            max=float(found.values[-1]) if found else None,
        )
        for name, failures in failed.items()
        for found in [latencies.get(name)]
    }


def _groups(usages: Sequence[Mapping[str, Usage]]) -> dict[str, Group]:
    roles = dict.fromkeys(role for each in usages for role in each)
    return {role: _group([each[role] for each in usages if role in each]) for role in roles}


def _group(usages: Sequence[Usage]) -> Group:
    def median(readings: list[float]) -> float:
        return middle(readings).value if readings else 0.0

    enclaves = [each for one in usages for each in one.enclaves]
    return Group(
        processes=median([float(each) for one in usages for each in one.processes]),
        pss=median([each for one in usages for each in one.pss]),
        rss=median([each for one in usages for each in one.rss]),
        enclaves=median(enclaves) if enclaves else None,
        waiting=median([one.waiting for one in usages if one.waiting is not None]) or None,
        processors=fmean(one.processors for one in usages),
        switches=fmean(one.switches for one in usages),
    )
