"""Runs the demo: starts a platform of its own, in a directory of its own, and leaves nothing behind."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app_wrapper.settings import Attestation
from smartgrid_client.connection import Address
from smartgrid_client.report import Recorder
from smartgrid_client.session import Attempt, Observer
from standby.processes import start_time
from standby_cli import background, commands, down, endpoints, enrollment, user_key
from standby_cli.control import control
from standby_cli.demo import checks, result, scenario
from standby_cli.demo.households import Access, Family, Outcome
from standby_cli.demo.scenario import Household, Plan
from standby_cli.demo.waits import Logins
from standby_cli.demo.watch import Watch, watching
from standby_cli.endpoints import Endpoints
from standby_cli.layout import Layout
from standby_cli.terminal import styled

LIMIT: Final = 300.0
"""Seconds for all households together; a demo that takes longer has failed."""


def run_demo(plan: Plan, json_file: Path | None, progress: Console, console: Console) -> bool:
    """Run it and show what it found; returns whether every check held.

    Raises:
        CommandError: the platform did not start, or did not end.
        ClientError: a request failed for good.
    """
    began = time.monotonic()
    progress.print("reading six days of meter readings")
    readings, skips = scenario.load()
    households = scenario.households(plan, readings)
    recorder, logins = Recorder(), Logins()
    with tempfile.TemporaryDirectory(prefix="standby-demo-") as directory, commands.terminable():
        root = Path(directory)
        with _platform(plan, Layout(root / "state"), progress) as running:
            outcomes, watch = asyncio.run(
                _run(
                    households,
                    running,
                    Layout(root / "state"),
                    root / "users",
                    (recorder.add, logins.add),
                    progress,
                )
            )
    summary = recorder.summary()
    found = checks.of_run(plan, outcomes, summary.errors, watch.users_of_process)
    found.append(checks.check("lines of the file without a reading", 2, sum(skips.values())))
    found.append(checks.check("processes left behind", 0, _alive(running)))
    final = result.Result(
        ok=all(each.ok for each in found),
        approach=plan.approach,
        users=plan.users,
        pool_size=plan.pool_size,
        sessions=sum(len(each.sessions) for each in outcomes),
        readings=len(readings),
        readings_skipped=sum(skips.values()),
        seconds=time.monotonic() - began,
        operations=summary.operations,
        login_waiting=logins.waiting(),
        login_alone=logins.alone(),
        pool=watch.samples,
        checks=found,
    )
    result.show(final, console)
    if json_file:
        commands.write_json(final, json_file)
    return final.ok


@contextmanager
def _platform(plan: Plan, layout: Layout, progress: Console) -> Iterator[Endpoints]:
    """A platform that runs while the context lasts, and ends with this process, however that ends."""
    progress.print(f"starting the platform ({plan.approach}) with {plan.pool_size} servers")
    arguments = ["--state-dir", str(layout.root), "--pool-size", str(plan.pool_size)]
    arguments += ["--approach", plan.approach, "--attestation", Attestation.SOFT_DCAP.value]
    supervisor = background.start(
        arguments,
        layout,
        lambda text: progress.print(styled(f"  {text}")),
        outlive=False,
    )
    try:
        yield endpoints.read(layout.endpoints)
    finally:
        progress.print("ending the platform")
        asyncio.run(down.end_sessions(layout))
        down.bring_down(layout, lambda _text: None)
        supervisor.wait()


async def _run(
    households: list[Household],
    running: Endpoints,
    layout: Layout,
    users: Path,
    observers: Iterable[Observer],
    progress: Console,
) -> tuple[list[Outcome], Watch]:
    for household in households:
        await _enroll(household, layout, users)
    progress.print(f"{len(households)} customers and their meters are enrolled")
    stop = asyncio.Event()
    total = sum(len(batches) for each in households for batches in each.rounds)
    async with control() as calls, watching(running, calls) as watch, asyncio.timeout(LIMIT):
        with _bar(total, progress) as advance:

            def observe(attempt: Attempt) -> None:
                for each in observers:
                    each(attempt)
                if attempt.exchange.operation == "LONG_WRITE":
                    advance()

            families = [
                Family(each, _access(each, running, users), observe, stop) for each in households
            ]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(family.run()) for family in families]
    return [task.result() for task in tasks], watch


async def _enroll(household: Household, layout: Layout, users: Path) -> None:
    customer, meter = users / f"{household.uid}-customer", users / f"{household.uid}-meter"
    uids = (household.uid,)
    request = enrollment.Request(uids, "customer", customer, None, None)
    await enrollment.enroll(request, layout, lambda: None)
    request = enrollment.Request(uids, "meter", meter, customer / user_key.FILE, None)
    await enrollment.enroll(request, layout, lambda: None)


def _access(household: Household, running: Endpoints, users: Path) -> Access:
    return Access(
        address=Address(running.lb.host, running.lb.port, household.uid),
        customer=users / f"{household.uid}-customer",
        meter=users / f"{household.uid}-meter",
    )


@contextmanager
def _bar(total: int, console: Console) -> Iterator[Callable[[], None]]:
    columns = (
        TextColumn("pushing batches, asking for averages"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} batches"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def _alive(running: Endpoints) -> int:
    pids = [running.pids.haproxy, running.pids.supervisor, *running.pids.wrappers.values()]
    pids += [running.pids.routing_manager] if running.pids.routing_manager else []
    return sum(start_time(pid) is not None for pid in pids)
