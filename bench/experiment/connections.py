"""One run of the load balancer by itself, sampled; what stands behind it is kept for all runs with as many backends."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil

from bench.experiment import resources, validity
from bench.experiment.ingress.load import Driven, Load
from bench.experiment.ingress.stage import Stage, stage
from bench.experiment.job import Generated
from bench.experiment.metrics import Gauges
from bench.experiment.order import RunPlan
from bench.experiment.outcome import Outcome
from bench.experiment.plan import CellPlan, Ingress
from bench.experiment.resources import Sampler

_SAMPLE = 1.0
"""Seconds between two readings of memory."""


class Balancers:
    """What is up now: load balancers before so many backends, or nothing."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._backends = 0
        self._stage: Stage | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()
        self._stage, self._backends = None, 0

    def run(self, plan: RunPlan, directory: Path, gauges: Gauges) -> Outcome:
        """Drive one cell; requests.csv and resources.csv are in `directory` afterwards.

        Raises:
            RuntimeError: the load generator failed.
        """
        experiment, (cell,) = plan.experiment, plan.cells
        if not isinstance(experiment, Ingress):
            raise TypeError("a run of connections")
        behind = self._before(int(cell.levels["backends"]))
        self._say(f"running {cell.id}")
        load = _load(experiment, cell, plan.seed)
        way = str(cell.levels["way"])
        with contextlib.ExitStack() as sampling:

            def began(generator: int) -> None:
                found = _processes(behind, way, generator)
                sampling.enter_context(Sampler(found, directory, _SAMPLE, gauges))

            driven = behind.run(way, load, directory, began)
        return _outcome(load, driven)

    def _before(self, backends: int) -> Stage:
        if self._stage is None or self._backends != backends:
            self.close()
            self._say(f"starting load balancers before {backends} backends")
            self._stage = self._stack.enter_context(stage(backends))
            self._backends = backends
        return self._stage


def _load(experiment: Ingress, cell: CellPlan, seed: int) -> Load:
    rate = cell.levels.get("rate")
    return Load(
        rate=None if rate is None else float(rate),
        clients=int(cell.levels.get("clients", 0)),
        seconds=experiment.seconds,
        warm_up=experiment.warm_up,
        seed=seed,
    )


def _processes(
    behind: Stage, way: str, generator: int
) -> Callable[[], Iterator[tuple[psutil.Process, str]]]:
    roles = {
        behind.pids[f"load-balancer-{way}"]: resources.BALANCER,
        behind.pids["routing-manager"]: resources.MANAGER,
        behind.pids["backends"]: resources.SERVERS,
        generator: resources.GENERATOR,
    }
    processes = {psutil.Process(pid): role for pid, role in roles.items()}
    return lambda: iter(processes.items())


def _outcome(load: Load, driven: Driven) -> Outcome:
    generated = Generated(
        seconds=driven.seconds,
        processors=driven.generator_processors,
        lag_p99_ms=driven.lag_p99_ms,
        requests=driven.done + driven.failed,
        failed=driven.failed,
    )
    return Outcome(
        seconds=load.length,
        measured_seconds=driven.seconds,
        full_from=load.warm_up,
        full_until=load.length,
        generator=generated,
        problems=validity.problems(generated, None),
    )
