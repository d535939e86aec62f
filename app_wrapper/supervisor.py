"""Carries out what the pool decides, and tells the pool what happens: the one place where time is read.

Everything here runs on the event loop and changes the pool between two awaits, never across one. Each server process
has one sidecar; claims and releases are tasks of their own, so nothing waits for a slow volume but its user.

An error of the pool's or of an action's own costs the process that it is about, and is counted and logged once in a
while: the timer, the other actions and the other processes go on.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import assert_never

from app_wrapper import process_log
from app_wrapper.actions import (
    Action,
    Answer,
    AskToStop,
    Claim,
    Failed,
    Kill,
    Launch,
    Release,
    Report,
)
from app_wrapper.epoch import EpochStore
from app_wrapper.errors import NotStartedError
from app_wrapper.events import Attested, NotAttested, NotProved, Proved, Said
from app_wrapper.launchers import Exit
from app_wrapper.metrics import Contained, Metrics
from app_wrapper.outbox import Snapshot
from app_wrapper.pool import Pool
from app_wrapper.process import Process
from app_wrapper.server_log import Rating
from app_wrapper.sidecar import Sidecar, Surroundings
from app_wrapper.tasks import Tasks
from app_wrapper.usage import Places
from app_wrapper.views import snapshot, view_of, wrapper_state
from app_wrapper.volumes import Holder, UnknownUserError
from app_wrapper.volumes.desk import Desk
from standby.containment import Errors
from standby.ids import BootId, Uid, WrapperId
from standby.lines import Denied, LineError, format_answer
from standby.logs import EventLog
from standby.messages import DEGRADED_LENGTH, InstanceView, WrapperState
from standby.states import State
from standby.text import printable
from standby.timer import Timer

log = EventLog(__name__)


class Supervisor:
    """One wrapper's pool at work."""

    def __init__(
        self,
        wrapper_id: WrapperId,
        address: str,
        pool: Pool,
        surroundings: Surroundings,
        desk: Desk,
        store: EpochStore,
        metrics: Metrics,
    ) -> None:
        self.wrapper_id = wrapper_id
        self.pool = pool
        self.control_url: str | None = None
        """Where this wrapper takes orders, once it listens."""
        self.on_change: Callable[[BootId | None], None] = lambda _boot_id: None
        """Told of every change: the process, or None for the wrapper as a whole."""
        self.reporting_problem: Callable[[], str | None] = lambda: None
        """Why a Routing Manager takes no reports, in words; None: each takes them."""
        self._address = address
        self._surroundings = surroundings
        self._desk = desk
        self._store = store
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._sidecars: dict[BootId, Sidecar] = {}
        self._tasks = Tasks()
        self._errors = Errors(log, metrics.contained)
        self._timer = Timer(
            self._now, self._next_deadline, self._tick, partial(self._errors.note, Contained.TIMER)
        )
        self._changed = asyncio.Event()
        metrics.watch(self._count, lambda: self.degraded() is not None)

    # Orders

    def start(self) -> None:
        """See `Pool.start`, as for all of these."""
        self._do(self.pool.start(self._now()))
        self._tell(None)

    def stop(self) -> None:
        self._do(self.pool.stop(self._now()))
        self._tell(None)

    def drain(self) -> None:
        self._do(self.pool.drain(self._now()))
        self._tell(None)

    def abandon(self, boot_id: BootId) -> None:
        self._do(self.pool.abandon(boot_id, self._now()))

    def resize(self, size: int) -> None:
        self._do(self.pool.resize(size, self._now()))
        self._tell(None)

    def order(self, ticket: str) -> None:
        self._do(self.pool.order(ticket, self._now()))

    async def serve_user(self, uid: Uid) -> InstanceView:
        """Run a server of the user's own; returns once it has the user's data.

        Raises:
            UnknownUserError: the user has no volume.
            NotStartedError: it did not come up within the time for a start; it is tried again all the same.
        """
        deadline = self.pool.limits.start
        if not await self._desk.exists(uid):
            raise UnknownUserError(f"there is no volume of {uid}; enroll the user first")
        self._do(self.pool.dedicate(uid, self._now()))
        try:
            async with asyncio.timeout(deadline):
                while (process := self._serving(uid)) is None:
                    await self._changed.wait()
        except TimeoutError:
            seat = self.pool.roster.dedicated(uid)
            why = (seat.failure if seat else "") or "it is still starting"
            raise NotStartedError(f"{uid}'s server is not up after {deadline:g} s: {why}") from None
        return view_of(process, self._address, self.wrapper_id, self._now())

    def sessions(self) -> dict[int, BootId]:
        """The servers that have a user, by the ports that they listen on."""
        served = (seat.process for seat in self.pool.roster)
        return {
            each.port: each.boot_id
            for each in served
            if each and each.port and each.state is State.ACTIVE
        }

    async def until_empty(self) -> None:
        """Return once no server is left."""
        while not self.pool.empty:
            await self._changed.wait()

    async def close(self) -> None:
        """End every server that is left, at once."""
        self.stop()
        self._timer.stop()
        await self._tasks.close()

    # How things are

    def degraded(self) -> str | None:
        """What keeps the wrapper from serving as it should, in one sentence; None: nothing."""
        launcher = self._surroundings.launcher
        found = self.pool.degraded() or launcher.trouble() or self.reporting_problem()
        return printable(found, DEGRADED_LENGTH) if found else None

    def snapshot(self) -> Snapshot:
        degraded = self.degraded()
        return snapshot(self.pool, self._address, self.control_url, degraded, self._now())

    def state(self) -> WrapperState:
        now = self._now()
        return wrapper_state(
            self.wrapper_id,
            self._store.epoch,
            self.pool.size,
            self.pool.limits.capacity,
            self.degraded(),
            [
                view_of(each, self._address, self.wrapper_id, now)
                for each in self.pool.roster.processes()
            ],
            draining=self.pool.draining,
        )

    # What sidecars tell

    def launched(self, boot_id: BootId, port: int) -> None:
        self._happened(boot_id, lambda now: self.pool.launched(boot_id, port, now))

    def said(self, boot_id: BootId, said: Said) -> None:
        if isinstance(said, Attested | NotAttested):
            self._metrics.attested(said)
        if isinstance(said, NotAttested):
            log.warning("server_not_attested", boot_id=boot_id, code=said.code, text=said.why)
        if isinstance(said, Proved | NotProved):
            self._metrics.proved(said)
        if isinstance(said, NotProved):
            log.warning(
                "login_proof_refused", boot_id=boot_id, uid=said.uid, code=said.code, text=said.why
            )
        self._happened(boot_id, lambda now: self.pool.said(boot_id, said, now))

    def silent(self, boot_id: BootId) -> None:
        self._happened(boot_id, lambda now: self.pool.silent(boot_id, now))

    def overfull(self, boot_id: BootId, what: str) -> None:
        self._happened(boot_id, lambda now: self.pool.overfull(boot_id, what, now))

    def logged(self, rating: Rating) -> None:
        self._metrics.logged(rating)

    def exited(self, boot_id: BootId, how: Exit) -> None:
        del self._sidecars[boot_id]
        before = self.pool.process(boot_id)
        self._happened(
            boot_id, lambda now: self.pool.exited(boot_id, how.text, now, lasting=how.lasting)
        )
        process_log.gone(boot_id, self.pool.process(boot_id) or before, how)
        self._tell(None)

    def places(self) -> list[Places]:
        """Which directories the servers that are up could fill."""
        own = self._surroundings.volumes_are_directories
        found = []
        for boot_id, sidecar in self._sidecars.items():
            process = self.pool.process(boot_id)
            if process is not None and process.up:
                volume = Path(process.volume.path) if own and process.volume else None
                found.append(Places(boot_id, sidecar.directory, volume))
        return found

    # Doing

    def _happened(self, boot_id: BootId, take: Callable[[float], list[Action]]) -> None:
        """Something happened to one process; an error in taking that in costs this process."""
        try:
            actions = take(self._now())
        except Exception as error:  # noqa: BLE001  # as it says
            actions = [Failed(boot_id, error)]
        self._do(actions)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            try:
                self._do_one(action)
            except Exception as error:  # noqa: BLE001  # the others are about other processes
                self._errors.note(Contained.ACTION, error, action=type(action).__name__)
                if isinstance(action, Launch) and action.boot_id not in self._sidecars:
                    self._never_launched(action.boot_id, error)
        self._timer.arm()

    def _never_launched(self, boot_id: BootId, error: Exception) -> None:
        self._happened(boot_id, lambda now: self.pool.exited(boot_id, repr(error), now))

    def _do_one(self, action: Action) -> None:
        match action:
            case Launch(_, boot_id, _):
                self._metrics.launched()
                sidecar = self._sidecars[boot_id] = Sidecar(action, self._surroundings, self)
                self._tasks.start(f"sidecar of {boot_id}", sidecar.run())
            case Claim(boot_id, uid):
                self._tasks.start(f"claim for {boot_id}", self._claim(boot_id, uid))
            case Release(boot_id):
                self._tasks.start(f"release for {boot_id}", self._release(action))
            case Answer():
                self._answer(action)
            case AskToStop(boot_id):
                if boot_id in self._sidecars:
                    self._sidecars[boot_id].ask_to_stop()
            case Kill():
                self._kill(action)
            case Report():
                self._report(action)
            case Failed(boot_id, error):
                self._failed(boot_id, error)
            case _:
                assert_never(action)

    def _report(self, report: Report) -> None:
        self._tell(report.process.boot_id)
        process_log.changed(report)
        self._metrics.changed(report, self._now())

    def _tell(self, boot_id: BootId | None) -> None:
        self.on_change(boot_id)
        self._changed.set()
        self._changed = asyncio.Event()

    def _failed(self, boot_id: BootId | None, error: Exception) -> None:
        kind = Contained.PROCESS if boot_id else Contained.POOL
        self._errors.note(kind, error, boot_id=boot_id)
        if boot_id in self._sidecars:
            self._sidecars[boot_id].kill()

    def _kill(self, action: Kill) -> None:
        if action.why:
            log.warning("server_killed", boot_id=action.boot_id, why=action.why)
        if action.boot_id in self._sidecars:
            self._sidecars[action.boot_id].kill()

    def _answer(self, action: Answer) -> None:
        sidecar = self._sidecars.get(action.boot_id)
        if isinstance(action.answer, Denied):
            self._metrics.login_denied(action.answer)
        if sidecar is None:
            return
        try:
            sidecar.answer(format_answer(action.answer))
        except LineError as error:
            log.error("answer_unsayable", error=error, boot_id=action.boot_id)
            sidecar.kill()

    async def _claim(self, boot_id: BootId, uid: Uid) -> None:
        sidecar = self._sidecars.get(boot_id)
        if sidecar is not None:
            sidecar.user = uid
        handle = sidecar.handle if sidecar else None
        holder = Holder(
            wrapper_id=self.wrapper_id,
            epoch=self._store.epoch,
            boot_id=boot_id,
            pid=handle.pid if handle else None,
            start_time=handle.start_time if handle else None,
            server_uid=sidecar.server_uid if sidecar else None,
        )
        with self._metrics.claim_seconds.time():
            answer = await self._desk.claim(uid, holder)
        self._metrics.claimed(answer)
        if isinstance(answer, Denied):
            process_log.denied(boot_id, uid, answer)
        self._happened(boot_id, lambda now: self.pool.answered(boot_id, answer, now))

    async def _release(self, action: Release) -> None:
        await self._desk.release(action.uid, action.generation, closed=action.closed)
        self._happened(action.boot_id, lambda now: self.pool.released(action.boot_id, now))
        self._tell(None)

    def _next_deadline(self) -> float:
        when = self.pool.next_deadline()
        return inf if when is None else when

    def _tick(self) -> None:
        self._do(self.pool.tick(self._now()))

    def _now(self) -> float:
        return self._loop.time()

    def _serving(self, uid: Uid) -> Process | None:
        seat = self.pool.roster.dedicated(uid)
        process = seat.process if seat else None
        serving = process is not None and process.state is State.ACTIVE and process.generation
        return process if serving else None

    def _count(self, state: State) -> int:
        return sum(each.state is state for each in self.pool.roster.processes())
