"""The core on an event loop: reads the clock, does what the core decided, and wakes it at its next deadline.

There is one timer and no polling. What fails costs one user, process or order (`guard`) and is logged once in a while;
ticks, reports and other users go on. Between reading and changing the core's state nothing is awaited, so its decisions
need no lock. Connections that wait for the same user share one future, because they share one place.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from routing_manager import sources, views
from routing_manager.actions import Action, Answer, Failed, Refuse, StartServer, WrapperLost
from routing_manager.control import ControlClient
from routing_manager.core import Core
from routing_manager.directory import Instance
from routing_manager.errors import (
    BadNameError,
    BadReportError,
    UnknownWrapperError,
    WrapperUnreachableError,
    refused,
)
from routing_manager.metrics import Metrics
from routing_manager.outcomes import Entry, Refusal, WaitEnd
from routing_manager.reports import Received
from standby.containment import Errors
from standby.ids import InvalidIdError, Uid, WrapperId, parse_uid
from standby.logs import EventLog, Level
from standby.messages import Presence, ReportOutcome, ReportReply, WrapperView
from standby.sampling import Sampler
from standby.timer import Timer

MOST_NOT_USED: Final = 10
"""Reports of each outcome that are logged in a minute."""
log = EventLog(__name__)
Outcome = Instance | Refusal


class RoutingService:
    """Owns the timer and the futures of those who wait; stop it."""

    def __init__(
        self, core: Core, control: ControlClient, metrics: Metrics, changed: Callable[[], None]
    ) -> None:
        """`changed` is called after every change that a reader of the state can see."""
        self.core = core
        self._control = control
        self._metrics = metrics
        self._changed = changed
        self._waiting: dict[Uid, asyncio.Future[Outcome]] = {}
        """One for each user in the core's waiting room."""
        self._unused: dict[WrapperId, int] = {}
        """How many entries of a wrapper's last report could not be used; wrappers without any are not here."""
        self._not_used = Sampler(MOST_NOT_USED)
        """Which reports that are not used are logged; two wrappers of one name send them without end."""
        self._stopping = False
        self.errors = Errors(log, self._count_error)
        self._timer = Timer(
            time.monotonic, core.next_deadline, self._tick, partial(self.errors.note, Entry.TIMER)
        )
        self._version = core.version
        core.tick(time.monotonic())
        self._settle()

    async def route(self, name: str, source: str | None) -> Instance:
        """The process to send this user's connection to; waits at most as long as the core lets it.

        `source` is the address of the client, if it is known.

        Raises:
            BadNameError: `name` is not a user id.
            RefusedError: there is no process for this user now.
        """
        started = time.perf_counter()
        try:
            outcome = await self._route(self._parse(name), sources.group(source))
        finally:
            self._metrics.route_seconds.observe(time.perf_counter() - started)
        if isinstance(outcome, Instance):
            return outcome
        raise refused(outcome, source)

    def report(self, wrapper_id: WrapperId, received: Received) -> ReportReply:
        """Take in what a wrapper says.

        Raises:
            BadReportError: and nothing of it is used.
        """
        self._note_unused(wrapper_id, received)
        report, unclear = received.report, received.unclear
        was_live = wrapper_id in self.core.directory.wrappers
        try:
            reply = self.core.report(wrapper_id, report, time.monotonic(), unclear)
        except BadReportError:
            self.core.tally.bad_reports += 1
            raise
        finally:
            self._settle()
        self._log_presence(wrapper_id, was_live=was_live)
        if reply.outcome is not ReportOutcome.ACCEPTED:
            # one that is asked for more is new here; one that is late may be two wrappers of one name
            level = Level.WARNING if reply.outcome is ReportOutcome.STALE else Level.INFO
            before = self._not_used.admit(reply.outcome, time.monotonic())
            if before is not None:
                log.at(
                    level,
                    "report_not_used",
                    wrapper_id=wrapper_id,
                    outcome=reply.outcome,
                    not_logged_before=before,
                )
        return reply

    def _note_unused(self, wrapper_id: WrapperId, received: Received) -> None:
        """Say so when it changes how many entries of a wrapper's reports cannot be used."""
        self.core.tally.disbelieved += received.unused
        before = self._unused.pop(wrapper_id, 0)
        if received.unused:
            self._unused[wrapper_id] = received.unused
        if received.unused not in {0, before}:
            log.error(
                "report_entries_not_used",
                wrapper_id=wrapper_id,
                entries=received.unused,
                why=received.why,
            )

    async def drain(self, wrapper_id: WrapperId) -> WrapperView:
        """Ask the wrapper to drain; its reports will show that it does.

        Raises:
            UnknownWrapperError: it does not report here.
            WrapperUnreachableError: it cannot be asked.
        """
        wrapper = self.core.directory.wrappers.get(wrapper_id)
        if wrapper is None:
            raise UnknownWrapperError("no wrapper of that name reports here")
        if wrapper.control_url is None:
            raise WrapperUnreachableError("this wrapper takes no orders; drain it where it runs")
        await self._control.drain(wrapper.control_url)
        log.info("drain_ordered", wrapper_id=wrapper_id)
        return views.wrapper(wrapper, time.monotonic())

    def _log_presence(self, wrapper_id: WrapperId, *, was_live: bool) -> None:
        wrapper = self.core.directory.known(wrapper_id)
        if wrapper is None or (wrapper.presence is Presence.LIVE) == was_live:
            return
        if was_live:
            log.info("wrapper_left", wrapper_id=wrapper_id, epoch=wrapper.epoch)
        else:
            log.info("wrapper_joined", wrapper_id=wrapper_id, epoch=wrapper.epoch)

    def stop(self) -> None:
        """Refuse everybody who waits, and whoever comes from now on."""
        self._stopping = True
        self.core.stop(time.monotonic())
        self._settle()
        self._timer.stop()

    def _parse(self, name: str) -> Uid:
        try:
            return parse_uid(name)
        except InvalidIdError as error:
            self.core.tally.refusals[Refusal.BAD_NAME] += 1
            raise BadNameError(str(error)) from error

    async def _route(self, uid: Uid, source: str | None) -> Outcome:
        if self._stopping:
            return Refusal.STOPPING
        now = time.monotonic()
        self.core.tick(now)
        self._settle()  # whoever's wait has just ended has their answer before somebody asks for them again
        outcome = self.core.route(uid, source, now)
        if outcome is not None:
            self._settle()
            return outcome
        future = self._waiting.get(uid)
        if future is None:
            future = self._waiting[uid] = asyncio.get_running_loop().create_future()
        self._settle()
        try:
            return await asyncio.shield(future)  # the core ends every wait by its deadline
        finally:
            if not future.done():
                self._left(uid)

    def _left(self, uid: Uid) -> None:
        """A waiting connection was closed by its client."""
        self.core.leave(uid, time.monotonic())
        self._settle()
        if uid not in self.core.assignments.room.users:
            self._waiting.pop(uid, None)

    def _settle(self) -> None:
        """Do what the core decided in the call before; called after each."""
        for action in self.core.take_actions():
            try:
                self._perform(action)
            except Exception as error:  # noqa: BLE001  # the others are for other users
                self.errors.note(Entry.ACTION, error)
        if self._version != self.core.version:
            self._version = self.core.version
            self._changed()
        self._timer.arm()

    def _perform(self, action: Action) -> None:
        match action:
            case Answer(uid, instance, waited):
                self._metrics.waited(WaitEnd.SERVED, waited)
                self._waiting.pop(uid).set_result(instance)
            case Refuse(uid, reason, waited):
                self._metrics.waited(WaitEnd.REFUSED, waited)
                self._waiting.pop(uid).set_result(reason)
            case StartServer():
                self._control.start_server(action, self._order_failed)
            case WrapperLost():
                log.error("wrapper_lost", **dataclasses.asdict(action))
            case Failed(kind, error):
                self.errors.note(kind, error)

    def _order_failed(self, ticket: str) -> None:
        self.core.order_failed(ticket, time.monotonic())
        self._settle()

    def _tick(self) -> None:
        self.core.tick(time.monotonic())
        self._settle()

    def _count_error(self, kind: str) -> None:
        self.core.tally.errors[Entry(kind)] += 1
