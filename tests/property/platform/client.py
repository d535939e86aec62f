"""A client of one user, as `smartgrid_client.session` has it: requests are repeated where the real policy allows it."""

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from smartgrid_client import errors
from smartgrid_client.errors import ClientError
from smartgrid_client.requests import Operation
from smartgrid_client.retry import Policy
from smartgrid_server.messages import LoginReply
from standby import deadlines
from standby.errors import PlatformError
from standby.identity import Role
from standby.ids import Uid
from standby.messages import ErrorDetail
from tests.property.platform.agenda import Clock, Event, Part
from tests.property.platform.network import Kind
from tests.property.platform.server import Connection, Request, Server
from tests.property.platform.truth import Proof

if TYPE_CHECKING:
    from tests.property.platform.world import World

POLICY: Final = Policy()
_THINKS: Final = 0.25
"""Seconds between two requests."""
_UNDESERVED: Final = frozenset({"wrong_key", "wrong_user", "unknown_user"})
"""Refusals that no client of the model deserves, whatever fails."""


class _Task:
    """A request, repeated until it has come to something."""

    def __init__(self, operation: Operation, body: Any, began: float) -> None:
        self.operation, self.body, self.began = operation, body, began
        self.attempt = 0
        self.met_over = False


class Client(Part):
    def __init__(
        self, world: "World", clock: Clock, uid: Uid, role: Role, balancer: int, luck: float
    ) -> None:
        super().__init__(clock)
        self.world, self.uid, self.role = world, uid, role
        self.token: str | None = None
        self.failure: ClientError | None = None
        """Why the last request failed for good."""
        self._expires = 0.0
        self._balancer, self._luck = balancer, luck
        self._wishes: deque[tuple[Operation, Any]] = deque()
        self._tasks: list[_Task] = []
        """The request under way, and above it the LOGIN that it needs first."""
        self._connection: Connection | None = None
        self._exchange = 0
        self._patience: list[Event] = []

    @property
    def busy(self) -> bool:
        return bool(self._tasks or self._wishes)

    def wish(self, operation: Operation) -> None:
        body: Any = None
        if operation is Operation.LOGIN:
            body = self._login_body()
        elif operation is not Operation.LOGOUT:
            body = self.world.truth.next_write(self.uid)
        self._wishes.append((operation, body))
        self._next_wish()

    def server_died(self, server: Server) -> None:
        """Its connections are reset."""
        if self._connection is not None and self._connection.server is server:
            self._connection = None
            if self._tasks:
                self._outcome(self._exchange, errors.UnansweredError("reset"))

    def _login_body(self) -> tuple[bytes, str]:
        """The key, and a name for this LOGIN however often it is sent."""
        return self.world.keys[self.uid], self.world.new_secret()

    def _next_wish(self) -> None:
        if not self._tasks and self._wishes:
            operation, body = self._wishes.popleft()
            if operation is Operation.LOGOUT and self.token is None:
                self._next_wish()
                return
            self._tasks = [_Task(operation, body, self.now)]
            self._try()

    def _try(self) -> None:
        """The next attempt of the task on top, which may first need a LOGIN."""
        task = self._tasks[-1]
        task.attempt += 1
        expired = self.token is None or self.now >= self._expires
        if expired and task.operation not in {Operation.LOGIN, Operation.LOGOUT}:
            self._tasks.append(_Task(Operation.LOGIN, self._login_body(), self.now))
            self._try()
            return
        self._exchange += 1
        exchange = self._exchange
        self._patience.append(
            self.after(
                deadlines.CLIENT_REQUEST,
                lambda: self._outcome(exchange, errors.UnansweredError("no answer in time")),
            )
        )
        if self._connection is not None:
            self._send(exchange)
            return
        self._patience.append(
            self.after(deadlines.CLIENT_CONNECT, lambda: self._not_connected(exchange))
        )
        self._route(exchange)

    def _route(self, exchange: int) -> None:
        balancer = self.world.balancers[self._balancer]
        balancer.connect(
            self.uid,
            f"source of {self.uid}",
            lambda server: self.take(lambda: self._routed(exchange, server)),
        )

    def _not_connected(self, exchange: int) -> None:
        if self._connection is None:
            self._outcome(exchange, errors.UnreachableError("no connection in time"))

    def _routed(self, exchange: int, server: Server | None) -> None:
        if exchange != self._exchange:
            return
        if server is None:
            self._outcome(exchange, errors.BusyError("no server"))
            return
        to = server

        def arrive() -> None:
            if to.listening:
                to.take(shake_hands)
            else:
                self.take(lambda: self._outcome(exchange, errors.BusyError("closed")))

        def shake_hands() -> None:
            connection = to.connect(self.uid)
            self.take(lambda: connected(connection))

        def connected(connection: Connection | None) -> None:
            if exchange != self._exchange:
                return
            if connection is None:
                self._outcome(exchange, self.world.taken_server_alert())
            else:
                self._connection = connection
                self._send(exchange)

        self.world.network.send(Kind.CONNECT, arrive)

    def _send(self, exchange: int) -> None:
        task, connection = self._tasks[-1], self._connection
        assert connection is not None
        server, network = connection.server, self.world.network
        request = Request(self.role, task.operation.value, task.body, self.token or "")
        if task.operation is Operation.LOGIN:
            self.world.truth.logs_in(Proof(self.uid, server.boot_id))

        def reply(result: object) -> None:
            network.send(Kind.ANSWER, lambda: self.take(lambda: self._answered(exchange, result)))

        handle = lambda: server.take(lambda: server.handle(connection, request, reply))  # noqa: E731
        network.send(Kind.REQUEST, handle, once=task.operation is Operation.WRITE)

    def _answered(self, exchange: int, result: object) -> None:
        if isinstance(result, PlatformError):
            detail = ErrorDetail(code=result.code, message=str(result), id="0")
            self._outcome(exchange, errors.refusal(result.status, detail))
        elif isinstance(result, ConnectionError):
            self._outcome(exchange, errors.UnansweredError("closed"))
        else:
            self._outcome(exchange, result)

    def _outcome(self, exchange: int, outcome: object) -> None:
        """What came of the present exchange; of an earlier one it comes too late."""
        if exchange != self._exchange or not self._tasks:
            return
        self._exchange += 1
        for event in self._patience:
            event.cancel()
        self._patience.clear()
        task = self._tasks[-1]
        if isinstance(outcome, ClientError):
            self._failed(task, outcome)
        else:
            self._done(task, outcome)

    def _done(self, task: _Task, result: object) -> None:
        self._tasks.pop()
        self.failure = None
        if isinstance(result, LoginReply):
            self.token, self._expires = result.token, self.now + result.expires_in
        elif task.operation is Operation.LOGOUT:
            self.token = self._connection = None
        else:
            self.world.truth.acknowledged[self.uid].add(task.body)
            self.world.touched.add(self.uid)
        self._go_on()

    def _failed(self, task: _Task, error: ClientError) -> None:
        if error.reason in _UNDESERVED or isinstance(error, errors.CertificateRefusedError):
            self.world.truth.given_up.append(f"{self.uid}: {error.reason}")
        if isinstance(error, errors.SessionOverError):
            self.token = None
        over = isinstance(error, errors.SessionOverError)
        counted = 1 if over and not task.met_over else task.attempt
        task.met_over |= over
        wait = POLICY.wait(task.operation, error, counted, self.now - task.began, self._luck)
        if error.retry:
            self._connection = None
        if wait is not None:
            self.after(wait, self._try)
            return
        reached = task.operation is Operation.LOGOUT and isinstance(error, errors.SessionOverError)
        self.failure = None if reached else error
        self._tasks.clear()
        if task.operation is Operation.LOGOUT:
            self.token = self._connection = None
        self._go_on()

    def _go_on(self) -> None:
        if self._tasks:  # the LOGIN it needed has been done
            self._tasks[-1].attempt -= 1
            self._try()
        else:
            self.after(_THINKS, self._next_wish)


def show_token(server: Server, uid: Uid, role: Role, token: str) -> None:
    """Connect to that very process, which is not the platform's idea, and try to use the token."""
    answers: list[object] = []
    connection = None if server.stopped else server.connect(uid)
    if connection is not None:
        server.handle(
            connection, Request(role, Operation.LOGOUT.value, None, token), answers.append
        )
    refused = PlatformError | ConnectionError
    assert all(isinstance(each, refused) for each in answers), "an old token was good"
