"""A real server process of the example application, with a small wrapper around it, and clients for it."""

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import aiohttp
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smartgrid_client.credentials import Credentials
from smartgrid_client.messages import LoginChallenge, LoginProof
from smartgrid_server import database
from standby import deadlines, lines
from standby.identity import Role
from standby.ids import Generation, new_boot_id, parse_uid
from standby.secret import Secret
from tests.support.certificates import Certificates
from tests.support.waiting import eventually
from tests.support.wrapper import enroll

ROOT: Final = Path(__file__).parent.parent.parent
KEY: Final = "0123456789abcdef" * 4
OTHER_KEY: Final = "f" * 64
GENERATION: Final = Generation(7)
_OK: Final = 200
Answer = lines.Volume | lines.Denied | None


def secret(text: str = KEY) -> Secret:
    return Secret.from_hex(text, 32)


def new_volume(directory: Path, uid: str, key: str = KEY) -> Path:
    """A directory with an empty database of the user, and its journal, as a wrapper gives it to a server."""
    volume = directory / f"volume-{uid}"
    volume.mkdir()
    database.create(volume / database.FILE_NAME, secret(key))
    (volume / f"{database.FILE_NAME}-wal").touch()
    return volume


def provision(
    directory: Path,
    certificates: Certificates,
    uids: Collection[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a wrapper below `directory` needs for servers of these users: volumes, and settings to pass on."""
    volumes = enroll(directory, *uids)
    for uid in uids:
        database.create(volumes.data(parse_uid(uid)) / database.FILE_NAME, secret())
    monkeypatch.setenv("SMARTGRID_ISSUER_CERTIFICATE", str(certificates.issuer_certificate))
    monkeypatch.setenv("SMARTGRID_ISSUER_KEY", str(certificates.issuer_key))
    monkeypatch.setenv("SMARTGRID_CLIENT_AUTHORITIES", str(certificates.users_ca))
    monkeypatch.setenv("SMARTGRID_EARLIEST", "0")  # tests count seconds from 0


def stored(volume: Path, table: str, key: str = KEY) -> list[tuple[Any, ...]]:
    """The rows of a table, read from the file itself."""
    with contextlib.closing(database.Database.open(volume / database.FILE_NAME, secret(key))) as db:
        return list(db._connection.execute(f"SELECT * FROM {table} ORDER BY 1"))  # noqa: S608


def files_of(volume: Path) -> list[str]:
    return sorted(each.name for each in volume.iterdir())


@dataclass
class Server:
    """The wrapper's end of one server process. LOGIN is answered from `answers`; None keeps silent."""

    process: asyncio.subprocess.Process
    port: int
    boot_id: str
    answers: Mapping[str, Answer]
    said: list[str] = field(default_factory=list)
    """Every line of its stdout."""

    async def says(self, line: str) -> None:
        await eventually(lambda: line in self.said, f"the server says {line}")

    async def ends(self) -> int:
        async with asyncio.timeout(10):
            return await self.process.wait()

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode().rstrip("\n")
            self.said.append(line)
            if line.startswith("LOGIN "):
                self.answer(self.answers.get(line.removeprefix("LOGIN ")))

    def answer(self, answer: Answer) -> None:
        assert self.process.stdin is not None
        if answer is not None:
            self.process.stdin.write(f"{lines.format_answer(answer)}\n".encode())


def volumes(**paths: Path) -> dict[str, Answer]:
    return {uid: lines.Volume(str(path), GENERATION) for uid, path in paths.items()}


@contextlib.asynccontextmanager
async def running(
    certificates: Certificates, answers: Mapping[str, Answer], **settings: object
) -> AsyncIterator[Server]:
    """A server process that listens and says what it says; killed afterwards if it is still there."""
    boot_id = new_boot_id()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        values = {
            "listen_fd": sock.fileno(),
            "boot_id": boot_id,
            "issuer_certificate": certificates.issuer_certificate,
            "issuer_key": certificates.issuer_key,
            "client_authorities": certificates.users_ca,
            "earliest": 0,  # tests count seconds from 0
            **settings,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "smartgrid_server",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[sock.fileno()],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]}
            | {f"SMARTGRID_{name.upper()}": str(value) for name, value in values.items()},
        )
        port = sock.getsockname()[1]
    server = Server(process, port, boot_id, answers)
    listening = asyncio.create_task(server.listen())
    try:
        first = "WAITING_LOGIN" if "dedicated_uid" not in settings else "LOGIN "
        await eventually(
            lambda: process.returncode is not None or any(s.startswith(first) for s in server.said),
            "the server has started",
            deadline=deadlines.SERVER_START,
        )
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening
        server.close_stdin()


class Listening(Protocol):
    """A server, as far as its clients are concerned."""

    @property
    def port(self) -> int | None: ...


def kept(**counts: int) -> dict[str, Any]:
    """The answer to a LONG_WRITE whose rows can all be stored, by what became of them."""
    names = ("stored", "unchanged", "corrected", "conflicts", "rejected")
    return {**dict.fromkeys(names, 0), "rejections": [], **counts}


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any

    @property
    def code(self) -> str:
        """Of an error."""
        return str(self.body["error"]["code"])


class Client:
    """A user's client with one connection, kept alive. `asks_for` is the SNI, if it is not his own name."""

    def __init__(
        self,
        certificates: Certificates,
        server: Listening,
        uid: str = "alice",
        role: Role = Role.CUSTOMER,
        asks_for: str | None = None,
    ) -> None:
        self._credentials = Credentials.load(certificates.user(uid, role))
        self._name = asks_for or uid
        self._port = server.port
        self._session: aiohttp.ClientSession | None = None
        self.token = ""
        self.proof: LoginProof | None = None
        """Of the last LOGIN."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            f"https://127.0.0.1:{self._port}",
            connector=aiohttp.TCPConnector(ssl=self._credentials.context, limit=1),
            timeout=aiohttp.ClientTimeout(total=20),
        )
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        token: str | None = None,
        **headers: str,
    ) -> Reply:
        """One request to `/v1/{path}` with the client's token, unless another one is given."""
        assert self._session is not None
        if token is None:
            token = self.token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = raw if raw is not None else msgspec.json.encode(body) if body is not None else None
        async with self._session.request(
            method, f"/v1/{path}", data=data, headers=headers, server_hostname=self._name
        ) as response:
            return Reply(response.status, await response.json(content_type=None))

    async def post(self, path: str, body: object = None, **options: Any) -> Reply:
        return await self.call("POST", path, body, **options)

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.call("GET", path, **options)

    async def login(self, key: str = KEY, **more: object) -> Reply:
        """With the proof that the server asks for, on the same connection; keeps the token of the answer."""
        body = {"key": key, **more}
        asked = await self.get("login-challenge", token="")
        if asked.status == _OK:
            challenge = msgspec.convert(asked.body, LoginChallenge)
            shown = self.server_certificate().public_bytes(Encoding.DER)
            self.proof = self._credentials.prove(challenge, shown)
            body |= {} if self.proof is None else {"proof": self.proof}
        reply = await self.post("login", body, token="")
        self.token = reply.body.get("token", "")
        return reply

    def server_certificate(self) -> x509.Certificate:
        """What the server showed on the open connection."""
        assert self._session is not None
        assert self._session.connector is not None
        (connections,) = self._session.connector._conns.values()
        transport = connections[0][0].transport
        assert transport is not None
        shown: ssl.SSLObject = transport.get_extra_info("ssl_object")
        return x509.load_der_x509_certificate(shown.getpeercert(binary_form=True) or b"")

    async def logout(self) -> Reply:
        return await self.post("logout")
