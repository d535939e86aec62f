"""How far a plan is, and how much time is left."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from bench.experiment import sessions
from bench.experiment.order import RunPlan
from bench.experiment.plan import Ingress, Sessions, Startup

_AROUND: Final = 3.0
"""Seconds that a run takes besides its load: filling the pool, starting the load generator, reading its rows."""
_A_START: Final = 0.5
"""Seconds, of the slower launchers."""


def expected(run: RunPlan) -> float:
    """Seconds that a run takes, roughly; starting its platform is not part of it."""
    match run.experiment:
        case Startup() as plan:
            each = _A_START + plan.pause / plan.compression
            return plan.starts * len(plan.launchers) * each
        case Ingress() as plan:
            return plan.seconds + plan.warm_up + _AROUND
        case Sessions() as plan:
            return sessions.shape(plan, run.cells[0]).seconds + _AROUND


class Watch:
    """A bar with the time left, or a line for each step where nobody can see a bar move."""

    def __init__(self, console: Console, runs: Sequence[RunPlan], done: Sequence[RunPlan]) -> None:
        self._console = console
        self._number = len(done)
        self._count = len(runs)
        self._bar = Progress(
            TextColumn("{task.fields[number]} of {task.fields[count]}"),
            BarColumn(),
            _Left(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        total = sum(map(expected, runs)) - sum(map(expected, done))
        self._task = self._bar.add_task("", total=total, number=self._number, count=self._count)

    @contextlib.contextmanager
    def shown(self) -> "Iterator[Watch]":
        if not self._console.is_terminal:
            yield self
            return
        with self._bar:
            yield self

    def say(self, text: str) -> None:
        if self._console.is_terminal:
            self._bar.update(self._task, description=text)
        else:
            number = min(self._number + 1, self._count)
            self._console.print(f"{number} of {self._count}: {text}", soft_wrap=True)

    def finished(self, run: RunPlan) -> None:
        self._number += 1
        self._bar.update(self._task, advance=expected(run), number=self._number)


class _Left(ProgressColumn):
    """From what is done and how long that took; the platforms' starts are spread over all runs."""

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        if not task.completed or task.total is None or task.elapsed is None:
            return Text("time left: not known yet")
        left = task.elapsed / task.completed * (task.total - task.completed)
        return Text(f"{_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
