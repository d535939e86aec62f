"""A server process: the real session and the real database in a shell that mirrors `smartgrid_server.service`.

The worker is a queue: work is done in the order in which it was given, each piece as an event of its own, and its
answer is another one, so death may come between any two of them. A process killed with -9 leaves the files of its
database as they are at that moment: its journal is not brought in and a transaction under way is not ended. (A power
loss, after which what was never synchronised may be gone, cannot be seen from inside a process.)
"""

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from smartgrid_server import errors
from smartgrid_server.database import FILE_NAME, Database
from smartgrid_server.messages import LoginReply
from smartgrid_server.service import _granted
from smartgrid_server.session import Limits, Phase, Session
from standby import deadlines, lines
from standby.errors import PlatformError
from standby.identity import Identity, Role
from standby.ids import BootId, Uid
from standby.lines import Denied, Volume
from standby.secret import Secret
from standby.states import StopReason
from tests.property.platform import truth
from tests.property.platform.agenda import Clock, Event, Part
from tests.property.platform.network import SOON, Kind

if TYPE_CHECKING:
    from tests.property.platform.world import World
    from tests.property.platform.wrapper import Wrapper

LIMITS: Final = Limits(
    length=90.0,
    most=200.0,
    idle=45.0,
    login=deadlines.LOGIN_DEADLINE,
    retry=deadlines.LOGIN_RETRY,
    tries=3,
    members=32,
)
"""Sessions are shorter than the default, so that some of them end by themselves."""
BOOT: Final = 0.5
"""Seconds from launch to WAITING_LOGIN."""
T = TypeVar("T")
Reply = Callable[[object], None]


class _KilledError(BaseException):
    """Kills the simulated process in the middle of its database's work."""


@dataclass(slots=True)
class Connection:
    """A TLS connection of a user's client to this process."""

    server: "Server"
    uid: Uid
    opened: float
    """By the server's clock."""
    let_in: bool = False


@dataclass(slots=True)
class Request:
    role: Role
    operation: str
    body: Any = None
    token: str = ""


class _Statements:
    """The database's connection, through which a server can be killed before any statement."""

    def __init__(self, server: "Server", connection: Any) -> None:
        self.real = connection
        self._server = server

    def execute(self, *arguments: Any) -> Any:
        self._server.before_a_statement()
        return self.real.execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        self._server.before_a_statement()
        return self.real.executemany(*arguments)

    @property
    def in_transaction(self) -> bool:
        return self._server.alive and bool(self.real.in_transaction)

    def close(self) -> None:
        self.real.close()


@dataclass(slots=True)
class _Login:
    caller: Identity
    key: bytes
    login_id: str
    proof: truth.Proof
    reply: Reply = field(repr=False)


class Server(Part):
    def __init__(
        self, world: "World", wrapper: "Wrapper", clock: Clock, boot_id: BootId, port: int, pid: int
    ) -> None:
        super().__init__(clock)
        self.world, self.boot_id, self.port, self.pid = world, boot_id, port, pid
        self.session = Session(LIMITS)
        self.owner = wrapper
        self._volume: Volume | None = None
        self._asked: Event | None = None
        """The deadline of an answer to LOGIN."""
        self._key_digest = b""
        self._logins: deque[_Login] = deque()
        self._bound = False
        """The wrapper knows whose requests are read here."""
        self._proving = False
        self._opening = False
        self._work: deque[Callable[[], None]] = deque()
        self._database: Database | None = None
        self._timer: Event | None = None
        self._stdin_closed = False
        self._up = self._taken_over = False
        self.listening = True

    # Life and death

    def boot(self) -> None:
        def up() -> None:
            if self.world.broken_starts:
                self.world.broken_starts -= 1
                self.die("exit status 1")
            elif not self._stdin_closed:
                self._up = True
                self._say(lines.WAITING_LOGIN)

        self.after(BOOT, up)

    def die(self, how: str = "killed by signal 9") -> None:
        """At once, whatever it is doing."""
        if not self.alive:
            return
        self.alive = self.listening = False
        if self._database is not None:
            uid, directory = self._user(), self._file().parent
            left = truth.files(directory)
            self._database._connection.close()
            for path in directory.iterdir():
                path.unlink()
            for path, content in left.items():
                path.write_bytes(content)
            self.world.touched.add(uid)
        self.world.gone(self, how)
        self.world.network.send(Kind.EXIT, lambda: self.owner.exited(self.boot_id, how))

    def before_a_statement(self) -> None:
        left = self.world.statements_left
        self.world.statements_left = left - 1 if left else None
        if left == 0:
            self.die()
        if not self.alive:
            raise _KilledError

    @property
    def waits(self) -> bool:
        """For LOGIN, and none is under way."""
        free = self.session.phase in {Phase.FREE, Phase.BOUND}
        return self._up and free and not self._logins and not self._taken_over

    def is_taken_over(self, victim: Uid, *, binds: bool) -> None:
        """By the user whose requests it reads, or before it read any; it lies until it is ended.

        It has every proof that was ever made for other processes.
        """
        self.listening, self._taken_over = False, True
        replayed = [each for each in self.world.truth.proofs if each.boot_id != self.boot_id]

        def lie() -> None:
            if binds:
                self.owner.bound(self.boot_id, victim, lambda: None)
            for proof in replayed:
                self.owner.proved(self.boot_id, proof, lambda _holds: None)
            self._say(lines.login(victim))
            self.after(1.0, lie)

        lie()

    def stdin_closed(self) -> None:
        self._stdin_closed = True
        if not self._taken_over:
            self._end(StopReason.DRAINED)

    # Clients

    def connect(self, uid: Uid) -> Connection | None:
        """The handshake; None: refused in the language of TLS."""
        if not self.session.serves(uid):
            return None
        with contextlib.suppress(errors.SessionOverError):  # which every request is told
            free = self.session.phase is Phase.FREE
            self.session.bind(uid, self.now)
            self._set_timer()
            if free:
                self._tell_bound(uid)
        return Connection(self, uid, self.now)

    def _tell_bound(self, uid: Uid) -> None:
        network = self.world.network

        def reply() -> None:
            network.send(Kind.CHANNEL, lambda: self.take(bound))

        def bound() -> None:
            self._bound = True
            self._next_login()

        network.send(Kind.CHANNEL, lambda: self.owner.bound(self.boot_id, uid, reply))

    def handle(self, connection: Connection, request: Request, reply: Reply) -> None:
        """What comes of the request; ConnectionError: its connection ended instead."""
        if self._taken_over:
            reply(ConnectionError())
            return
        if not connection.let_in and self.now >= connection.opened + deadlines.LOGIN_DEADLINE:
            reply(ConnectionError())
            return
        try:
            self._handle(connection, request, reply)
        except PlatformError as error:
            reply(error)
        self._set_timer()

    def _handle(self, connection: Connection, request: Request, reply: Reply) -> None:
        uid, role, now = connection.uid, request.role, self.now
        if request.operation == "LOGIN":
            self.session.check_user(uid)
            connection.let_in = True
            key, login_id = request.body
            proof = truth.Proof(uid, self.boot_id)
            self._logins.append(_Login(Identity(role, uid), key, login_id, proof, reply))
            self._next_login()
            return
        if request.operation == "LOGOUT":
            self.session.authorise(uid, role, request.token, now)
            self._accepted(connection, request)
            self.world.truth.issued[request.token].over = True
            reason = self.session.logout(uid, role, request.token, now)
            if reason is None:
                reply(False)
            else:
                self._finish(reason, lambda: reply(True))
            return
        self.session.authorise(uid, role, request.token, now)
        self._accepted(connection, request)
        number = request.body
        if request.operation == "LONG_WRITE":
            self._submit(lambda database: database.store(truth.rows(number)), reply)
        else:
            self._submit(lambda database: database.write_alarms(truth.alarms(number)), reply)

    def _accepted(self, connection: Connection, request: Request) -> None:
        connection.let_in = True
        told = self.world.truth
        told.accepted(self.boot_id, connection.uid, request.role, request.token, self.now)
        told.serves(self.boot_id, connection.uid)

    # LOGIN: one at a time, as `Service.login` with its lock

    def _next_login(self) -> None:
        while self._logins and self._asked is None and not self._opening and not self._proving:
            if self.session.phase is Phase.BOUND:
                if self._bound:
                    self._prove(self._logins[0])
                return
            if self.session.phase is Phase.CLAIMING:
                self._ask_volume()
                return
            self._unlock(self._logins[0])

    def _prove(self, login: _Login) -> None:
        self._proving = True
        network = self.world.network

        def reply(holds: bool) -> None:
            network.send(Kind.CHANNEL, lambda: self.take(lambda: self._proved(login, holds)))

        ask = lambda: self.owner.proved(self.boot_id, login.proof, reply)  # noqa: E731
        network.send(Kind.CHANNEL, ask)

    def _proved(self, login: _Login, holds: bool) -> None:
        self._proving = False
        with contextlib.suppress(errors.SessionOverError):
            assert holds or self.session.phase is Phase.OVER, "a user's own proof did not hold"
            self.session.log_in(login.caller.name)
            self._set_timer()
        self._next_login()

    def _ask_volume(self) -> None:
        if self._stdin_closed:
            self._volume_failed(errors.SessionOverError("about to end"), StopReason.DRAINED)
            return
        self._asked = self.after(deadlines.VOLUME_ANSWER, self._no_answer)
        self._say(lines.login(self._user()))

    def _no_answer(self) -> None:
        self._asked = None
        self._volume_failed(errors.VolumeUnavailableError("no answer"), StopReason.REFUSED)

    def told(self, line: str) -> None:
        """A line from the wrapper."""
        answer = lines.parse_answer(line)
        if self._asked is None:
            return
        self._asked.cancel()
        self._asked = None
        self._answered(answer)

    def _answered(self, answer: Volume | Denied) -> None:
        try:
            volume = _granted(answer)
        except PlatformError as error:
            self._volume_failed(error, StopReason.REFUSED)
            return
        self.world.truth.may_write(self._user(), self)
        self._volume = volume
        try:
            self.session.volume_given(volume.generation)
        except errors.SessionOverError as error:
            self._volume_failed(error, StopReason.DRAINED)
            return
        self._next_login()

    def _volume_failed(self, error: PlatformError, reason: StopReason) -> None:
        login = self._logins.popleft()
        self._end(reason)
        login.reply(error)
        self._next_login()

    def _unlock(self, login: _Login) -> None:
        digest = hashlib.sha256(login.key).digest()
        if self._volume is None or self.session.phase is Phase.OVER:
            self._logins.popleft().reply(errors.SessionOverError("has ended"))
        elif self.session.phase is Phase.LOCKED:
            self._opening = True
            self._give(lambda: self._open(login.key), lambda result: self._opened(digest, result))
        elif digest != self._key_digest:
            self._logins.popleft().reply(errors.WrongKeyError("another key"))
        else:
            self._welcome(self._logins.popleft())

    def _opened(self, digest: bytes, result: object) -> None:
        self._opening = False
        login = self._logins.popleft()
        try:
            if isinstance(result, errors.WrongKeyError):
                self._finish_if(self.session.key_refused(self.now))
                raise result
            if isinstance(result, PlatformError):
                self._finish_if(self.session.open_failed())
                raise result
            self.session.opened()
            self._key_digest = digest
            self._welcome(login)
        except PlatformError as error:
            login.reply(error)
        self._set_timer()
        self._next_login()

    def _welcome(self, login: _Login) -> None:
        token = self.session.name(self.world.new_secret())
        caller = login.caller
        try:
            expires_in = self.session.join(caller.role, token, self.now, login.login_id)
        except PlatformError as error:
            login.reply(error)
            return
        assert self._volume is not None
        issued = truth.Issued(
            self.boot_id, caller.name, caller.role, login.login_id, self.now + expires_in
        )
        self.world.truth.welcomed(token, issued)
        login.reply(
            LoginReply(
                token=token,
                expires_in=expires_in,
                boot_id=self.boot_id,
                generation=self._volume.generation,
            )
        )

    # The end, whatever its reason

    def _end(self, reason: StopReason) -> None:
        """`Service.end`."""
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None
            self._logins.popleft().reply(errors.SessionOverError("about to end"))
        ended = self.session.end(reason)
        if ended is not None:
            self._finish(ended)

    def _finish_if(self, reason: StopReason | None) -> None:
        if reason is not None:
            self._finish(reason)

    def _finish(self, reason: StopReason, closed: Callable[[], None] = lambda: None) -> None:
        self._key_digest = b""
        self.listening = False
        self._end_tokens()

        def leave(_: object) -> None:
            closed()
            self._say(lines.logout(reason))
            self.after(SOON, lambda: self.die("exit status 0"))

        self._give(self._close, leave)
        self._next_login()

    def _end_tokens(self) -> None:
        """No token of an ended session is good again, also while the process is still closing."""
        for token, issued in self.world.truth.issued.items():
            if issued.boot_id == self.boot_id:
                issued.over = True
                with contextlib.suppress(PlatformError):
                    self.session.authorise(issued.uid, issued.role, token, self.now)
                    raise AssertionError("a token outlived its session")

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.session.deadline()
        self._timer = None if deadline is None else self.at(deadline, self._tick)

    def _tick(self) -> None:
        if self._taken_over:
            return
        self._finish_if(self.session.tick(self.now))
        self._set_timer()

    # The database's thread

    def _give(self, work: Callable[[], object], then: Callable[[object], None]) -> None:
        """Do `work` when its turn comes; `then` is told what came of it, errors too."""

        def do() -> None:
            try:
                result = work()
            except PlatformError as error:
                result = error
            except _KilledError:
                return
            self._work.popleft()
            if self._work:
                self._start_work()
            self.after(SOON / 2, lambda: then(result))

        self._work.append(do)
        if len(self._work) == 1:
            self._start_work()

    def _start_work(self) -> None:
        self.world.network.send(Kind.DISK, lambda: self.take(self._work[0]))

    def _submit(self, task: Callable[[Database], object], reply: Reply) -> None:
        def work() -> object:
            if self._database is None:
                raise errors.SessionOverError("has just ended")
            result = task(self._database)
            self.world.touched.add(self._user())
            return result

        self._give(work, reply)

    def _open(self, key: bytes) -> None:
        database = Database.open(self._file(), Secret(key))
        database._connection = _Statements(self, database._connection)
        self._database = database
        self.world.truth.serves(self.boot_id, self._user())
        self.world.touched.add(self._user())

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
            self.world.touched.add(self._user())

    def raw_connection(self) -> Any:
        """The open database's real connection, for looking only; None while it is closed."""
        return None if self._database is None else self._database._connection.real

    def _file(self) -> Path:
        assert self._volume is not None
        return Path(self._volume.path) / FILE_NAME

    def _user(self) -> Uid:
        assert self.session.uid is not None
        return self.session.uid

    def _say(self, line: str) -> None:
        wrapper = self.owner
        self.world.network.send(Kind.SAID, lambda: wrapper.heard(self.boot_id, line))
