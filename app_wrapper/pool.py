"""The pool: every decision about server processes. Pure: no clock, no I/O, no await.

Events go in with the time at which they were seen, actions come out. An event that names a process which is gone, or
repeats what is known, changes nothing; so late and doubled messages are harmless.

Invariants: a process is given to one user at most, the first it names; a volume is claimed at most once for a process
and given back only after the process is gone; a slot gets a fresh process only when nothing of the last one is left;
there are never more processes than the capacity.

Sizing is level-triggered: after each event as many standby slots exist as are wanted. When there are too many, those
without a user end first; ACTIVE ones are left alone, and their slots vanish when their sessions end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import Final

from app_wrapper import rules
from app_wrapper.actions import Action, Change, Failed, Release
from app_wrapper.errors import AtCapacityError, DrainingError, NotRunningError
from app_wrapper.events import Said
from app_wrapper.limits import Limits
from app_wrapper.lives import Lives
from app_wrapper.process import Dedicated, Ending, Holding, Ordered, Process, Seat, Standby
from app_wrapper.roster import Roster
from app_wrapper.tickets import Tickets
from standby.ids import BootId, Slot, Uid
from standby.lines import Denied, Volume
from standby.states import State, StopReason

_RECENT_TICKETS: Final = 4096
_UNUSED: Final = (State.STARTING, State.READY)
"""States without a user, in the order in which a pool that is made smaller gives them up."""


class Phase(StrEnum):
    IDLE = "idle"
    """Not started, or stopped: no process is wanted."""
    RUNNING = "running"
    DRAINING = "draining"
    """Leaving, for good."""


class Pool:
    """The pool's whole state. Every public method that takes `now` returns what is to be done, in order."""

    def __init__(self, size: int, limits: Limits, new_boot_id: Callable[[], BootId]) -> None:
        self.size = size
        """Standby servers wanted while running."""
        self.phase = Phase.IDLE
        self.limits = limits
        self._new_boot_id = new_boot_id
        self.roster = Roster(limits.capacity)
        """For reading only."""
        self._lives = Lives(limits)
        self._sessions_end: float | None = None
        self._paced_until: float | None = None
        """When a slot whose turn has come may start its server."""
        self._tickets = Tickets(_RECENT_TICKETS)

    # What others may see

    @property
    def draining(self) -> bool:
        return self.phase is Phase.DRAINING

    @property
    def empty(self) -> bool:
        """No process is left, and nothing is claimed."""
        return not self.roster.busy

    def process(self, boot_id: BootId) -> Process | None:
        """A process that is not over."""
        seat = self.roster.seat_of(boot_id)
        return seat.process if seat else None

    def slot_of_order(self, ticket: str) -> Slot | None:
        return self._tickets.slot(ticket)

    def degraded(self) -> str | None:
        """Why servers are missing that should run, in words; None when all start."""
        trouble = self._lives.pacing.trouble()
        return trouble or self.roster.degraded() or self._lives.order_failure or None

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None: not until something else happens."""
        times = (
            self._lives.deadlines.next(),
            self.roster.next_pause(),
            self._sessions_end,
            self._paced_until,
        )
        return min((time for time in times if time is not None), default=None)

    # Orders from outside

    def start(self, now: float) -> list[Action]:
        """Fill the pool; nothing more happens if it runs already.

        Raises:
            DrainingError: the wrapper is leaving.
        """
        self._refuse_when_draining()
        if self.phase is Phase.IDLE:
            self.phase = Phase.RUNNING
            for seat in self.roster:
                if seat.vacant:
                    self.roster.queue(seat)
        return self._settle(now)

    def stop(self, now: float) -> list[Action]:
        """End every server now, sessions too (as LOGOUT does); `start` begins anew."""
        if self.phase is Phase.RUNNING:
            self.phase = Phase.IDLE
        self._end_all((*_UNUSED, State.ACTIVE), now)
        return self._settle(now)

    def drain(self, now: float) -> list[Action]:
        """Take no new users; let sessions go on up to the limit, then end them.

        A dedicated server does not tell whether its user is there and never ends by itself, so it ends at once.
        """
        if self.phase is not Phase.DRAINING:
            self.phase = Phase.DRAINING
            self._sessions_end = now + self.limits.drain
            self._end_all(_UNUSED, now)
            for seat in self.roster:
                if isinstance(seat.purpose, Dedicated):
                    self._lives.end(seat, StopReason.DRAINED, now)
        return self._settle(now)

    def abandon(self, boot_id: BootId, now: float) -> list[Action]:
        """End a session of a draining wrapper whose user has gone."""
        seat, process = self._find(boot_id)
        if self.draining and seat and process and process.state is State.ACTIVE:
            self._lives.end(seat, StopReason.DRAINED, now)
        return self._settle(now)

    def resize(self, size: int, now: float) -> list[Action]:
        """Want that many standby servers from now on.

        Raises:
            AtCapacityError: more than this wrapper may run.
            DrainingError: the wrapper is leaving.
        """
        self._refuse_when_draining()
        if size > self.limits.capacity:
            raise AtCapacityError(f"this wrapper runs {self.limits.capacity} servers at most")
        self.size = size
        return self._settle(now)

    def order(self, ticket: str, now: float) -> list[Action]:
        """Start one server for the ticket, unless that was done before.

        Raises:
            AtCapacityError: every slot is taken.
            DrainingError, NotRunningError: nothing is started now.
        """
        if self._tickets.slot(ticket) is None:
            self._refuse_unless_running()
            self._tickets.add(ticket, self.roster.add(Ordered(ticket)).slot)
        return self._settle(now)

    def dedicate(self, uid: Uid, now: float) -> list[Action]:
        """Run a server of the user's own from now on.

        Raises:
            AtCapacityError: every slot is taken.
            DrainingError, NotRunningError: nothing is started now.
        """
        self._refuse_unless_running()
        if self.roster.dedicated(uid) is None:
            self.roster.add(Dedicated(uid))
        return self._settle(now)

    # What happens to processes

    def launched(self, boot_id: BootId, port: int, now: float) -> list[Action]:
        """The process exists; its server is, or will be, listening on `port`."""
        seat, process = self._find(boot_id)
        if seat and process and process.port is None:
            self._lives.change(seat, replace(process, port=port), Change.LAUNCHED)
        return self._settle(now)

    def said(self, boot_id: BootId, said: Said, now: float) -> list[Action]:
        """The process printed an event; what a STOPPED one says no longer counts."""
        seat, process = self._find(boot_id)
        if seat and process and process.state is not State.STOPPED:
            self._lives.hear(seat, process, said, now)
        return self._settle(now)

    def silent(self, boot_id: BootId, now: float) -> list[Action]:
        """The process does not answer any more; one that is to stop has its own deadline for that."""
        seat, process = self._find(boot_id)
        if seat and process and process.up:
            self._lives.hang(seat, process, now)
        return self._settle(now)

    def overfull(self, boot_id: BootId, what: str, now: float) -> list[Action]:
        """The process has put more into its directories than it may; `what`, in words."""
        seat, process = self._find(boot_id)
        if seat and process and process.up:
            with self._costing(seat, process):
                self._lives.overfull(seat, process, what, now)
        return self._settle(now)

    def answered(self, boot_id: BootId, answer: Volume | Denied, now: float) -> list[Action]:
        """The provider answered the claim made for this process."""
        seat, process = self._find(boot_id)
        if seat and process and process.holding is Holding.CLAIMING:
            with self._costing(seat, process.with_answer(answer)):
                self._lives.answer(seat, process, answer, now)
            self._finish(seat, now)
        return self._settle(now)

    def released(self, boot_id: BootId, now: float) -> list[Action]:
        """The volume was given back, or the provider failed at that and said so in the log."""
        seat, process = self._find(boot_id)
        if seat and process and process.holding is Holding.RELEASING:
            seat.process = replace(process, holding=Holding.NOTHING)
            self._finish(seat, now)
        return self._settle(now)

    def exited(
        self, boot_id: BootId, how: str, now: float, *, lasting: bool = False
    ) -> list[Action]:
        """The process is gone, or could not be launched; `how`, in words; `lasting`: so would the next one be."""
        seat, process = self._find(boot_id)
        if seat and process and process.ending is not Ending.GONE:
            with self._costing(seat, process.gone()):
                self._lives.gone(seat, process, how, now, lasting=lasting)
            self._lives.starting.discard(boot_id)
            self._finish(seat, now)
        return self._settle(now)

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        for boot_id in self._lives.deadlines.take_due(now):
            seat, process = self._find(boot_id)
            if seat and process:
                with self._costing(seat, process):
                    self._lives.overdue(seat, process, now)
        self.roster.end_pauses(now)
        if self._sessions_end is not None and self._sessions_end <= now:
            self._sessions_end = None
            self._end_all((State.ACTIVE,), now)
        return self._settle(now)

    # How a slot becomes free, and is filled again

    def _finish(self, seat: Seat, now: float) -> None:
        """Once the process is gone: give its volume back; once it holds nothing: free the slot."""
        process = seat.process
        if process is None or process.ending is not Ending.GONE:
            return
        if process.holding is Holding.HELD and process.uid and process.generation:
            seat.process = replace(process, holding=Holding.RELEASING)
            closed = rules.closed(process, tells=self.limits.open is not None)
            release = Release(process.boot_id, process.uid, process.generation, closed)
            self._lives.actions.append(release)
        elif process.holding is Holding.NOTHING:
            self.roster.left(process)
            self._free(seat, now)

    def _free(self, seat: Seat, now: float) -> None:
        if isinstance(seat.purpose, Ordered):
            self.roster.remove(seat)
        elif self.phase is Phase.RUNNING and seat.failures:
            backoff = self.limits.backoff
            pause = backoff.most if seat.lasting else backoff.delay(seat.failures)
            self.roster.pause(seat, now + pause)
        elif self.phase is Phase.RUNNING:
            self.roster.queue(seat)

    @contextmanager
    def _costing(self, seat: Seat, remains: Process) -> Iterator[None]:
        """An error of ours costs this process and no other; `remains` is what the pool then knows of it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # as it says
            seat.process = remains
            self._lives.actions.append(Failed(remains.boot_id, error))

    def _settle(self, now: float) -> list[Action]:
        """Make the slots what they should be, and hand out what is to be done, whatever comes of the first."""
        self._paced_until = None
        try:
            self._fit(now)
            if self.phase is Phase.RUNNING:
                self._start_servers(now)
        except Exception as error:  # noqa: BLE001  # else no process would get its answer, or be ended
            self._lives.actions.append(Failed(None, error))
        actions, self._lives.actions = self._lives.actions, []
        return actions

    def _start_servers(self, now: float) -> None:
        starting, pacing = len(self._lives.starting), self._lives.pacing
        room = min(
            self.limits.concurrent_starts - starting, self.limits.capacity - self.roster.busy
        )
        paced = min(room, pacing.room(starting, now))
        for seat in self.roster.take_turns(paced):
            self.roster.seated(seat, self._lives.begin(seat, self._new_boot_id(), now))
        if paced < room and self.roster.queued:
            self._paced_until = pacing.opens(len(self._lives.starting), now)

    def _fit(self, now: float) -> None:
        wanted = self.size if self.phase is Phase.RUNNING else 0
        seats = self.roster.standby()
        for _ in range(min(wanted - len(seats), self.limits.capacity - len(self.roster))):
            self.roster.add(Standby())
        excess = len(seats) - wanted
        for seat in [seat for seat in seats if seat.vacant][: max(0, excess)]:
            self.roster.remove(seat)
            excess -= 1
        leaving = sum(_state(seat) is State.STOPPED and not seat.vacant for seat in seats)
        unused = sorted(
            (seat for seat in seats if _state(seat) in _UNUSED), key=_least_useful_first
        )
        for seat in unused[: max(0, excess - leaving)]:
            self._lives.end(seat, StopReason.RESIZED, now)

    def _end_all(self, states: tuple[State, ...], now: float) -> None:
        for seat in self.roster:
            if seat.process and seat.process.state in states:
                self._lives.end(seat, StopReason.DRAINED, now)
            elif seat.process is None and isinstance(seat.purpose, Ordered):
                self.roster.remove(seat)  # its turn had not come, and will not

    def _find(self, boot_id: BootId) -> tuple[Seat, Process] | tuple[None, None]:
        seat = self.roster.seat_of(boot_id)
        return (seat, seat.process) if seat and seat.process else (None, None)

    def _refuse_when_draining(self) -> None:
        if self.phase is Phase.DRAINING:
            raise DrainingError("this wrapper is leaving and starts nothing; ask another one")

    def _refuse_unless_running(self) -> None:
        self._refuse_when_draining()
        if self.phase is not Phase.RUNNING:
            raise NotRunningError("the pool is not running; POST /v1/start first")


def _state(seat: Seat) -> State | None:
    return seat.process.state if seat.process else None


def _least_useful_first(seat: Seat) -> tuple[int, int]:
    state = _state(seat)
    return (_UNUSED.index(state) if state in _UNUSED else len(_UNUSED), -seat.slot)
