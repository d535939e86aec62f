"""A Routing Manager: the real core in a shell that mirrors `routing_manager.service`, and a load balancer before it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

from routing_manager import views
from routing_manager.actions import Answer, Failed, Refuse, StartServer, WrapperLost
from routing_manager.core import Core
from routing_manager.directory import Instance
from routing_manager.outcomes import Refusal
from routing_manager.settings import Settings
from standby import deadlines
from standby.ids import Uid, WrapperId
from standby.messages import InstanceReport, Report, ReportOutcome, ReportReply, Route
from standby.states import State
from tests.property.platform.agenda import Clock, Event, Part
from tests.property.platform.network import Kind
from tests.property.platform.server import Server

if TYPE_CHECKING:
    from tests.property.platform.world import World

_UNDERSTOOD: Final = frozenset({State.ACTIVE, State.RESERVED, State.READY})
"""See `lb_lua/protocol.lua`; any other answer counts as none."""
_SLACK: Final = 1e-3
"""Seconds a timer may be late."""


class Question:
    """One connection's question; it is answered once, or nobody listens any more."""

    def __init__(
        self, uid: Uid, source: str, answered: Callable[[Route | Refusal | None], None]
    ) -> None:
        """None: there was no answer."""
        self.uid, self.source = uid, source
        self.over = False
        self._answered = answered

    def answer(self, outcome: Route | Refusal | None) -> None:
        if not self.over:
            self.over = True
            self._answered(outcome)


class Manager(Part):
    """One life of one Routing Manager."""

    def __init__(
        self, world: "World", number: int, life: int, clock: Clock, limits: Settings
    ) -> None:
        super().__init__(clock)
        self.world, self._limits = world, limits
        self.core = Core(limits, self.now, f"rm{number}-{life}")
        self._waiting: dict[Uid, list[Question]] = {}
        self._since: dict[Uid, float] = {}
        """When each waiting user came, by this shell's own books."""
        self._heard: dict[WrapperId, tuple[int, int, float]] = {}
        """The last accepted report of each wrapper: epoch, sequence, when."""
        self._timer: Event | None = None
        self._settle()

    def die(self) -> None:
        self.alive = False
        for questions in self._waiting.values():
            for question in questions:
                self.world.agenda.after(0.001, partial(question.answer, None))

    def ask(self, question: Question) -> None:
        self.take(partial(self.route, question))

    def route(self, question: Question) -> None:
        if question.over:
            return
        self._tick()  # an earlier wait of this user that ends now is not this connection's
        outcome = self.core.route(question.uid, question.source, self.now)
        if outcome is None:
            self._since.setdefault(question.uid, self.now)
            self._waiting.setdefault(question.uid, []).append(question)
        else:
            self._answer(question, outcome)
        self._settle()

    def left(self, question: Question) -> None:
        """The connection of the question was closed."""
        uid = question.uid
        if question not in self._waiting.get(uid, []):
            return
        self._waiting[uid].remove(question)
        self.core.leave(uid, self.now)
        self._settle()
        if uid not in self.core.assignments.room.users:
            self._waiting.pop(uid, None)
            self._since.pop(uid, None)

    def report(self, wrapper_id: WrapperId, report: Report) -> ReportReply:
        before = self._known() if self._is_stale(wrapper_id, report) else None
        reply = self.core.report(wrapper_id, report, self.now)
        if reply.outcome is ReportOutcome.ACCEPTED:
            assert before is None, "a stale report was accepted"
            self._heard[wrapper_id] = (report.epoch, report.sequence, self.now)
        if before is not None:
            assert self._known().items() <= before.items(), "a stale report changed something"
        self._settle()
        self.check()
        return reply

    def check(self) -> None:
        """Every waiting user ends within the deadline, by this clock."""
        assert self._waiting.keys() == self.core.assignments.room.users
        for uid, since in self._since.items():
            waited = self.now - since
            assert self.stopped or waited <= self._limits.waiting_room + _SLACK, f"{uid} is stuck"

    def _is_stale(self, wrapper_id: WrapperId, report: Report) -> bool:
        epoch, sequence, when = self._heard.get(wrapper_id, (-1, -1, self.now))
        remembered = self.now < when + self._limits.wrapper_forgotten
        return remembered and (report.epoch, report.sequence) <= (epoch, sequence)

    def _known(self) -> dict[tuple[WrapperId, int], InstanceReport]:
        """Time passes with each report, so what has had its time may be gone; nothing may be new."""
        return {
            (wrapper.wrapper_id, slot): instance.told
            for wrapper in self.core.directory.wrappers.values()
            for slot, instance in wrapper.instances.items()
        }

    def _answer(self, question: Question, outcome: Instance | Refusal) -> None:
        said = views.route(outcome) if isinstance(outcome, Instance) else outcome
        if isinstance(said, Route):
            assert said.state in _UNDERSTOOD, (
                f"the load balancer refuses a route that is {said.state}"
            )
        self.world.network.send(Kind.ROUTE, lambda: question.answer(said))

    def _settle(self) -> None:
        for action in self.core.take_actions():
            match action:
                case Answer(uid, outcome) | Refuse(uid, outcome):
                    del self._since[uid]
                    for question in self._waiting.pop(uid):
                        self._answer(question, outcome)
                case StartServer():
                    self._order(action)
                case Failed(_, error):
                    raise error
                case WrapperLost():
                    pass
                case _:
                    assert_never(action)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.core.next_deadline()
        self._timer = self.at(deadline, self._tick) if deadline < float("inf") else None

    def _tick(self) -> None:
        self.core.tick(self.now)
        self._settle()

    def _order(self, order: StartServer) -> None:
        def answered(taken: bool) -> None:
            if not taken:
                self.core.order_failed(order.ticket, self.now)
                self._settle()

        def arrive() -> None:
            wrapper = self.world.wrapper_of(order.wrapper_id)
            if wrapper is None:
                self.take(lambda: answered(False))
                return
            to = wrapper
            to.take(lambda: reply(to.order(order.ticket)))

        def reply(taken: bool) -> None:
            self.world.network.send(Kind.ORDER, lambda: self.take(lambda: answered(taken)))

        self.world.network.send(Kind.ORDER, arrive)


@dataclass(slots=True)
class _Remembered:
    """The port of a user's session, as the Routing Manager named it."""

    port: int
    in_doubt: bool = False
    """Somebody was sent there since then. Whoever is next asks, because the port may be another process's by now."""


class Balancer:
    """The load balancer of one Routing Manager, as `lb_lua` has it.

    A user with a session goes where it was and nobody is asked, once for each time that the Routing Manager has said
    so. If the process that this one named is gone, it is asked once more.
    """

    def __init__(self, world: "World", number: int) -> None:
        self._world, self._number = world, number
        self._remembered: dict[Uid, _Remembered] = {}

    def connect(self, uid: Uid, source: str, done: Callable[[Server | None], None]) -> None:
        """`done` is told where the connection leads; None: it is refused."""
        known = self._remembered.get(uid)
        if known is None or known.in_doubt:
            self._ask(uid, source, lambda port: self._go(uid, source, port, 1, done))
            return
        known.in_doubt = True
        server = self._world.listening(known.port)
        if server is None:
            self._ask(uid, source, lambda port: self._go(uid, source, port, 0, done))
        else:
            done(server)

    def _go(
        self,
        uid: Uid,
        source: str,
        port: int | None,
        more: int,
        done: Callable[[Server | None], None],
    ) -> None:
        """Connect there, or ask once more if nobody listens and that was not done before."""
        server = None if port is None else self._world.listening(port)
        if server is not None or port is None or not more:
            done(server)
        else:
            then = lambda other: self._go(uid, source, other, 0, done)  # noqa: E731
            self._world.agenda.after(deadlines.ROUTE_AGAIN, lambda: self._ask(uid, source, then))

    def _ask(self, uid: Uid, source: str, told: Callable[[int | None], None]) -> None:
        """`told` the port, or None: refused."""

        def answered(outcome: Route | Refusal | None) -> None:
            if (
                outcome is None
            ):  # the Routing Manager is away: what is remembered is used in doubt, too
                known = self._remembered.get(uid)
                told(known.port if known else None)
                return
            self._remembered.pop(uid, None)
            if isinstance(outcome, Refusal):
                told(None)
                return
            if outcome.state is State.ACTIVE:
                self._remembered[uid] = _Remembered(outcome.port)
            told(outcome.port)

        question = Question(uid, source, answered)
        world, number = self._world, self._number

        def arrive() -> None:
            manager = world.managers[number]
            if manager is None:
                question.answer(None)
            else:
                manager.ask(question)

        def no_answer() -> None:
            if not question.over:
                question.answer(None)
                manager = world.managers[number]
                if manager is not None:
                    manager.take(lambda: manager.left(question))

        world.network.send(Kind.QUESTION, arrive, once=True)
        world.agenda.after(deadlines.ROUTE_QUERY, no_answer)
