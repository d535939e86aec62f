"""A whole life of a server for nobody, so that what is done for the first time is not done while a user waits.

Whatever a library sets up at its first use (OpenSSL's algorithms, SQLCipher, aiohttp's and Python's own caches) is set
up here, in the template, and shared by all servers that are forked from it. In a server process of its own it would
cost each of them the same time and its own memory.

The life is real: a certificate from an authority made for this purpose, a handshake with it, a challenge, LOGIN, a
batch, an average, LOGOUT, on a loopback port that the system chose, with an empty database under a key of zeros.
Nothing of it is left: no thread, no descriptor of ours, no file, and there was no secret. What passes for evidence is
as long as real evidence and says nothing; there is no platform here, because servers load no part of one.
"""

import asyncio
import base64
import contextlib
import datetime as dt
import io
import os
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Final

import aiohttp
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.evidence import Evidence
from attestation.issuer import ServerIssuer
from attestation.issuing import messages
from attestation.issuing.messages import (
    NONCE_SIZE,
    Answer,
    Begin,
    Bind,
    Bound,
    Challenge,
    Issued,
    Kept,
    LastSeen,
    LoginProof,
    Proof,
    Proved,
    Quoted,
    QuoteWanted,
    Request,
    Seen,
    Source,
)
from smartgrid_server import main
from smartgrid_server.database import FILE_NAME, create
from smartgrid_server.messages import KEY_SIZE
from smartgrid_server.settings import Settings
from smartgrid_server.wrapper_link import WrapperLink
from standby import lines, logs, pipes, pki
from standby.identity import Identity, Role
from standby.ids import Generation, Uid
from standby.secret import Secret

_NOBODY: Final = Uid("rehearsal")
_HOST: Final = "127.0.0.1"
_LIFETIME: Final = dt.timedelta(hours=1)
_DEADLINE: Final = 10.0
"""Seconds; it takes hundredths of one."""
_EVIDENCE: Final = Evidence("rehearsal", bytes(5000))
_CHALLENGE: Final = base64.b64encode(bytes(32)).decode()
_SIGNATURE: Final = base64.b64encode(bytes(70)).decode()
_ANSWERS: Final[dict[type[Request], Answer]] = {
    Begin: Challenge(bytes(32), Source.PLATFORM),
    QuoteWanted: Quoted(_EVIDENCE),
    Bind: Bound(bytes(NONCE_SIZE)),
    LoginProof: Proved(),
    LastSeen: Seen(None),
}
_ROWS: Final = [[1_600_000_000 + 15 * n, 230.0, 0.5, 231.0] for n in range(240)]


def rehearse() -> None:
    """Live the life, in the calling thread.

    Raises:
        Exception: something does not work here, and would not in a server either.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as scratch, logs.discarded():
        uvloop.run(_rehearse(Path(scratch)))
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(_DEADLINE)


async def _rehearse(scratch: Path) -> None:
    key = Secret(bytes(KEY_SIZE))
    create(scratch / FILE_NAME, key)
    servers = pki.Authority.create("rehearsal of servers", _LIFETIME)
    users = pki.Authority.create("rehearsal of users", _LIFETIME)
    users.save(scratch / "users.pem", scratch / "users-key.pem")
    _load_from_files(servers, scratch)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((_HOST, 0)))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.enter_context(ours)
        stdin, answers = _pipe(stack)
        said, end = _pipe(stack)
        stdout = stack.enter_context(io.TextIOWrapper(end))
        settings = Settings(
            client_authorities=scratch / "users.pem",
            listen_fd=os.dup(listener.fileno()),
            attest_fd=theirs.detach(),
        )
        link = WrapperLink.connected(stdin, stdout)
        async with asyncio.timeout(_DEADLINE), asyncio.TaskGroup() as tasks:
            tasks.create_task(main.run(settings, asyncio.Event(), wrapper=link))
            attending = tasks.create_task(_attend(ours, servers))
            waiting = asyncio.Event()
            wrapper = tasks.create_task(_wrap(said, answers, scratch, waiting))
            await waiting.wait()
            address = f"https://{_HOST}:{listener.getsockname()[1]}"
            await _be_users(address, servers, users, scratch)
            wrapper.cancel()
            attending.cancel()


def _load_from_files(servers: pki.Authority, scratch: Path) -> None:
    """As a server does that has no channel to its wrapper."""
    files = scratch / "servers.pem", scratch / "servers-key.pem"
    servers.save(*files)
    ServerIssuer.load(*files).certificate(_NOBODY)


async def _attend(channel: socket.socket, servers: pki.Authority) -> None:
    """The wrapper's part in attestation, for a platform that believes everything."""
    loop = asyncio.get_running_loop()
    channel.settimeout(0)
    while packet := await loop.sock_recv(channel, messages.LONGEST):
        answer = _answer(messages.read_request(packet), servers)
        await loop.sock_sendall(channel, messages.encode(answer))


def _answer(request: Request, servers: pki.Authority) -> Answer:
    if isinstance(request, Proof):
        return Issued((_certified(request.public_key, servers),), b"{}")
    return _ANSWERS.get(type(request), Kept())


def _certified(public_key: bytes, servers: pki.Authority) -> bytes:
    key = serialization.load_der_public_key(public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("servers' keys are EC keys")
    usage = pki.Usage(server=True)
    certificate = servers.certify(key, Identity(Role.INSTANCE, _NOBODY), usage, _LIFETIME)
    return certificate.public_bytes(serialization.Encoding.DER)


async def _wrap(said: IO[bytes], answers: IO[bytes], volume: Path, waiting: asyncio.Event) -> None:
    """The wrapper's part."""
    reader, transport = await pipes.reader(said, lines.MAX_LINE)
    try:
        while line := await reader.readline():
            if line.startswith(b"LOGIN "):
                answer = lines.format_answer(lines.Volume(str(volume), Generation(1)))
                answers.write(f"{answer}\n".encode())
            waiting.set()
    finally:
        transport.close()


async def _be_users(
    address: str, servers: pki.Authority, users: pki.Authority, scratch: Path
) -> None:
    """The part of a meter, and of a customer who comes meanwhile."""
    login = {"key": bytes(KEY_SIZE).hex(), "login_id": "rehearsal"}
    async with (
        _client(address, _context(servers, users, Role.METER, scratch)) as meter,
        _client(address, _context(servers, users, Role.CUSTOMER, scratch)) as customer,
    ):
        shown = await _ask(meter, "POST", "/v1/attest", json={"challenge": _CHALLENGE})
        proof = {"nonce": shown["login"]["nonce"], "signature": _SIGNATURE}
        meters = await _ask(meter, "POST", "/v1/login", json={**login, "proof": proof})
        batch = {"rows": _ROWS}
        await _ask(meter, "POST", "/v1/long-write", meters["token"], json=batch)
        customers = await _ask(customer, "POST", "/v1/login", json=login)
        period = {"metric": "power", "bucket": "3600"}
        await _ask(customer, "GET", "/v1/query-avg", customers["token"], params=period)
        await _ask(customer, "POST", "/v1/logout", customers["token"])
        await _ask(meter, "POST", "/v1/logout", meters["token"])


def _client(address: str, tls: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(ssl=tls))


async def _ask(
    client: aiohttp.ClientSession,
    method: str,
    path: str,
    token: str = "",
    **content: Any,  # noqa: ANN401  # JSON, or a query
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with client.request(
        method, path, headers=headers, server_hostname=_NOBODY, raise_for_status=True, **content
    ) as response:
        answer: dict[str, Any] = await response.json()
        return answer


def _context(
    servers: pki.Authority, users: pki.Authority, role: Role, scratch: Path
) -> ssl.SSLContext:
    key = pki.new_key()
    usage = pki.Usage(client=True)
    certificate = users.issue(key.public_key(), Identity(role, _NOBODY), usage, _LIFETIME)
    file = scratch / f"{role}.pem"
    file.write_bytes(pki.certificate_pem(certificate) + pki.key_pem(key))
    context = ssl.create_default_context(cadata=pki.certificate_pem(servers.certificate).decode())
    context.load_cert_chain(file)
    return context


def _pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Its two ends; what the server closes itself is closed twice without harm."""
    read, write = os.pipe()
    return (
        stack.enter_context(os.fdopen(read, "rb", buffering=0)),
        stack.enter_context(os.fdopen(write, "wb", buffering=0)),
    )
