"""One run: a platform of its own with forked servers, clients, a stranger, and a look at everything now and then.

Everything lies below one directory:
    state/            the platform's state directory, with logs
    users/            what `standby enroll` wrote
    readings.csv      every reading of every figure
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Final

from bench import machine, processes
from bench.faults import rows
from bench.interruption import interruptible
from bench.platform import Access, Say, changed_environment, enroll, platform
from bench.progress import Tick
from bench.soak import growth, observer, report
from bench.soak.observer import Observer
from bench.soak.report import Ended, Result
from bench.soak.users import Client, Served
from bench.stranger import Stranger
from smartgrid_client.schedule import reached
from standby_cli.endpoints import Endpoints
from standby_cli.layout import Layout

_ENVIRON: Final = {"APP_WRAPPER_LAUNCHER": "fork"}
LOOK: Final = 5.0
"""Seconds between two looks at everything; one look costs about 50 ms."""
LOOKS: Final = 120
"""At least, in a short run."""
_MADE_UP: Final = 8.0
"""Names a second."""
_HALF: Final = 8
"""One of so many connections of the stranger sends half a hello."""
_KILL: Final = 60.0
"""Seconds between two kills of a server."""
Work = Callable[[asyncio.Event], Coroutine[None, None, None]]
"""Goes on until the event is set."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    seconds: float
    users: int
    pool: int
    """Server processes of each wrapper."""
    wrappers: int
    seed: int


def run(options: Options, root: Path, say: Say, tick: Tick) -> Result:
    """Do it all. The first SIGINT or SIGTERM during the soak ends it early; a second one ends the run.

    Raises:
        CommandError: the platform did not start, or did not end.
        KeyboardInterrupt: interrupted at another time; nothing is left behind but files.
    """
    layout = Layout(root / "state")
    numbers = {rows.uid(number): number for number in range(1, options.users + 1)}
    say(f"enrolling {options.users} users")
    accesses = enroll(layout, root / "users", list(numbers))
    arguments = ("--pool-size", str(options.pool), "--wrappers", str(options.wrappers))
    with changed_environment(_ENVIRON), platform(layout, arguments, say) as running:
        people = [(access, numbers[access.uid]) for access in accesses.values()]
        ended = asyncio.run(_soak(options, root, running, people, tick))
        say("the soak is over")
    return _result(options, root, ended)


async def _soak(
    options: Options,
    root: Path,
    running: Endpoints,
    people: Sequence[tuple[Access, int]],
    tick: Tick,
) -> Ended:
    layout, served = Layout(root / "state"), Served()
    broken: list[str] = []
    stranger = Stranger(running.lb.host, running.lb.port, _MADE_UP, half=_HALF)
    killer = Killer(layout, options.seed)
    stop, over = asyncio.Event(), asyncio.Event()
    works: dict[str, Work] = {"stranger": stranger.run, "killer": killer.run}
    for access, user in people:
        client = Client(access, user, running, options.seed, served)
        works[f"{access.uid}-{access.role}"] = client.run
    with interruptible(stop), Observer(layout, root) as observed:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for name, work in works.items():
                group.create_task(_told(name, work(over), broken))
            try:
                await _told("observer", _observe(options, observed, served, stop, tick), broken)
            finally:
                over.set()
            seconds, interrupted = time.monotonic() - began, stop.is_set()
            stop.set()  # another signal ends the run
    return Ended(
        seconds=seconds,
        interrupted=interrupted,
        series=observed.series,
        served=served,
        sent=stranger.sent,
        killed=killer.killed,
        broken=[*observed.restarts, *broken],
        tracebacks=observer.tracebacks(layout.logs),
    )


async def _told(name: str, work: Awaitable[None], broken: list[str]) -> None:
    """Do the work; an error in it fails the soak in the end, and is no reason to lose the readings until then."""
    try:
        await work
    except Exception as error:  # noqa: BLE001  # as it says
        broken.append(f"{name} of the soak itself ended with {error!r}")


async def _observe(
    options: Options, observed: Observer, served: Served, stop: asyncio.Event, tick: Tick
) -> None:
    now, seconds = asyncio.get_running_loop().time, options.seconds
    began, every = now(), min(LOOK, seconds / LOOKS)
    while (passed := now() - began) < seconds and not stop.is_set():
        tick(passed, served.sessions)
        await observed.look()
        await reached(now() + every, stop)
    tick(seconds, served.sessions)


class Killer:
    """Kills a server now and then, as a crash would."""

    def __init__(self, layout: Layout, seed: int) -> None:
        self.killed = 0
        self._layout = layout
        self._dice = random.Random(seed)  # noqa: S311  # the same again for the same seed is what is wanted

    async def run(self, stop: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        while await reached(now() + _KILL, stop):
            found = await asyncio.to_thread(lambda: list(processes.servers(self._layout)))
            if found:
                self.killed += self._dice.choice(found).process.send(SIGKILL)


def _result(options: Options, root: Path, ended: Ended) -> Result:
    figures = report.trends(ended.series, ended.seconds)
    failures = report.failures(ended, figures, str(root))
    lacking = report.lacking(ended, figures, options.users)
    return Result(
        judgement=report.judge(failures, lacking),
        failures=failures,
        lacking=lacking,
        figures=figures,
        sessions=ended.served.sessions,
        requests=ended.served.requests,
        failed_tries=dict(ended.served.failed.most_common()),
        given_up=dict(ended.served.given_up.most_common()),
        login_seconds=report.logins(ended),
        made_up_names=ended.sent.hellos,
        half_hellos=ended.sent.halves,
        stranger_refused=ended.sent.refused,
        servers_killed=ended.killed,
        interrupted=ended.interrupted,
        seconds=ended.seconds,
        warm_up=growth.warm_up(ended.seconds),
        users=options.users,
        pool=options.pool,
        wrappers=options.wrappers,
        seed=options.seed,
        machine=machine.facts(),
        versions=machine.versions(),
        evidence=str(root),
    )
