"""A server that turns against everybody once its user has logged in can do nothing; without hardening, all of it."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from smartgrid_server import database
from smartgrid_server.settings import Hardening
from standby.ids import Uid, new_boot_id
from tests.attacks import hostile, platforms
from tests.attacks.installation import Installation, environment
from tests.attacks.platforms import operator, yama
from tests.support import remains
from tests.support.certificates import Certificates
from tests.support.smartgrid import Server, new_volume, secret, volumes
from tests.support.waiting import eventually

Results = dict[str, dict[str, str]]
_HOSTILE: Final = Path(hostile.__file__).read_text()
_THREADS: Final = {"loop", "database"}
_REFUSED: Final = {
    "reads another user's database": "EACCES",
    "writes another user's database": "EACCES",
    "lists the volumes": "EACCES",
    "writes beside its volume": "EACCES",
    "makes files in its volume": "EACCES",
    "makes directories in its volume": "EACCES",
    "renames its database": "EACCES",
    "takes disk that no size shows": "EPERM",
    "takes memory that is not counted": "EPERM",
    "shares memory": "EPERM",
    "connects out": "EPERM",
    "sends a datagram": "EPERM",
    "listens": "EPERM",
    "forks": "EPERM",
    "starts a program": "EPERM",
    "traces another process": "EPERM",
    "copies another process's memory": "EPERM",
    "opens another process's memory": "EACCES",
    "opens itself to others": "EPERM",
    "executes what it has written": "EACCES",
    "takes another process's files": "EPERM",
    "slows another process": "EPERM",
    "moves another process": "EPERM",
    "signals another process": "EPERM",
    "has signals sent to another process": "EPERM",
    "closes a file to others": "EPERM",
    "locks a file of others": "EPERM",
    "passes descriptors": "EPERM",
    "watches files": "EPERM",
    "makes shared memory": "EPERM",
    "makes a message queue": "EPERM",
    "makes semaphores": "EPERM",
    "makes a queue with a name": "EPERM",
    "makes shared memory with a name": "EACCES",
    "keeps a key": "EPERM",
    "takes a name": "EPERM",
    "outlives its parent": "EPERM",
}
_OWN_UID: Final = 64_903
"""That a server changes to, and no other process has."""


@dataclass(frozen=True)
class Place:
    """Volumes and certificates, all of one account, so that only hardening is between it and other users' files."""

    installation: Installation
    directory: Path
    account: int | None
    """As whom programs run here; None: as the tests do."""

    @property
    def volumes(self) -> Path:
        return self.directory / "volumes"

    def make(self, certificates: Certificates) -> dict[str, Path]:
        self.volumes.mkdir()
        for uid in ("anna", "bert"):
            new_volume(self.volumes, uid)
        files = {
            "SMARTGRID_ISSUER_CERTIFICATE": certificates.issuer_certificate,
            "SMARTGRID_ISSUER_KEY": certificates.issuer_key,
            "SMARTGRID_CLIENT_AUTHORITIES": certificates.users_ca,
        }
        copies = {name: Path(shutil.copy(file, self.directory)) for name, file in files.items()}
        if self.account is not None:
            self.give(self.directory, self.account)
        return copies

    def give(self, directory: Path, account: int) -> None:
        for each in (directory, *directory.rglob("*")):
            os.chown(each, account, account)

    @property
    def left(self) -> str:
        """The name of what its server leaves on the machine."""
        return self.directory.name

    def aims(self, port: int, victim: int) -> str:
        return json.dumps(
            {
                "database": str(self.volumes / "volume-bert" / database.FILE_NAME),
                "own": str(self.volumes / "volume-anna" / database.FILE_NAME),
                "outside": str(self.directory / "outside"),
                "port": port,
                "victim": victim,
                "left": self.left,
            }
        )


@contextlib.asynccontextmanager
async def _program(
    place: Place, source: str, *fds: int, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python program with pipes, as the place's account; killed afterwards."""
    account = place.account
    process = await asyncio.create_subprocess_exec(
        place.installation.python,
        "-c",
        source,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=fds,
        cwd=place.directory,
        env=environment() | environ,
        user=account,
        group=account,
        extra_groups=None if account is None else [],
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def _victim(place: Place) -> AsyncIterator[int]:
    """The pid of a program of the same account that waits."""
    async with _program(place, "print(flush=True); input()") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdout.readline()
        yield process.pid
        process.stdin.close()


@contextlib.asynccontextmanager
async def _server(
    place: Place, files: dict[str, Path], aims: str, how: Hardening, **more: str
) -> AsyncIterator[Server]:
    boot_id = new_boot_id()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        environ = {
            "SMARTGRID_LISTEN_FD": str(sock.fileno()),
            "SMARTGRID_BOOT_ID": boot_id,
            "SMARTGRID_VOLUMES_DIR": str(place.volumes),
            "SMARTGRID_HARDENING": how,
            hostile.AIMS: aims,
            **more,
            **{name: str(file) for name, file in files.items()},
        }
        async with _program(place, _HOSTILE, sock.fileno(), **environ) as process:
            port = sock.getsockname()[1]
            given = volumes(anna=place.volumes / "volume-anna")
            server = Server(process, port, boot_id, given)
            listening = asyncio.create_task(server.listen())
            try:
                await server.says("WAITING_LOGIN")
                yield server
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await listening
                server.close_stdin()


def _tried(server: Server) -> Results:
    """What the server has said of its attempts."""
    found: Results = {}
    for line in server.said:
        if line.startswith(hostile.TRIED):
            found |= json.loads(line.removeprefix(hostile.TRIED))
    return found


@contextlib.asynccontextmanager
async def _turned(
    installation: Installation,
    certificates: Certificates,
    how: Hardening,
    account: int | None,
    run_as: int | None = None,
) -> AsyncIterator[tuple[Place, Results]]:
    """The place where the server was, which has ended, and what it has tried."""
    with platforms.place(account) as directory, socket.create_server(("127.0.0.1", 0)) as other:
        place = Place(installation, directory, account)
        files = place.make(certificates)
        own = {}
        if run_as is not None:
            place.give(directory, run_as)
            own = {"SMARTGRID_RUN_AS": str(run_as)}
        async with _victim(place) as victim:
            aims = place.aims(other.getsockname()[1], victim)
            async with _server(place, files, aims, how, **own) as server:
                await _log_in(server, certificates)
        yield place, _tried(server)


async def _log_in(server: Server, certificates: Certificates) -> None:
    """Until the server has turned, which leaves its user without an answer."""
    address = Address("127.0.0.1", server.port, Uid("anna"))
    async with SmartGridClient(address, certificates.user("anna")) as client:
        login = asyncio.create_task(client.login(secret()))
        await eventually(lambda: "end" in _tried(server), "the server has tried everything")
        login.cancel()
        await asyncio.wait({login})


def _of_account() -> set[str]:
    """System V objects of the account that runs hostile servers."""
    account = operator()
    return {*remains.objects(os.geteuid() if account is None else account)}


def _left_behind(place: Place, before: set[str]) -> set[str]:
    """Kinds of what the server has left for others; removed from the machine."""
    objects = _of_account() - before
    remains.remove_objects(objects)
    kinds = {each.split()[0] for each in objects}
    named = Path("/dev/shm", place.left)  # noqa: S108  # where the server has put it
    if named.exists():
        named.unlink()
        kinds.add("file")
    if remains.remove_queue(place.left):
        kinds.add("queue")
    return kinds


async def test_a_hardened_server_can_do_nothing_else_however_hard_it_tries(
    installation: Installation, certificates: Certificates
) -> None:
    before = _of_account()
    async with _turned(installation, certificates, Hardening.ON, operator()) as (place, results):
        left = _left_behind(place, before)
        assert results.pop("end") == {hostile.EXECUTES: "EPERM"}
        assert set(results) == _THREADS
        for thread in _THREADS:
            assert results[thread] == _REFUSED, thread
        assert not (place.directory / "outside").exists()
        assert left == set()


async def test_a_server_that_is_not_hardened_can_do_all_of_it(
    installation: Installation, certificates: Certificates
) -> None:
    if yama():
        pytest.skip("this kernel's Yama forbids some of it already")
    before = _of_account()
    async with _turned(installation, certificates, Hardening.OFF, operator()) as (place, results):
        left = _left_behind(place, before)
        assert results.pop("end") == {hostile.EXECUTES: "done"}
        assert set(results) == _THREADS
        for thread in _THREADS:
            assert set(results[thread]) == set(_REFUSED)
            assert not {what: why for what, why in results[thread].items() if why != "done"}, thread
        assert (place.directory / "outside").exists()
        assert left == {"shm", "msg", "sem", "file", "queue"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give uids")
async def test_when_a_server_with_a_uid_of_its_own_has_ended_nothing_of_that_uid_is_left(
    installation: Installation, certificates: Certificates
) -> None:
    """Anywhere: processes, objects without a file, keys, places for temporary files; but for its user's volume."""
    assert remains.of(_OWN_UID) == set()
    async with _turned(installation, certificates, Hardening.ON, None, _OWN_UID) as (place, told):
        assert set(told) == _THREADS | {"end"}, "it has tried everything"
        mine = f"file {place.directory}"
        left = {each for each in remains.of(_OWN_UID) if not each.startswith(mine)}
        remains.remove_objects(left)
        assert left == set()
