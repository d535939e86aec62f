"""One run: a platform of its own, clients and faults side by side, one last LOGIN of everybody, then the comparison.

Everything lies below one directory:
    state/            the platform's state directory, with logs and volumes
    users/            what `standby enroll` wrote
    histories/        one file for each client
    faults.jsonl      what was killed and stopped, and when
    writers.jsonl     what the watch found; empty when all is well
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from bench.faults import clients, plan, rows
from bench.faults.clients import Client
from bench.faults.comparison import Storm, compare
from bench.faults.history import Injected, Writer
from bench.faults.injector import Injector, accepts
from bench.faults.place import Options, Place
from bench.faults.report import Result
from bench.faults.watch import Watch
from bench.interruption import interruptible
from bench.platform import Access, Say, enroll, platform
from bench.progress import Tick
from smartgrid_client.schedule import reached
from standby import deadlines
from standby.ids import Uid
from standby_cli.control import CallError, Control, control
from standby_cli.endpoints import Endpoints
from standby_cli.overview import collect

WRAPPERS: Final = 2
TICK: Final = 0.5
_PAUSE: Final = 0.1

People = Sequence[tuple[Access, int]]
"""Every meter and customer, with the user's number."""


def run(options: Options, place: Place, say: Say, tick: Tick) -> Result:
    """Do it all. The first SIGINT or SIGTERM while faults happen ends these only; a second one ends the run.

    Raises:
        CommandError: the platform did not start, or did not end.
        KeyboardInterrupt: interrupted at another time; nothing is left behind but files.
    """
    numbers = {rows.uid(number): number for number in range(1, options.users + 1)}
    say(f"enrolling {options.users} users")
    accesses = enroll(place.layout, place.users, list(numbers))
    arguments = ("--pool-size", str(options.pool), "--wrappers", str(WRAPPERS))
    with platform(place.layout, arguments, say) as running:
        people = [(access, numbers[access.uid]) for access in accesses.values()]
        storm = asyncio.run(_storm(options, place, running, people, say, tick))
    say("comparing the databases with the histories")
    return compare(options, place, storm, accesses)


async def _storm(
    options: Options,
    place: Place,
    running: Endpoints,
    accesses: People,
    say: Say,
    tick: Tick,
) -> Storm:
    calm, closing = asyncio.Event(), asyncio.Event()
    people = list(_clients(options, place, running, accesses, closing))
    faults: list[Injected] = []
    with ExitStack() as stack:
        for each in people:
            stack.callback(each.close)
        writer = stack.enter_context(Writer(place.faults))
        found = stack.enter_context(Writer(place.writers))
        watch = stack.enter_context(Watch(place.layout, found))
        stack.enter_context(interruptible(calm))
        async with control() as calls:
            injector = Injector(place.layout, calls, writer, faults.append)
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each.run()) for each in people]
                injecting = group.create_task(injector.run(plan.faults(options.seed), calm))
                interrupted = not await _weather(options.seconds, calm, lambda: len(faults), tick)
                calm.set()
                await injecting
                seconds = time.monotonic() - began
                say("the faults are over; clients end their sessions")
                closing.set()
                await asyncio.wait(tasks)
            trouble = await _trouble(running, calls)
            say(
                f"the platform is not healthy: {trouble}"
                if trouble
                else "every user logs in once more"
            )
            await _last_logins(people, options.pool)
    return Storm(
        seconds=seconds,
        interrupted=interrupted,
        trouble=trouble,
        made_up=injector.made_up,
        looks=watch.looks,
        opens=len(watch.opens),
        two_writers=watch.found,
    )


def _clients(
    options: Options, place: Place, running: Endpoints, accesses: People, closing: asyncio.Event
) -> Iterator[Client]:
    for access, user in accesses:
        yield Client(
            access,
            user,
            running,
            clients.pace(user, access.role, options.users, options.pool),
            random.Random(f"{options.seed} {access.uid} {access.role}"),  # noqa: S311  # no secret
            place.histories,
            closing,
        )


async def _weather(
    seconds: float, calm: asyncio.Event, faults: Callable[[], int], tick: Tick
) -> bool:
    """Wait for `seconds`; False when `calm` came first."""
    now = asyncio.get_running_loop().time
    began = now()
    while (passed := now() - began) < seconds:
        tick(passed, faults())
        if not await reached(min(now() + TICK, began + seconds), calm):
            return False
    tick(seconds, faults())
    return True


async def _trouble(running: Endpoints, calls: Control) -> str:
    """What is still wrong when a platform's start would be over: empty once all parts are ready and all pools full."""
    trouble = "no answer"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(deadlines.PLATFORM_START):
            while trouble := await _trouble_now(running, calls):  # noqa: ASYNC110  # readiness has no event here
                await asyncio.sleep(_PAUSE)
    return trouble


async def _trouble_now(running: Endpoints, calls: Control) -> str:
    """In words. Ports outlive restarts, so what was read at the start is still true but for the pids."""
    try:
        status = await collect(running, calls)
    except CallError as error:
        return str(error)
    counts = status.counts
    found = [*status.away, *status.degraded]
    if counts.STARTING or counts.STOPPED or status.waiting:
        found.append(
            f"{counts.STARTING} servers STARTING, {counts.STOPPED} STOPPED, {status.waiting} users waiting"
        )
    if not await accepts(running.lb.host, running.lb.port):
        found.append("the load balancer accepts no connection")
    return "; ".join(found)


async def _last_logins(people: list[Client], at_once: int) -> None:
    """Meter and customer of a user together, and no more users at once than one wrapper has servers."""
    places = asyncio.Semaphore(at_once)
    users: dict[Uid, list[Client]] = {}
    for each in people:
        users.setdefault(each.uid, []).append(each)

    async def one(mine: list[Client]) -> None:
        async with places:
            await asyncio.gather(*(each.last_login() for each in mine))

    await asyncio.gather(*(one(mine) for mine in users.values()))
