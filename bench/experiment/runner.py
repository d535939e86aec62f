"""All runs of a plan, one after another, each into a directory of its own; what is there already is not run again.

A run's directory has its outcome when it is complete, so an interrupted plan goes on where it was. The plan as it was
understood lies beside the runs: a directory belongs to one plan.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench import machine
from bench.experiment import outcome, sessions, startup
from bench.experiment.connections import Balancers
from bench.experiment.metrics import Gauges
from bench.experiment.order import RunPlan, runs
from bench.experiment.outcome import Outcome
from bench.experiment.plan import Ingress, Plan, PlanError, Sessions, Startup
from bench.experiment.stages import Needs, Stages
from bench.platform import Say

PLAN: Final = "plan.json"
MACHINE: Final = "machine.json"
"""What the plan was begun on."""


class Runner:
    """One plan in one directory."""

    def __init__(self, plan: Plan, directory: Path, gauges: Gauges) -> None:
        """Make the directory, or go on in it.

        Raises:
            PlanError: it holds the results of another plan.
        """
        self.runs = runs(plan)
        self._directory = directory
        self._gauges = gauges
        text = msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / PLAN
        if file.exists() and file.read_bytes() != text:
            raise PlanError(f"{directory} holds results of another plan; choose another --out")
        if not file.exists() and any(directory.iterdir()):
            raise PlanError(f"{directory} is not empty and holds no results; choose another --out")
        if not file.exists():
            file.write_bytes(text)
            machine.write(directory / MACHINE)

    def done(self, run: RunPlan) -> bool:
        return all(outcome.read(self._place(name)) for name in run.names())

    def run_all(self, say: Say, finished: Callable[[RunPlan], None]) -> None:
        """Do what is not done yet; `finished` is told of each run.

        Raises:
            StartError: a platform did not start.
            GeneratorError: the load generator failed.
        """
        todo = [run for run in self.runs if not self.done(run)]
        with Stages(say) as stages, Balancers(say) as balancers:
            for number, run in enumerate(todo):
                self._gauges.run.set(self.runs.index(run) + 1)
                self._run(run, todo[number:], stages, balancers, say)
                finished(run)

    def _run(
        self,
        run: RunPlan,
        to_come: Sequence[RunPlan],
        stages: Stages,
        balancers: Balancers,
        say: Say,
    ) -> None:
        directories = [self._fresh(name) for name in run.names()]
        stages.keep(tuple(_needed(run, to_come)))
        if not isinstance(run.experiment, Ingress):
            balancers.close()
        result = self._result(run, directories, stages, balancers, say)
        for directory in directories:
            outcome.write(directory, result)

    def _result(
        self,
        run: RunPlan,
        directories: Sequence[Path],
        stages: Stages,
        balancers: Balancers,
        say: Say,
    ) -> Outcome:
        match run.experiment:
            case Startup():
                say("starting servers")
                launchers = [str(cell.levels["launcher"]) for cell in run.cells]
                return startup.run(run, dict(zip(launchers, directories, strict=True)))
            case Ingress():
                return balancers.run(run, directories[0], self._gauges)
            case Sessions():
                stage = stages.get(Needs.of(run.experiment, run.cells[0]))
                say(f"running {run.cells[0].id}")
                return sessions.run(run, stage, directories[0], self._gauges)

    def _place(self, name: str) -> Path:
        return self._directory / "runs" / name

    def _fresh(self, name: str) -> Path:
        """An empty directory; what an interrupted run left is not used."""
        place = self._place(name)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place


def _needed(run: RunPlan, to_come: Sequence[RunPlan]) -> Iterator[Needs]:
    """Platforms that may stay up now."""
    if not isinstance(run.experiment, Sessions):
        return
    now = Needs.of(run.experiment, run.cells[0])
    for each in to_come:
        if isinstance(each.experiment, Sessions) and each.experiment.name == run.experiment.name:
            needs = Needs.of(each.experiment, each.cells[0])
            if needs == now or not run.experiment.alone:
                yield needs
