"""One run of the client: a session of one type, observed, ended by LOGOUT however it ends.

Ctrl-C (or SIGTERM) once: no further request, the one on its way may still be answered for a moment, then LOGOUT.
Twice: leave at once. Signal handlers only set events.
"""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field

from smartgrid_client import customer, meter, requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.connection import Address
from smartgrid_client.credentials import Credentials
from smartgrid_client.customer import Workload
from smartgrid_client.errors import ClientError
from smartgrid_client.freshness import Memory
from smartgrid_client.messages import Averages, Metric
from smartgrid_client.readings import Skips
from smartgrid_client.report import Recorder, Summary
from smartgrid_client.retry import Policy
from smartgrid_client.schedule import Schedule
from smartgrid_client.session import Attempt, Observer, Session
from smartgrid_client.verifier import Verifier
from smartgrid_client.waits import Waits
from standby.deadlines import CLIENT_STOP
from standby.secret import Secret


@dataclass(frozen=True, slots=True)
class Access:
    """Whose session, where, with which keys, and what a server must be to get them."""

    address: Address
    credentials: Credentials
    key: Secret
    policy: Policy
    verifier: Verifier | None
    memory: Memory


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    frequency: float
    duration: float

    def from_now(self) -> Schedule:
        return Schedule(asyncio.get_running_loop().time(), self.frequency, self.duration)


@dataclass(frozen=True, slots=True)
class MeterJob:
    """Type 1: push these batches."""

    batches: Iterator[Batch]
    pace: Pace
    skips: Skips = field(default_factory=Counter)
    """Filled while the batches are read."""


@dataclass(frozen=True, slots=True)
class CustomerJob:
    """Type 2: ask and write."""

    workload: Workload
    pace: Pace


@dataclass(slots=True)
class ChartJob:
    """Type 2: ask once for the averages of a period."""

    metric: Metric
    start: int | None
    end: int | None
    bucket: int
    answer: Averages | None = None


Job = MeterJob | CustomerJob | ChartJob


class Interrupts:
    """What the person at the terminal wants."""

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        """`told` is called when the first signal has come."""
        self.stop = asyncio.Event()
        self.leave = asyncio.Event()
        self.signal: int | None = None
        self._told = told

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.notice, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def patience(self) -> None:
        """Until the request on its way is not waited for any longer."""
        await self.stop.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLIENT_STOP):
                await self.leave.wait()

    def notice(self, number: int) -> None:
        if self.stop.is_set():
            self.leave.set()
        else:
            self.signal = number
            self.stop.set()
            self._told()


async def run(
    access: Access,
    job: Job,
    observer: Observer,
    interrupts: Interrupts,
    waits: Waits | None = None,
) -> Summary:
    """Run the session and sum it up; requests that failed are in the summary, not raised.

    Raises:
        ReadingsError: the meter's file cannot be read further; the session was logged out.
    """
    recorder = Recorder()

    def observe(attempt: Attempt) -> None:
        recorder.add(attempt)
        observer(attempt)

    client = SmartGridClient(access.address, access.credentials, access.verifier)
    session = Session(
        client,
        access.key,
        observe,
        stop=interrupts.stop,
        policy=access.policy,
        memory=access.memory,
        waits=waits,
    )
    with interrupts.listening():
        try:
            await _unless(_opened(session, job, interrupts.stop), interrupts.patience())
        finally:
            await _unless(_closed(session), interrupts.leave.wait())
    skips = job.skips if isinstance(job, MeterJob) else Counter()
    return recorder.summary(
        interrupted=interrupts.stop.is_set(),
        skipped={reason.value: count for reason, count in sorted(skips.items())},
    )


async def _opened(session: Session, job: Job, stop: asyncio.Event) -> None:
    """Errors of requests end here: the observer knows them."""
    with contextlib.suppress(ClientError):
        await session.open()
        await _work(session, job, stop)


async def _closed(session: Session) -> None:
    with contextlib.suppress(ClientError):
        await session.close()


async def _work(session: Session, job: Job, stop: asyncio.Event) -> None:
    match job:
        case MeterJob():
            await meter.push(session, job.batches, job.pace.from_now(), stop)
        case CustomerJob():
            await customer.use(session, job.workload, job.pace.from_now(), stop)
        case ChartJob():
            request = requests.query_avg(job.metric, job.start, job.end, job.bucket)
            job.answer = await session.perform(request)


async def _unless(work: Coroutine[None, None, None], ended: Coroutine[None, None, object]) -> None:
    """Do `work`; if `ended` comes first, cancel it and wait until it is gone."""
    task, limit = asyncio.create_task(work), asyncio.create_task(ended)
    try:
        await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        limit.cancel()
        await asyncio.gather(task, limit, return_exceptions=True)
    if not task.cancelled():
        task.result()
