"""One run of users' sessions: the load generator against a platform, while the processes are sampled."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import psutil

from bench.experiment import job as job_file
from bench.experiment import resources, rows, schedule, validity
from bench.experiment.job import Generated, Job
from bench.experiment.metrics import Gauges
from bench.experiment.order import RunPlan
from bench.experiment.outcome import Outcome
from bench.experiment.plan import CellPlan, Sessions
from bench.experiment.resources import Sampler
from bench.experiment.schedule import Shape
from bench.experiment.stages import Stage
from smartgrid_client.quantiles import percentile
from standby import deadlines
from standby.processes import dies_with_parent

_PREFERRED: Final = -5
"""Niceness of the load generator, where that is allowed: it stands for other machines, which would not wait."""


class GeneratorError(RuntimeError):
    """The load generator failed; the text is its own."""


def shape(experiment: Sessions, cell: CellPlan) -> Shape:
    """Of a cell's load, in real time."""
    factor = experiment.compression
    period = cell.levels.get("period")
    write_ratio = cell.levels.get("write_ratio")
    return Shape(
        active=int(cell.levels["active"]),
        sessions=experiment.sessions,
        spread=experiment.spread / factor,
        pause=experiment.pause / factor,
        session=experiment.session / factor,
        write_ratio=None if write_ratio is None else float(write_ratio),
        period=None if period is None else float(period) / factor,
    )


def run(plan: RunPlan, stage: Stage, directory: Path, gauges: Gauges) -> Outcome:
    """Drive one cell; requests.csv and resources.csv are in `directory` afterwards.

    Raises:
        GeneratorError: the load generator ended without a result.
        TimeoutError: the pool did not fill.
    """
    experiment, (cell,) = plan.experiment, plan.cells
    if not isinstance(experiment, Sessions):
        raise TypeError("a run of sessions")
    job = _job(plan, experiment, cell, stage, directory)
    stage.until_ready()
    generated = _drive(job, stage, directory, experiment.sample, gauges)
    taken = rows.read(job.requests_file)
    measured = sorted(row.latency_ms for row in taken if not row.error and not row.warm_up)
    full_from, full_until = schedule.full(job.sessions) or (0.0, generated.seconds)
    return Outcome(
        seconds=generated.seconds,
        measured_seconds=generated.seconds - job.warm_up,
        full_from=full_from,
        full_until=full_until,
        generator=generated,
        problems=validity.problems(generated, percentile(measured, 99)),
    )


def _job(plan: RunPlan, experiment: Sessions, cell: CellPlan, stage: Stage, directory: Path) -> Job:
    planned = schedule.sessions(shape(experiment, cell), stage.needs.uids, plan.seed)
    running = stage.running
    return Job(
        host=running.lb.host,
        port=running.lb.port,
        users={uid: stage.credentials(uid) for uid in {each.uid for each in planned}},
        sessions=planned,
        hours=int(cell.levels["hours"]) if "hours" in cell.levels else None,
        warm_up=experiment.warm_up / experiment.compression,
        timeout=deadlines.CLIENT_REQUEST,
        requests_file=directory / "requests.csv",
        seed=plan.seed,
    )


def _drive(job: Job, stage: Stage, directory: Path, every: float, gauges: Gauges) -> Generated:
    with tempfile.TemporaryDirectory(prefix="job-") as scratch:
        file = Path(scratch) / "job.json"
        job_file.write(file, job)
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.experiment.load", str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=dies_with_parent(),  # noqa: PLW1509  # the sampler's thread begins later
        )
        try:
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _PREFERRED)
            generator = psutil.Process(process.pid)

            def processes() -> Iterator[tuple[psutil.Process, str]]:
                yield generator, resources.GENERATOR
                yield from resources.of_platform(stage.running.pids)

            with Sampler(processes, directory, every, gauges):
                said, complained = process.communicate()
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise GeneratorError(f"the load generator failed: {complained.strip()[-2000:]}")
    return msgspec.json.decode(said.splitlines()[-1], type=Generated)
