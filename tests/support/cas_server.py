"""Stands in for SCONE's CAS: the session part of its REST API as far as it is documented.

TLS with a client certificate; a session is stored under its name with a hash; an existing name without its hash as
`predecessor` is refused; a session is read by its creator unless its `access_policy` says ANY. Not documented, so
chosen here: status codes, the hash (of the text), the words for an outdated predecessor.
"""

import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from standby.web import Listener, serving

EXISTS: Final = "Session already exists, please specify predecessor hash"


@dataclass(frozen=True)
class Stored:
    text: str
    hash: str
    creator: object
    anybody_reads: bool


@dataclass
class CasServer:
    url: str = ""
    sessions: dict[str, Stored] = field(default_factory=dict)
    answers: list[web.Response] = field(default_factory=list)
    """Given one after another instead of what a CAS says."""
    paths: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls, tls: ssl.SSLContext) -> AsyncIterator["CasServer"]:
        server = cls()
        app = web.Application()
        app.router.add_post("/v1/sessions", server.create)
        app.router.add_get("/v1/sessions/{name:.+}", server.read)
        async with serving(app, [Listener(port=0, tls=tls)], shutdown_timeout=0.1) as bound:
            server.url = f"https://127.0.0.1:{bound[0][1]}"
            yield server

    async def create(self, request: web.Request) -> web.Response:
        text = (await request.read()).decode()
        self.paths.append(request.path_qs)
        if self.answers:
            return self.answers.pop(0)
        session: dict[str, Any] = msgspec.yaml.decode(text)
        present = self.sessions.get(session["name"])
        if present is not None and "predecessor" not in session:
            return _error(EXISTS)
        if session.get("predecessor") != (present.hash if present else None):
            return _error("Could not update session", "the predecessor is not the newest version")
        if present is not None and present.creator != _holder(request):
            return _error("Access denied")
        policy = session.get("access_policy", {})
        stored = Stored(
            text=text,
            hash=hashlib.sha256(text.encode()).hexdigest(),
            creator=_holder(request),
            anybody_reads="ANY" in policy.get("read", []),
        )
        self.sessions[session["name"]] = stored
        return web.json_response({"hash": stored.hash}, status=201)

    async def read(self, request: web.Request) -> web.Response:
        self.paths.append(request.path_qs)
        stored = self.sessions.get(request.match_info["name"])
        if stored is None or request.query.get("hash", stored.hash) != stored.hash:
            return _error("Session not found", status=404)
        if stored.creator != _holder(request) and not stored.anybody_reads:
            return _error("Access denied", status=403)
        return web.Response(text=stored.text)


def _holder(request: web.Request) -> object:
    """The key's stand-in: each holder has one certificate here."""
    return request.get_extra_info("peercert")["serialNumber"]


def _error(*messages: str, status: int = 400) -> web.Response:
    return web.json_response({"msg": list(messages)}, status=status)
