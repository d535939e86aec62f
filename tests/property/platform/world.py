"""The simulated platform: every part in its place, lives that follow each other, and what must hold between them."""

import contextlib
import functools
import ssl
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from app_wrapper.volumes import Holder
from app_wrapper.volumes.hostpath import HostPathVolumes
from routing_manager.settings import Settings
from smartgrid_client import errors
from smartgrid_client.errors import ClientError
from smartgrid_server import cipher, database
from smartgrid_server.database import FILE_NAME
from smartgrid_server.tls import ServerTls
from standby.identity import Role
from standby.ids import BootId, Epoch, Slot, Uid, WrapperId
from standby.messages import Report, ReportReply
from standby.secret import Secret
from tests.property.platform import truth, wrapper
from tests.property.platform.agenda import Agenda, Clock
from tests.property.platform.client import Client
from tests.property.platform.manager import Balancer, Manager
from tests.property.platform.network import SOON, Network
from tests.property.platform.server import Server
from tests.property.platform.wrapper import Wrapper

USERS: Final = [Uid(name) for name in ("anna", "bert", "carla")]
ROLES: Final = (Role.METER, Role.CUSTOMER)
_TMPFS: Final = Path("/dev/shm")  # noqa: S108  # made anew below, under a name of its own
"""Where fsync costs nothing; the model cannot see a power loss anyway."""


@functools.cache
def _key(uid: Uid) -> bytes:
    return uid.encode().ljust(32, b".")


@functools.cache
def _empty_database(uid: Uid) -> bytes:
    """Making one costs more than the rest of a short run."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / FILE_NAME
        database.create(file, Secret(_key(uid)))
        return file.read_bytes()


@functools.cache
def _alert() -> int | None:
    """What the real server says in the handshake with the user of another process."""
    tls = SimpleNamespace(_serves=lambda _uid: False)
    return ServerTls._choose(tls, None, "anna", None)  # type: ignore[arg-type]  # only what it uses


class World:
    def __init__(
        self,
        *,
        managers: int,
        sizes: list[int],
        rates: list[float],
        approach: str,
    ) -> None:
        self.agenda = Agenda()
        self.network = Network(self.agenda)
        self.truth = truth.Truth(USERS)
        self.keys = {uid: _key(uid) for uid in USERS}
        self.broken_starts = 0
        """So many of the next servers will end at their start."""
        self.hanging_until = 0.0
        """No process can be ended before (its kernel waits for a disk), and orphans do not even run."""
        self.statements_left: int | None = None
        """After so many more statements a server is killed in the middle of its database's work."""
        self.touched: set[Uid] = set()
        """Whose database may have changed since it was looked at."""
        self._limits = Settings(
            approach=approach,  # type: ignore[arg-type]  # one of the two literals
            reservations=3,
            reservations_per_source=2,
            waiting_places=4,
        )
        self._sizes = [0 if approach == "on-demand" else size for size in sizes]
        self._rates = rates
        self._boots, self._pids, self._secrets, self._lives = count(1), count(1), count(1), count(1)
        self._ports: dict[int, Server] = {}
        self._by_pid: dict[int, Server] = {}
        self._scratch = tempfile.TemporaryDirectory(
            prefix="platform-", dir=_TMPFS if _TMPFS.is_dir() else None
        )
        self.directory = Path(self._scratch.name)
        self.volumes = self.directory / "volumes"
        self._create_volumes()
        self.managers: list[Manager | None] = [None] * managers
        self.wrappers: list[Wrapper | None] = [None] * len(sizes)
        self.balancers = [Balancer(self, number) for number in range(managers)]
        for number in range(managers):
            self._new_manager(number)
        for number in range(len(sizes)):
            self._new_wrapper(number)
        self.clients = {(uid, role): self.new_client(uid, role) for uid in USERS for role in ROLES}

    def close(self) -> None:
        for each in self.wrappers:
            if each is not None and each.alive:
                each.volumes.close()
                each.store.close()
        for server in self.servers():
            server.die()
        self._scratch.cleanup()

    # Lives

    def new_client(self, uid: Uid, role: Role) -> Client:
        number = USERS.index(uid) * len(ROLES) + ROLES.index(role)
        luck = (number + 1) / (len(USERS) * len(ROLES) + 1)
        clock = self._clock(number)
        return Client(self, clock, uid, role, number % len(self.managers), luck)

    def kill_manager(self, number: int, away: float) -> None:
        manager = self.managers[number]
        if manager is not None:
            manager.die()
            self.managers[number] = None
            self.agenda.after(away, lambda: self._new_manager(number))

    def kill_wrapper(self, number: int, away: float) -> None:
        """Its end is found by `run`, as is that of one that left by itself."""
        killed = self.wrappers[number]
        if killed is not None:
            killed.die()
            self._bury(number, away)

    def bury(self) -> None:
        """Wrappers that have left are started again."""
        for number, each in enumerate(self.wrappers):
            if each is not None and not each.alive:
                self._bury(number, 1.0)

    def _bury(self, number: int, away: float) -> None:
        self.wrappers[number] = None
        self.agenda.after(away, lambda: self._new_wrapper(number))

    def _new_manager(self, number: int) -> None:
        clock = self._clock(number)
        self.managers[number] = Manager(self, number, next(self._lives), clock, self._limits)

    def _new_wrapper(self, number: int) -> None:
        clock = self._clock(number + 1)
        self.wrappers[number] = Wrapper(self, number, clock, self._sizes[number])

    def launch(self, owner: Wrapper, slot: Slot, boot_id: BootId) -> Server:
        """Successive processes of a slot listen on the same port."""
        port, pid = 4000 + 100 * owner.index + slot, next(self._pids)
        server = Server(self, owner, self._clock(pid), boot_id, port, pid)
        self._ports[port] = self._by_pid[pid] = server
        return server

    def end(self, server: Server) -> None:
        """The kernel's part of killing a process."""
        wait = self.hanging_until - self.agenda.now
        if wait > 0 and server.alive:
            self.agenda.after(wait, lambda: self.end(server))
        else:
            server.die()

    def end_orphan(self, pid: int, _start_time: int, _deadline: float) -> bool:
        """In place of `orphans.end`."""
        server = self._by_pid[pid]
        if server.alive:
            assert not server.owner.alive, "a claim ended the server of a living wrapper"
        if server.alive and self.agenda.now < self.hanging_until:
            return False
        server.die()
        return True

    def gone(self, server: Server, _how: str) -> None:
        """Its clients learn it after what it had sent before."""
        for client in self.clients.values():
            reset = functools.partial(client.take, functools.partial(client.server_died, server))
            self.agenda.after(2 * SOON, reset)

    # Who is where

    def servers(self) -> Iterator[Server]:
        return (each for each in list(self._by_pid.values()) if each.alive)

    def listening(self, port: int) -> Server | None:
        server = self._ports.get(port)
        return server if server is not None and server.alive and server.listening else None

    def wrapper_of(self, wrapper_id: WrapperId) -> Wrapper | None:
        return next(
            (each for each in self.wrappers if each and each.wrapper_id == wrapper_id), None
        )

    def deliver_report(
        self,
        number: int,
        wrapper_id: WrapperId,
        report: Report,
        reply: Callable[[ReportReply], None],
    ) -> bool:
        """False: nobody listens."""
        manager = self.managers[number]
        if manager is not None:
            to = manager
            to.take(lambda: reply(to.report(wrapper_id, report)))
        return manager is not None

    def new_boot_id(self) -> BootId:
        return BootId(f"{next(self._boots):016x}")

    def new_secret(self) -> str:
        return f"secret-{next(self._secrets)}"

    @staticmethod
    def taken_server_alert() -> ClientError:
        """As `smartgrid_client.faults` understands it."""
        if _alert() == ssl.ALERT_DESCRIPTION_INTERNAL_ERROR:
            return errors.BusyError("no server for this user now")
        return errors.CertificateRefusedError("the server refused the name")

    # What must hold

    def check(self) -> None:
        assert not self.truth.given_up, "a client was refused for good"
        for manager in self.managers:
            if manager is not None:
                manager.check()
        for each in self.wrappers:
            if each is not None and each.alive:
                wrapper.check(each)
        self._check_files()

    def check_no_volume_is_left_claimed(self) -> None:
        """When no session is left: a record whose wrapper died may be there, but it keeps nobody out."""
        provider = HostPathVolumes(self.volumes, end_orphan=self.end_orphan)
        for uid in USERS:
            asking = Holder(wrapper_id=WrapperId("w"), epoch=Epoch(1), boot_id=self.new_boot_id())
            provider.release(uid, provider.claim(uid, asking).generation)

    def _check_files(self) -> None:
        touched, self.touched = self.touched, set()
        for uid in sorted(touched):
            open_here = [
                each.raw_connection() for each in self.servers() if each.session.uid == uid
            ]
            connection = next((each for each in open_here if each is not None), None)
            if connection is not None:
                self.truth.check_file(uid, connection)
            else:
                self._check_closed_file(uid)

    def _check_closed_file(self, uid: Uid) -> None:
        """A copy is looked at, because looking recovers what a crash left."""
        with tempfile.TemporaryDirectory(dir=self.directory) as copy:
            for path, content in truth.files(self.volumes / uid / "data").items():
                (Path(copy) / path.name).write_bytes(content)
            connection = cipher.connect(Path(copy) / FILE_NAME, Secret(self.keys[uid]))
            with contextlib.closing(connection):
                self.truth.check_file(uid, connection)

    def _create_volumes(self) -> None:
        volumes = HostPathVolumes(self.volumes)
        for uid in USERS:
            (volumes.create(uid) / FILE_NAME).write_bytes(_empty_database(uid))

    def _clock(self, number: int) -> Clock:
        return Clock(self.agenda, self._rates[number % len(self._rates)], 1000.0 * number)
