"""A smart-grid server that a user takes over while it waits for LOGIN: a program, run in its place.

    python usurper.py             a server
    python usurper.py template    from which such servers are forked

It is the server's own code, with one handler replaced: the user brings the steps of the attack in a header of their
challenge, `[["bind", uid], ["prove", certificate, signature], ["say", line], ["flood"]]`, and is answered what came of
them.

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
from typing import Any, Final

from aiohttp import web

from attestation.issuing.channel import Channel, RefusedError
from attestation.issuing.messages import Bind, Bound, LoginProof, Proved
from smartgrid_server import handlers
from smartgrid_server.entry import Entry
from smartgrid_server.hardening import Rights
from smartgrid_server.proving import ChannelProver
from smartgrid_server.settings import PART, PREFIX, Settings
from standby import service
from standby.hardening.libraries import library_places
from standby.ids import Uid

MALLORY: Final = "mallory"
STEPS: Final = "X-Steps"
_SECONDS: Final = 5.0
_attest = handlers.attest
_bind = Entry.bind
_connect = ChannelProver.__init__
_channels: list[Channel] = []
_asking: list[asyncio.Task[None]] = []


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


_steps: Final[dict[str, Callable[..., Awaitable[str]]]] = {
    "say": _say,
    "bind": _bind_to,
    "prove": _prove,
    "flood": _flood,
}


if __name__ == "__main__":
    setattr(handlers, "attest", attest)  # noqa: B010  # before the table of endpoints is made of them
    setattr(Entry, "bind", bind)  # noqa: B010  # types are for those who do not attack
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
