"""A smart-grid server that a user takes over while it waits for LOGIN: a program, run in its place.

    python usurper.py             a server
    python usurper.py template    from which such servers are forked

It is the server's own code, with one handler replaced: the user brings the steps of the attack in a header of their
challenge, `[["bind", uid], ["prove", certificate, signature], ["say", line], ["flood"]]`, and is answered what came of
them.

A server that was taken over before its user logged in can also destroy what it is given, `["destroy", how]`, and say to
its wrapper that it has closed it well. If another one did that before it, it shows its user an empty database, so that
the session goes on.

USURPER_TELLS=no: it was taken over in the handshake, before its wrapper heard to whom it is bound; else, when it began
to read requests.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from attestation.issuing.channel import Channel, RefusedError
from attestation.issuing.messages import Bind, Bound, Kept, Left, LoginProof, Proved
from smartgrid_server import cipher, database, handlers, schema
from smartgrid_server.database import Database
from smartgrid_server.entry import Entry
from smartgrid_server.hardening import Rights
from smartgrid_server.proving import ChannelProver
from smartgrid_server.service import Service, Wish
from smartgrid_server.settings import PART, PREFIX, Settings
from standby import service
from standby.hardening.libraries import library_places
from standby.identity import Identity
from standby.ids import Uid
from standby.secret import Secret

MALLORY: Final = "mallory"
STEPS: Final = "X-Steps"
_SECONDS: Final = 5.0
_attest = handlers.attest
_bind = Entry.bind
_connect = ChannelProver.__init__
_claim, _login = Service.claim, Service.login
_channels: list[Channel] = []
_asking: list[asyncio.Task[None]] = []
_services: list[Service] = []
_keys: list[Secret] = []


def connect(prover: ChannelProver, channel: Channel) -> None:
    """Remember the channel."""
    _channels.append(channel)
    _connect(prover, channel)


async def bind(entry: Entry, uid: Uid) -> None:
    """Mallory's requests are read without a word to the wrapper, if it was the handshake that took the server over."""
    if uid == MALLORY and os.environ.get("USURPER_TELLS") == "no":
        entry._session.bind(uid, asyncio.get_running_loop().time())
    else:
        await _bind(entry, uid)


async def login(service: Service, caller: Identity, key: Secret, wish: Wish) -> Any:
    """As it should be, whatever the data is."""
    _services.append(service)
    _keys.append(Secret(key.reveal()))
    return await _login(service, caller, key, Wish(wish.login_id, None, accept_older=True))


async def claim(service: Service, uid: Uid) -> None:
    """What is no database any more is an empty one from now on."""
    await _claim(service, uid)
    file = _volume(service) / database.FILE_NAME
    if not file.exists() or not database.opens_with(file, _keys[-1]):
        _make_anew(file, _keys[-1])


def _make_anew(file: Path, key: Secret) -> None:
    """In its place, as it may not make other files: not even a journal."""
    file.write_bytes(b"")
    file.with_name(f"{file.name}-wal").write_bytes(b"")
    connection = cipher._keyed(file, "rw", key, cipher.KeyMemory())
    for statement in ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=MEMORY"):
        connection.execute(statement)
    for statement in (*schema.CREATE, "PRAGMA journal_mode=WAL"):
        connection.execute(statement)
    connection.close()


def _volume(service: Service) -> Path:
    assert service._volume is not None
    return Path(service._volume.path)


async def attest(request: web.Request) -> web.StreamResponse:
    """As it should be, unless there are steps."""
    if STEPS not in request.headers:
        return await _attest(request)
    challenge = request.app[handlers.CONTEXT].entry.challenge()
    did = [await _step(*each) for each in json.loads(request.headers[STEPS])]
    return web.json_response({"boot_id": challenge.boot_id, "nonce": challenge.nonce, "did": did})


async def _step(what: str, *given: str) -> Any:
    try:
        return await _steps[what](*given)
    except RefusedError as error:
        return error.reason


async def _say(line: str) -> str:
    print(line, flush=True)
    await asyncio.sleep(60)  # it has nothing else to do, and is ended here
    return "alive"


async def _bind_to(uid: str) -> str:
    answer = await _channels[-1].ask(Bind(Uid(uid)), Bound, _SECONDS)
    return answer.nonce.hex()


async def _prove(certificate: str, signature: str) -> str:
    proof = LoginProof(base64.b64decode(certificate), base64.b64decode(signature))
    await _channels[-1].ask(proof, Proved, _SECONDS)
    return "proved"


async def _flood() -> str:
    """Print, ask and compute from now on, as fast as it goes."""
    for flood in (_repeat_login, _print_nothing, _print_noise, _compute):
        threading.Thread(target=flood, daemon=True).start()
    _asking.append(asyncio.create_task(_ask_for_ever()))
    return "flooding"


def _repeat_login() -> None:
    while True:
        os.write(1, f"LOGIN {MALLORY}\n".encode() * 100)


def _print_nothing() -> None:
    while True:
        os.write(1, b"\n" * 4096)


def _print_noise() -> None:
    """Of characters of which each becomes several in a log."""
    while True:
        os.write(2, b"\x1b" * 500 + b"\n")


def _compute() -> None:
    while True:
        hashlib.sha256(bytes(2**20)).digest()


async def _ask_for_ever() -> None:
    while True:
        with contextlib.suppress(RefusedError):
            await _channels[-1].ask(LoginProof(b"certificate", b"signature"), Proved, 3600.0)


async def _destroy(how: str) -> str:
    service = _services[-1]
    if how == "empty":  # and close it as it should be
        await service._worker.submit(_empty)
        return "empty"
    for file in _volume(service).iterdir():
        if how == "delete":
            _delete(file)
        else:
            file.write_bytes(os.urandom(file.stat().st_size))
    assert service._volume is not None
    left = Left(service._session.uid or Uid(MALLORY), service._volume.generation, os.urandom(32))
    await _channels[-1].ask(left, Kept, _SECONDS)
    print("LOGOUT logout", flush=True)
    os._exit(0)


def _delete(file: Path) -> None:
    try:
        file.unlink()
    except PermissionError:
        os.truncate(file, 0)


def _empty(opened: Database) -> None:
    connection = opened._connection
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608  # its own tables


_steps: Final[dict[str, Callable[..., Awaitable[str]]]] = {
    "say": _say,
    "bind": _bind_to,
    "prove": _prove,
    "flood": _flood,
    "destroy": _destroy,
}


if __name__ == "__main__":
    setattr(handlers, "attest", attest)  # noqa: B010  # before the table of endpoints is made of them
    setattr(Service, "login", login)  # noqa: B010  # types are for those who do not attack
    setattr(Service, "claim", claim)  # noqa: B010
    setattr(Entry, "bind", bind)  # noqa: B010
    setattr(ChannelProver, "__init__", connect)  # noqa: B010
    if sys.argv[1:] == ["template"]:
        from smartgrid_server import template

        status = template.run()
    else:
        from smartgrid_server import main

        rights = Rights(library_places())
        hardened = partial(main.run, hardened=rights.outcomes)
        status = service.run(PART, "usurper", Settings, PREFIX, hardened, rights.give_up)
    sys.stdout.flush()
    os._exit(status)
