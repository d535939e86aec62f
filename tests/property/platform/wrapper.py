"""An App Wrapper: real pool, outboxes, epoch and volumes in a shell that mirrors supervisor, reporters and desk."""

import contextlib
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from msgspec.structs import replace

import smartgrid_server
from app_wrapper import actions, application
from app_wrapper.backoff import Backoff
from app_wrapper.epoch import EpochStore
from app_wrapper.errors import AtCapacityError, DrainingError, NotRunningError
from app_wrapper.events import Attested, Bound, EventReader, Proved
from app_wrapper.limits import Limits
from app_wrapper.outbox import Outbox, Snapshot
from app_wrapper.pool import Pool
from app_wrapper.process import Holding
from app_wrapper.views import report_of
from app_wrapper.volumes import ClaimedElsewhereError, Holder, StaleReleaseError, VolumeError
from app_wrapper.volumes.hostpath import HostPathVolumes
from standby import deadlines
from standby.ids import BootId, Generation, Uid, WrapperId
from standby.lines import Denied, Volume, format_answer
from standby.messages import Report, ReportOutcome, ReportReply
from standby.states import State
from tests.property.platform.agenda import Clock, Event, Part
from tests.property.platform.network import SOON, Kind
from tests.property.platform.server import LIMITS as SESSION
from tests.property.platform.server import Server
from tests.property.platform.truth import Proof

if TYPE_CHECKING:
    from tests.property.platform.world import World

CAPACITY: Final = 3
LIMITS: Final = Limits(
    capacity=CAPACITY,
    concurrent_starts=2,
    starts_per_second=50.0,
    start=deadlines.SERVER_START,
    stop=deadlines.SERVER_STOP,
    unclaimed=deadlines.UNCLAIMED_START,
    login=deadlines.BOUND_LOGIN,
    drain=deadlines.DRAIN,
    session=SESSION.most + deadlines.SESSION_OVERRUN,
    backoff=Backoff(deadlines.RESTART_FIRST, deadlines.RESTART_MOST),
    channel=True,
)
_READER: Final = EventReader(
    application.load(Path(smartgrid_server.__file__).with_name("app.toml")).events
)
_UNRESPONSIVE: Final = 2 * (deadlines.PROBE_INTERVAL + deadlines.PROBE_ANSWER)
_FIRST_PAUSE: Final = 0.01


class Wrapper(Part):
    """One life of one wrapper."""

    def __init__(self, world: "World", index: int, clock: Clock, size: int) -> None:
        super().__init__(clock)
        self.world, self.index = world, index
        self.wrapper_id = WrapperId(f"w{index}")
        self.servers: dict[BootId, Server] = {}
        self.store = EpochStore(world.directory / f"state-{index}")
        self.volumes = HostPathVolumes(world.volumes, end_orphan=world.end_orphan)
        self.pool = Pool(size, LIMITS, world.new_boot_id)
        self.reporters = [Reporter(self, number) for number in range(len(world.managers))]
        self.leaving = False
        self._nonces: dict[BootId, Uid | None] = {}
        """For whom each server has one; None: it is used up."""
        self._timer: Event | None = None
        self.volumes.recover(self.wrapper_id)
        self._do(self.pool.start(self.now))
        self._tell(None)

    def die(self) -> None:
        """At once; its servers lose their stdin, and the kernel ends them sooner or later."""
        if not self.alive:
            return
        self.alive = False
        self.volumes.close()
        self.store.close()
        for server in self.servers.values():
            server.stop(self.world.hanging_until - self.world.agenda.now)
            self._close_stdin(server)
            self.world.network.send(Kind.EXIT, partial(self.world.end, server))

    # Orders

    def order(self, ticket: str) -> bool:
        """False: refused, for certain."""
        try:
            self._do(self.pool.order(ticket, self.now))
        except (AtCapacityError, DrainingError, NotRunningError):
            return False
        return True

    def leave(self) -> None:
        """SIGTERM: drain, and end when no server is left or the time is up."""
        if self.leaving:
            return
        self.leaving = True
        self._do(self.pool.drain(self.now))
        self._tell(None)
        self.after(deadlines.WRAPPER_STOP, self.die)
        self._leave_when_empty()

    def _leave_when_empty(self) -> None:
        if self.pool.empty:
            for reporter in self.reporters:
                reporter.finish()
            self.after(deadlines.REPORT_TIMEOUT, self.die)
        else:
            self.after(0.2, self._leave_when_empty)

    # What happens to servers

    def heard(self, boot_id: BootId, line: str) -> None:
        said = _READER.read(line)
        assert said is not None
        self.take(lambda: self._do(self.pool.said(boot_id, said, self.now)))

    def bound(self, boot_id: BootId, uid: Uid, reply: Callable[[], None]) -> None:
        """`logins.bind`, over the server's channel."""

        def do() -> None:
            self._nonces.setdefault(boot_id, uid)
            self._do(self.pool.said(boot_id, Bound(uid), self.now))
            reply()

        self.take(do)

    def proved(self, boot_id: BootId, proof: Proof, reply: Callable[[bool], None]) -> None:
        """`logins.prove`: what is verified there, the model knows."""

        def do() -> None:
            holds = (self._nonces.get(boot_id), boot_id) == (proof.uid, proof.boot_id)
            if holds:
                self._nonces[boot_id] = None
                self._do(self.pool.said(boot_id, Proved(proof.uid), self.now))
            reply(holds)

        self.take(do)

    def exited(self, boot_id: BootId, how: str) -> None:
        def do() -> None:
            if self.servers.pop(boot_id, None) is not None:
                self._do(self.pool.exited(boot_id, how, self.now))
                self._tell(None)

        self.take(do)

    def watch(self, server: Server, seconds: float) -> None:
        """The server was stopped for so long; its probe notices."""
        if seconds > _UNRESPONSIVE:
            self.after(_UNRESPONSIVE, lambda: self._do(self.pool.silent(server.boot_id, self.now)))

    def snapshot(self) -> Snapshot:
        address = f"127.0.0.{self.index + 1}"
        processes = self.pool.roster.processes()
        return Snapshot(
            instances={each.boot_id: report_of(each, address, self.now) for each in processes},
            capacity=self.pool.limits.capacity,
            draining=self.pool.draining,
            degraded=self.pool.degraded(),
            control_url=f"https://w{self.index}",
        )

    # Doing

    def _do(self, todo: list[actions.Action]) -> None:
        for action in todo:
            self._do_one(action)
        if self._timer is not None:
            self._timer.cancel()
        when = self.pool.next_deadline()
        self._timer = None if when is None else self.at(when, self._tick)
        check(self)

    def _tick(self) -> None:
        self._do(self.pool.tick(self.now))

    def _tell_one(self, action: actions.Report | actions.Failed) -> None:
        match action:
            case actions.Report(process):
                self._tell(process.boot_id)
            case actions.Failed(_, error):
                raise error
            case _:
                assert_never(action)

    def _do_one(self, action: actions.Action) -> None:
        match action:
            case actions.Launch(slot, boot_id):
                server = self.world.launch(self, slot, boot_id)
                self.servers[boot_id] = server
                server.boot()
                self.after(SOON, lambda: self._launched(boot_id, server.port))
            case actions.Claim(boot_id, uid):
                _Claim(self, boot_id, uid, self._answered)
            case actions.Release(boot_id, uid, generation):
                self._release(boot_id, uid, generation)
            case actions.Answer(boot_id, answer):
                self._answer(boot_id, format_answer(answer))
            case actions.AskToStop(boot_id):
                if boot_id in self.servers:
                    self._close_stdin(self.servers[boot_id])
            case actions.Kill(boot_id):
                if boot_id in self.servers:
                    self.world.end(self.servers[boot_id])
            case _:
                self._tell_one(action)

    def _launched(self, boot_id: BootId, port: int) -> None:
        """It is attested as well."""
        self._do(self.pool.launched(boot_id, port, self.now))
        self._do(self.pool.said(boot_id, Attested("off", {}), self.now))

    def _answer(self, boot_id: BootId, line: str) -> None:
        server = self.servers.get(boot_id)
        if server is not None:
            to = server
            self.world.network.send(Kind.TOLD, lambda: to.take(lambda: to.told(line)))

    def _close_stdin(self, server: Server) -> None:
        self.world.network.send(Kind.STDIN, lambda: server.take(server.stdin_closed))

    def _answered(self, boot_id: BootId, answer: Volume | Denied) -> None:
        self._do(self.pool.answered(boot_id, answer, self.now))

    def _release(self, boot_id: BootId, uid: Uid, generation: Generation) -> None:
        """`Desk.release`: what takes too long is waited for no longer."""

        def release() -> None:
            with contextlib.suppress(VolumeError):
                self.volumes.release(uid, generation)
            self.after(SOON, done)

        def done() -> None:
            self._do(self.pool.released(boot_id, self.now))
            self._tell(None)

        self.world.network.send(Kind.VOLUME, lambda: self.take(release))
        self.after(deadlines.VOLUME_CLAIM, done)

    def _tell(self, boot_id: BootId | None) -> None:
        for reporter in self.reporters:
            reporter.changed(boot_id)


class _Claim:
    """`Desk.claim`: the provider works in a thread of its own, and its caller waits only so long."""

    def __init__(
        self,
        wrapper: Wrapper,
        boot_id: BootId,
        uid: Uid,
        answered: Callable[[BootId, Volume | Denied], None],
    ) -> None:
        self._wrapper, self._boot_id, self._uid, self._answered = wrapper, boot_id, uid, answered
        self._over = False
        self._pause = _FIRST_PAUSE
        self._patience = wrapper.now + deadlines.VOLUME_HANDOVER
        late = Denied("volume_unavailable", "did not come in time")
        wrapper.after(deadlines.VOLUME_CLAIM, lambda: self._end(late))
        self._ask()

    def _ask(self) -> None:
        send = self._wrapper.world.network.send
        send(Kind.VOLUME, lambda: self._wrapper.take(self._claim))

    def _claim(self) -> None:
        wrapper = self._wrapper
        if self._over:
            return
        server = wrapper.servers.get(self._boot_id)
        holder = Holder(
            wrapper_id=wrapper.wrapper_id,
            epoch=wrapper.store.epoch,
            boot_id=self._boot_id,
            pid=server.pid if server else None,
            start_time=1 if server else None,
        )
        try:
            volume = wrapper.volumes.claim(self._uid, holder)
        except ClaimedElsewhereError as error:
            if wrapper.now + self._pause <= self._patience:
                wrapper.after(self._pause, self._ask)
                self._pause *= 2
            else:
                self._say(Denied(error.code, str(error)))
        except VolumeError as error:
            self._say(Denied(error.code, str(error)))
        else:
            wrapper.world.truth.claimed(self._uid, self._boot_id, volume.generation)
            self._say(volume)

    def _say(self, answer: Volume | Denied) -> None:
        send = self._wrapper.world.network.send
        send(Kind.VOLUME, lambda: self._wrapper.take(lambda: self._end(answer)))

    def _end(self, answer: Volume | Denied) -> None:
        if not self._over:
            self._over = True
            self._answered(self._boot_id, answer)
        elif isinstance(answer, Volume):
            self._wrapper.volumes.release(self._uid, answer.generation)


class Reporter:
    """`reporter.Reporter`: one report at a time, each waited for a limited time."""

    def __init__(self, wrapper: Wrapper, number: int) -> None:
        self._wrapper, self._number = wrapper, number
        self._outbox = Outbox(wrapper.store.epoch)
        self._under_way: int | None = None
        self._sent = count()
        self._failures = 0
        self._due: Event | None = None

    def changed(self, boot_id: BootId | None) -> None:
        self._outbox.changed(boot_id)
        if self._under_way is None and self._failures < 2:
            self._send()

    def finish(self) -> None:
        self._outbox.heartbeat()
        if self._under_way is None:
            self._send()

    def _heartbeat(self) -> None:
        self._outbox.heartbeat()
        self._send()

    def _send(self) -> None:
        if self._due is not None:
            self._due.cancel()
        report = self._outbox.next(self._wrapper.snapshot())
        # partial reports are made from a set; in one order a run can be repeated
        report = replace(report, instances=sorted(report.instances, key=lambda each: each.slot))
        self._under_way = attempt = next(self._sent)
        world, wrapper = self._wrapper.world, self._wrapper
        world.network.send(Kind.REPORT, lambda: self._arrive(attempt, report))
        wrapper.after(deadlines.REPORT_TIMEOUT, lambda: self._lost(attempt))

    def _arrive(self, attempt: int, report: Report) -> None:
        world, wrapper = self._wrapper.world, self._wrapper

        def reply(said: ReportReply) -> None:
            world.network.send(
                Kind.REPLY, lambda: wrapper.take(lambda: self._answered(attempt, said))
            )

        if not world.deliver_report(self._number, wrapper.wrapper_id, report, reply):
            wrapper.take(lambda: self._lost(attempt))

    def _answered(self, attempt: int, reply: ReportReply) -> None:
        if self._under_way != attempt:
            return
        accepted = reply.outcome is ReportOutcome.ACCEPTED
        self._failures = 0 if accepted else self._failures + 1
        above = self._outbox.needs_epoch_above(reply)
        if above is not None:
            self._outbox.begin(self._wrapper.store.raise_above(above))
        self._next()

    def _lost(self, attempt: int) -> None:
        if self._under_way == attempt:
            self._failures += 1
            self._outbox.lost()
            self._next()

    def _next(self) -> None:
        self._under_way = None
        if self._outbox.pending and self._failures < 2:
            self._send()
        else:
            self._due = self._wrapper.after(deadlines.HEARTBEAT, self._heartbeat)


def check(wrapper: Wrapper) -> None:
    """What must be true of a pool at any moment."""
    for process in wrapper.pool.roster.processes():
        if process.state in {State.STARTING, State.READY}:
            held = process.uid, process.volume, process.holding
            assert held == (None, None, Holding.NOTHING), "a READY process holds a user"


def holds(wrapper: Wrapper, uid: Uid) -> bool:
    """Whether the user's volume is, or may be, claimed by this life of the wrapper."""
    infos = {each.uid: each for each in wrapper.volumes.list()}
    holder = infos[uid].holder
    return holder is not None and holder.wrapper_id == wrapper.wrapper_id


def release_again(wrapper: Wrapper, uid: Uid, generation: Generation) -> None:
    """A release of a claim that is over, by whoever made it: refused, and nothing changes."""
    before = wrapper.volumes.list()
    try:
        wrapper.volumes.release(uid, generation)
    except StaleReleaseError:
        assert wrapper.volumes.list() == before
    else:
        raise AssertionError("a late release was carried out")


def claim_held(wrapper: Wrapper, uid: Uid) -> None:
    """A claim of what a living process holds: denied, and nothing changes."""
    before = wrapper.volumes.list()
    asking = Holder(
        wrapper_id=wrapper.wrapper_id, epoch=wrapper.store.epoch, boot_id=BootId("f" * 16)
    )
    try:
        wrapper.volumes.claim(uid, asking)
    except ClaimedElsewhereError:
        assert wrapper.volumes.list() == before
    else:
        raise AssertionError("two claims of one volume")
