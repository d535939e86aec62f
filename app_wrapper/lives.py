"""How a server process moves through its life: what each event does to it, and when its patience ends. Pure.

The pool decides which processes there are; this is what happens to one of them. Changes are collected in `actions`.

A process fails when it ends before it was of use: not started in time, crashed, or broke the line protocol without
having had a user. Its slot then waits longer each time, so that what cannot start does not start for ever; when starts
fail in all slots, `pacing` slows the whole wrapper down.
"""

from dataclasses import replace
from typing import Final, assert_never

from app_wrapper import rules
from app_wrapper.actions import Action, Answer, AskToStop, Change, Claim, Kill, Launch, Report
from app_wrapper.agenda import Agenda
from app_wrapper.events import (
    Attested,
    Bound,
    DataClosed,
    DataOpened,
    Login,
    Logout,
    Nonsense,
    NotAttested,
    NotProved,
    Proved,
    Said,
    SaidOverChannel,
    Waiting,
)
from app_wrapper.limits import Limits
from app_wrapper.pacing import Pacing
from app_wrapper.process import Data, Dedicated, Ending, Holding, Ordered, Process, Seat
from app_wrapper.rules import RuleBrokenError
from standby.ids import BootId, Uid
from standby.lines import Denied, Volume
from standby.states import Event, IllegalTransitionError, State, StopReason, after

NOT_ATTESTED: Final = "not attested: "
"""What a reason begins with that a server was refused for."""
_LONGEST_REASON: Final = 200


class Lives:
    """The processes that are not over, their deadlines, and what is to be done about them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pacing = Pacing(limits.starts_per_second, limits.backoff)
        self.starting: set[BootId] = set()
        self.deadlines: Agenda[BootId] = Agenda()
        self.actions: list[Action] = []
        self.order_failure = ""
        """Why the last ordered start failed; empty once another one succeeded."""

    def begin(self, seat: Seat, boot_id: BootId, now: float) -> Process:
        """Launch a fresh process for the slot."""
        self.pacing.started(now)
        self.starting.add(boot_id)
        self.deadlines.set(boot_id, now + self.limits.start)
        self.actions.append(Launch(seat.slot, boot_id, seat.purpose))
        return Process(
            slot=seat.slot,
            boot_id=boot_id,
            purpose=seat.purpose,
            launched_at=now,
            since=now,
            follows=seat.freed_at,
        )

    def hear(self, seat: Seat, process: Process, said: Said, now: float) -> None:
        """Take what the process said; one that breaks the rules is killed."""
        try:
            self._take(seat, process, said, now)
        except (RuleBrokenError, IllegalTransitionError) as error:
            why = f"broke the line protocol: {error}"
            self._fail(seat, process, why, now)
            reason = error.reason if isinstance(error, RuleBrokenError) else StopReason.KILLED
            self.kill(seat, reason, why, now)

    def answer(self, seat: Seat, process: Process, answer: Volume | Denied, now: float) -> None:
        """Take the provider's answer, and pass it on to a server that still waits for it."""
        if isinstance(answer, Volume):
            self.change(seat, process.with_answer(answer), Change.VOLUME)
        else:
            seat.process = process.with_answer(answer)
        if process.state is State.ACTIVE:
            self.actions.append(Answer(process.boot_id, answer))
            if isinstance(answer, Denied):  # it has nothing to serve, so it must end soon
                self.deadlines.set(process.boot_id, now + self.limits.stop)
            elif self._must_open(process):
                self.deadlines.set(process.boot_id, now + (self.limits.open or 0.0))

    def gone(
        self, seat: Seat, process: Process, how: str, now: float, *, lasting: bool = False
    ) -> None:
        """The process has exited; `lasting`: the next one in its place would, too."""
        if process.state is not State.STOPPED:
            self._fail(seat, process, how, now, lasting=lasting)
            process = self._stopped(seat, process, StopReason.CRASHED, how, now)
        self.deadlines.cancel(process.boot_id)
        seat.process = process.gone()

    def hang(self, seat: Seat, process: Process, now: float) -> None:
        """The process does not answer any more: it cannot be asked to stop either."""
        why = "does not answer"
        self._fail(seat, process, why, now)
        self.kill(seat, StopReason.UNRESPONSIVE, why, now)

    def overfull(self, seat: Seat, process: Process, what: str, now: float) -> None:
        """The process has put more on the disk than it may; if it was only asked to stop it could go on meanwhile."""
        self._fail(seat, process, what, now)
        self.kill(seat, StopReason.USAGE_LIMIT, what, now)

    def overdue(self, seat: Seat, process: Process, now: float) -> None:
        """The process's deadline has passed."""
        match process.state:
            case State.STARTING:
                why = f"not ready within {self.limits.start:g} s"
                self._fail(seat, process, why, now)
                self.kill(seat, StopReason.START_TIMEOUT, why, now)
            case State.READY:
                reason = StopReason.IDLE if process.bound is None else StopReason.NO_LOGIN
                self._ask_to_stop(seat, process, reason, now)
            case State.ACTIVE:
                self._ask_to_stop(seat, process, self._why_overdue(process), now)
            case State.STOPPED:
                why = f"still there {self.limits.stop:g} s after it was to stop"
                seat.process = replace(process, ending=Ending.KILLED)
                self.actions.append(Kill(process.boot_id, why))
            case State.RESERVED:  # the Routing Manager's own knowledge, never the wrapper's
                raise IllegalTransitionError(process.state, Event.GONE)

    def end(self, seat: Seat, reason: StopReason, now: float) -> None:
        """End the seat's process, if it has one; one that has not spoken yet is not asked."""
        process = seat.process
        if process is None or process.state is State.STOPPED:
            return
        if process.state is State.STARTING:
            self.kill(seat, reason, "not wanted any more", now)
        else:
            self._ask_to_stop(seat, process, reason, now)

    def kill(self, seat: Seat, reason: StopReason, why: str, now: float) -> None:
        if seat.process is None:
            return
        stopped = self._stopped(seat, seat.process, reason, why, now)
        seat.process = replace(stopped, ending=Ending.KILLED)
        self.actions.append(Kill(stopped.boot_id))

    def change(
        self, seat: Seat, process: Process, change: Change = Change.STATE, why: str = ""
    ) -> None:
        """The process is now like this, which others are to be told."""
        before = seat.process.state if seat.process else process.state
        seat.process = process
        self.actions.append(Report(process, before, change, why))

    def _take(self, seat: Seat, process: Process, said: Said, now: float) -> None:
        match said:
            case Waiting():
                self._ready(seat, process, now)
            case Login(uid):
                self._login(seat, process, uid, now)
            case Logout(reason):
                after(process.state, Event.LOGOUT)
                self._fail(seat, process, f"said LOGOUT {reason}", now)
                self._ask_to_stop(seat, process, reason, now)
            case Nonsense(text):
                raise RuleBrokenError(text)
            case _:
                self._take_from_channel(seat, process, said, now)

    def _take_from_channel(
        self, seat: Seat, process: Process, said: SaidOverChannel, now: float
    ) -> None:
        match said:
            case Attested(by, hardening):
                attested = replace(process, attestation=by, hardening=hardening)
                self.change(seat, attested, Change.ATTESTED)
            case NotAttested(_, why, lasting):
                self._not_attested(seat, process, why, now, lasting=lasting)
            case Bound(uid):
                self._bound(seat, process, uid, now)
            case Proved(uid):
                seat.process = rules.proved(process, uid)
            case NotProved():  # which may be the user's fault
                pass
            case DataOpened():
                seat.process = replace(process, data=Data.OPEN)
                self._limit_session(process)
            case DataClosed():
                seat.process = replace(process, data=Data.CLOSED)
            case _:
                assert_never(said)

    def _not_attested(
        self, seat: Seat, process: Process, why: str, now: float, *, lasting: bool
    ) -> None:
        """It never serves anybody. One that was admitted before could not renew its proof.

        Then it goes on to the end of its session, or tries again until its certificate ends if the cause may pass.
        """
        admitted = process.attestation is not None
        if process.state is State.ACTIVE or (admitted and not lasting):
            return
        why = f"{NOT_ATTESTED}{why}"
        self._fail(seat, process, why, now, lasting=lasting and not admitted)
        self.kill(seat, StopReason.UNATTESTED, why, now)

    def _bound(self, seat: Seat, process: Process, uid: Uid, now: float) -> None:
        """It waits for LOGIN of this user alone from now on, so it does not wait long."""
        seat.process = fresh = rules.bound(process, uid)
        if fresh is not process and process.state is State.READY:  # one that starts has a deadline
            self.deadlines.set(process.boot_id, now + self.limits.login)

    def _ready(self, seat: Seat, process: Process, now: float) -> None:
        state = after(process.state, Event.WAITING_LOGIN)
        rules.check_waiting(process, channel=self.limits.channel)
        self._up(seat, replace(process, state=state, since=now, up_at=now))
        if isinstance(process.purpose, Ordered):
            self.order_failure = ""
            self.deadlines.set(process.boot_id, now + self.limits.unclaimed)
        if process.bound is not None:  # the user was faster than the line
            self.deadlines.set(process.boot_id, now + self.limits.login)

    def _login(self, seat: Seat, process: Process, uid: Uid, now: float) -> None:
        if process.uid is not None:
            rules.check_login_again(process, uid)
            if process.volume is not None:
                self.actions.append(Answer(process.boot_id, process.volume))
            return
        rules.check_login(process, uid, channel=self.limits.channel)
        if not isinstance(process.purpose, Dedicated):
            seat.failures, seat.lasting = 0, False
        up_at = now if process.up_at is None else process.up_at
        state = after(process.state, Event.LOGIN)
        taken = replace(process, state=state, since=now, up_at=up_at, uid=uid)
        self._up(seat, replace(taken, holding=Holding.CLAIMING))
        self._limit_session(taken)
        self.actions.append(Claim(process.boot_id, uid))

    def _limit_session(self, process: Process) -> None:
        """It is ACTIVE for so long and no longer, whatever its server says.

        A user's own server serves nobody else and has no other end than the wrapper's.
        """
        if process.state is State.ACTIVE and not isinstance(process.purpose, Dedicated):
            self.deadlines.set(process.boot_id, process.since + self.limits.session)

    def _must_open(self, process: Process) -> bool:
        """A user's own server opens the data when the user comes."""
        own = isinstance(process.purpose, Dedicated)
        return self.limits.open is not None and not own and process.data is Data.UNTOUCHED

    def _why_overdue(self, process: Process) -> StopReason:
        """Of an ACTIVE process."""
        if process.holding is Holding.NOTHING:
            return StopReason.REFUSED
        return StopReason.NOT_OPENED if self._must_open(process) else StopReason.SESSION_LIMIT

    def _up(self, seat: Seat, process: Process) -> None:
        self.pacing.came_up()
        self.starting.discard(process.boot_id)
        self.deadlines.cancel(process.boot_id)
        self.change(seat, process)

    def _ask_to_stop(self, seat: Seat, process: Process, reason: StopReason, now: float) -> None:
        stopped = self._stopped(seat, process, reason, "", now)
        seat.process = replace(stopped, ending=Ending.ASKED)
        self.deadlines.set(process.boot_id, now + self.limits.stop)
        self.actions.append(AskToStop(process.boot_id))

    def _stopped(
        self, seat: Seat, process: Process, reason: StopReason, why: str, now: float
    ) -> Process:
        self.starting.discard(process.boot_id)
        self.deadlines.cancel(process.boot_id)
        seat.freed_at = now if process.state is State.ACTIVE else None
        stopped = replace(process, state=State.STOPPED, since=now, reason=reason)
        self.change(seat, stopped, why=why)
        return stopped

    def _fail(
        self, seat: Seat, process: Process, why: str, now: float, *, lasting: bool = False
    ) -> None:
        """Count this end as a failed start if no user had come to the process, or it was to run for ever."""
        user = process.uid or process.bound
        if user is not None and not isinstance(process.purpose, Dedicated):
            return
        lasted = process.up_at is not None and now - process.up_at >= self.limits.backoff.most
        seat.failures = 1 if lasted else seat.failures + 1
        seat.failure, seat.lasting = why[:_LONGEST_REASON], lasting
        if not isinstance(process.purpose, Dedicated):
            self.pacing.failed(seat.failure, now, lasting=lasting)
        if isinstance(process.purpose, Ordered):
            self.order_failure = f"an ordered server did not start: {seat.failure}"
