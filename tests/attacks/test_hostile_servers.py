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
}


@dataclass(frozen=True)
class Place:
    """Volumes and certificates, all of one account, so that only hardening is between it and other users' files."""

    installation: Installation
    directory: Path

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
        account = operator()
        if account is not None:
            for each in self.directory.rglob("*"):
                os.chown(each, account, account)
        return copies

    def aims(self, port: int, victim: int) -> str:
        return json.dumps(
            {
                "database": str(self.volumes / "volume-bert" / database.FILE_NAME),
                "outside": str(self.directory / "outside"),
                "port": port,
                "victim": victim,
            }
        )


@contextlib.asynccontextmanager
async def _program(
    place: Place, source: str, *fds: int, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python program with pipes, as the place's account; killed afterwards."""
    account = operator()
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
    place: Place, files: dict[str, Path], aims: str, how: Hardening
) -> AsyncIterator[Server]:
    boot_id = new_boot_id()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        environ = {
            "SMARTGRID_LISTEN_FD": str(sock.fileno()),
            "SMARTGRID_BOOT_ID": boot_id,
            "SMARTGRID_VOLUMES_DIR": str(place.volumes),
            "SMARTGRID_HARDENING": how,
            hostile.AIMS: aims,
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


async def _turned(
    installation: Installation, certificates: Certificates, how: Hardening
) -> Results:
    with platforms.place(operator()) as directory, socket.create_server(("127.0.0.1", 0)) as other:
        place = Place(installation, directory)
        files = place.make(certificates)
        async with (
            _victim(place) as victim,
            _server(place, files, place.aims(other.getsockname()[1], victim), how) as server,
        ):
            address = Address("127.0.0.1", server.port, Uid("anna"))
            async with SmartGridClient(address, certificates.user("anna")) as client:
                login = asyncio.create_task(client.login(secret()))
                await eventually(lambda: "end" in _tried(server), "the server has tried everything")
                login.cancel()
                await asyncio.wait({login})
        assert (directory / "outside").exists() == (how is Hardening.OFF)
    return _tried(server)


async def test_a_hardened_server_can_do_nothing_else_however_hard_it_tries(
    installation: Installation, certificates: Certificates
) -> None:
    results = await _turned(installation, certificates, Hardening.ON)
    assert results.pop("end") == {hostile.EXECUTES: "EPERM"}
    assert set(results) == _THREADS
    for thread in _THREADS:
        assert results[thread] == _REFUSED, thread


async def test_a_server_that_is_not_hardened_can_do_all_of_it(
    installation: Installation, certificates: Certificates
) -> None:
    if yama():
        pytest.skip("this kernel's Yama forbids some of it already")
    results = await _turned(installation, certificates, Hardening.OFF)
    assert results.pop("end") == {hostile.EXECUTES: "done"}
    assert set(results) == _THREADS
    for thread in _THREADS:
        assert set(results[thread]) == set(_REFUSED)
        assert not {what: why for what, why in results[thread].items() if why != "done"}, thread
