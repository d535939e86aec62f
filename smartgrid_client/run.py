"""One run of the client: a session of one type, observed, ended by LOGOUT however it ends.

Ctrl-C (or SIGTERM) once: no further request, the one on its way may still be answered for a moment, then LOGOUT.
Twice: leave at once. Signal handlers only set events.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass

from smartgrid_client import curve, customer, listing, meter, requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from smartgrid_client.credentials import Credentials
from smartgrid_client.curve import Curve
from smartgrid_client.customer import Workload
from smartgrid_client.delivery import Delivery
from smartgrid_client.errors import ClientError
from smartgrid_client.freshness import Memory
from smartgrid_client.messages import Alarm, Conflict, StoredAlarm
from smartgrid_client.readings import ReadingsError
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

    delivery: Delivery
    pace: Pace
    correct: bool = False
    """What differs from what is stored takes its place."""


@dataclass(frozen=True, slots=True)
class CustomerJob:
    """Type 2: ask and write."""

    workload: Workload
    pace: Pace


@dataclass(slots=True)
class CurveJob:
    """Type 2: ask once for the averages of a period, to show them."""

    wanted: curve.Wanted
    answer: Curve | None = None


@dataclass(slots=True)
class AlarmsJob:
    """Type 2: change the alarms, and list them."""

    add: Sequence[Alarm] = ()
    change: Sequence[tuple[int, Alarm]] = ()
    delete: Sequence[int] = ()
    """Ids."""
    answer: list[StoredAlarm] | None = None


@dataclass(slots=True)
class ConflictsJob:
    """Type 2: list the values that differ from the stored ones."""

    answer: list[Conflict] | None = None


Job = MeterJob | CustomerJob | CurveJob | AlarmsJob | ConflictsJob


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
        ValueError: a curve would have too many points; the session was logged out.
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
    input_error: str | None = None
    with interrupts.listening():
        try:
            await _unless(_opened(session, job, interrupts.stop), interrupts.patience())
        except ReadingsError as error:  # the file was read whole before, and has changed
            input_error = str(error)
        finally:
            await _unless(_closed(session), interrupts.leave.wait())
    delivery = job.delivery if isinstance(job, MeterJob) else Delivery(iter(()))
    return recorder.summary(
        interrupted=interrupts.stop.is_set(),
        skipped={reason.value: count for reason, count in sorted(delivery.skips.items())},
        total=delivery.total,
        input_error=input_error,
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
            schedule = job.pace.from_now()
            batches = job.delivery.batches
            await meter.push(session, batches, schedule, stop, correct=job.correct)
        case CustomerJob():
            await customer.use(session, job.workload, job.pace.from_now(), stop)
        case CurveJob():
            job.answer = await curve.ask(session, job.wanted)
        case AlarmsJob():
            await _change_alarms(session, job)
        case ConflictsJob():
            job.answer = await listing.conflicts(session.perform)


async def _change_alarms(session: Session, job: AlarmsJob) -> None:
    if job.add:
        await session.perform(requests.write(job.add))
    for number, alarm in job.change:
        await session.perform(requests.change_alarm(number, alarm))
    for number in job.delete:
        await session.perform(requests.delete_alarm(number))
    job.answer = await listing.alarms(session.perform)


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
