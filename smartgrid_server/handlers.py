"""The HTTP API's handlers: who is calling, what does he want, hand it to the service.

Nothing of a request is read before the process is bound to the user of the client's certificate (`connections`). Order
of checks, for every request then: the certificate's role (by the endpoint table), whether it may be asked before LOGIN,
the token, the body, then the token again in the step in which the work is given away, because the session may end while
a body arrives. LOGIN counts only when its body is complete and well-formed, and the wrapper believes its proof.
"""

import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web

from smartgrid_server import parsing, rows
from smartgrid_server.attesting import ATTESTING, AttestRequest
from smartgrid_server.connections import Connections
from smartgrid_server.database import Database
from smartgrid_server.entry import Entry
from smartgrid_server.errors import (
    BodyUnreadableError,
    ServerTakenError,
    SessionOverError,
    TokenRequiredError,
    TooManyAlarmsError,
)
from smartgrid_server.messages import (
    KEY_SIZE,
    Alarm,
    AlarmsReply,
    AveragesQuery,
    ConflictsReply,
    DeleteReply,
    LoginRequest,
    LongWriteReply,
    PageQuery,
    WriteReply,
    WriteRequest,
)
from smartgrid_server.proving import Shown
from smartgrid_server.rows import Bounds
from smartgrid_server.service import Service, Wish
from standby.errors import PlatformError
from standby.identity import Identity
from standby.secret import Secret
from standby.web import Handler, error_response, peer, respond

T = TypeVar("T")
_BEARER: Final = "bearer"
ATTEST_LIMIT: Final = 1024
"""Bytes of a body; a challenge has 64 at most."""
BEFORE_LOGIN: Final = frozenset({"/v1/attest", "/v1/login-challenge", "/v1/login"})
"""What a client may ask for before LOGIN."""
LOGIN_LIMIT: Final = 4096
"""Bytes of a body; a LOGIN with everything has about 500."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of single requests."""

    rows: Bounds
    alarms: int
    buckets: int


@dataclass(frozen=True, slots=True)
class Context:
    """What the handlers work with."""

    service: Service
    entry: Entry
    connections: Connections
    limits: Limits


CONTEXT: Final = web.AppKey("context", Context)


async def attest(request: web.Request) -> web.Response:
    body = await parsing.message(request, AttestRequest, ATTEST_LIMIT)
    login = request.app[CONTEXT].entry.challenge()
    return respond(await request.app[ATTESTING].show(body.challenge, login))


async def login_challenge(request: web.Request) -> web.Response:
    return respond(request.app[CONTEXT].entry.challenge())


async def login(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    caller = peer(request)
    body = await parsing.message(request, LoginRequest, LOGIN_LIMIT)
    await context.entry.prove(caller.name, _shown(request, body))
    context.connections.let_in(request.protocol)
    key = Secret.from_hex(body.key, KEY_SIZE)
    wish = Wish(body.login_id, body.freshness, body.accept_older)
    del body  # the key's text in it cannot be overwritten, but need not be kept while the volume is awaited
    return respond(await context.service.login(caller, key, wish))


async def logout(request: web.Request) -> web.Response:
    caller, token = _member(request)
    reply = await request.app[CONTEXT].service.logout(caller, token)
    response = respond(reply)
    if reply.ended:
        response.force_close()
    return response


async def write(request: web.Request) -> web.Response:
    caller, token = _member(request)
    body = await parsing.message(request, WriteRequest)
    most = request.app[CONTEXT].limits.alarms
    if len(body.alarms) > most:
        raise TooManyAlarmsError(f"{len(body.alarms)} alarms at once; send {most} at most")
    for alarm in body.alarms:
        parsing.metric(alarm.metric)
    work = _work(request, caller, token, lambda database: database.write_alarms(body.alarms))
    return respond(WriteReply(stored=await work))


async def long_write(request: web.Request) -> web.Response:
    caller, token = _member(request)
    bounds = request.app[CONTEXT].limits.rows
    found = await parsing.body(request, lambda body: rows.read(body, bounds, time.time()))
    counts = await _work(
        request,
        caller,
        token,
        lambda database: database.store(found.accepted, correct=found.correct),
    )
    return respond(
        LongWriteReply(
            stored=counts.stored,
            unchanged=counts.unchanged,
            corrected=counts.corrected,
            conflicts=counts.conflicts,
            rejected=found.rejected,
            rejections=found.rejections,
        )
    )


async def query_avg(request: web.Request) -> web.Response:
    caller, token = _member(request)
    query = parsing.query(request, AveragesQuery)
    metric = parsing.metric(query.metric)
    period = parsing.period(query)
    most = request.app[CONTEXT].limits.buckets
    work = _work(request, caller, token, lambda database: database.averages(metric, period, most))
    return respond(await work)


async def alarms(request: web.Request) -> web.Response:
    caller, token = _member(request)
    query = parsing.query(request, PageQuery)
    # one more than asked for shows whether there are more
    found = await _work(
        request, caller, token, lambda database: database.alarms(query.after, query.limit + 1)
    )
    page = found[: query.limit]
    return respond(AlarmsReply(alarms=page, more=len(found) > len(page)))


async def change_alarm(request: web.Request) -> web.Response:
    caller, token = _member(request)
    number = parsing.alarm_id(request)
    alarm = await parsing.message(request, Alarm)
    parsing.metric(alarm.metric)
    work = _work(request, caller, token, lambda database: database.change_alarm(number, alarm))
    return respond(await work)


async def delete_alarm(request: web.Request) -> web.Response:
    caller, token = _member(request)
    number = parsing.alarm_id(request)
    work = _work(request, caller, token, lambda database: database.delete_alarm(number))
    return respond(DeleteReply(deleted=await work))


async def conflicts(request: web.Request) -> web.Response:
    caller, token = _member(request)
    query = parsing.query(request, PageQuery)
    found = await _work(
        request, caller, token, lambda database: database.conflicts(query.after, query.limit + 1)
    )
    page = found[: query.limit]
    return respond(ConflictsReply(conflicts=page, more=len(found) > len(page)))


@web.middleware
async def one_user(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Before LOGIN little is read; a client that must not go on here has its connection closed with the refusal."""
    try:
        if request.app[CONTEXT].entry.before_login:
            _check_before_login(request)
    except PlatformError as error:
        return _closing(error, request)
    try:
        return await handler(request)
    except (ServerTakenError, SessionOverError) as error:
        return _closing(error, request)


def _check_before_login(request: web.Request) -> None:
    """Refuse what is not needed for LOGIN; nothing is routed, and no body read, for that.

    Raises:
        PlatformError: there is no session yet, or the request is not as small and simple as it can be.
    """
    context = request.app[CONTEXT]
    context.connections.count(request.protocol)
    if request.path not in BEFORE_LOGIN:
        context.service.check(peer(request), _token(request))
    if "Transfer-Encoding" in request.headers:
        raise BodyUnreadableError("send the request's body with its Content-Length")


def _closing(error: PlatformError, request: web.Request) -> web.Response:
    response = error_response(error, request)
    response.force_close()
    return response


def _member(request: web.Request) -> tuple[Identity, str]:
    """The caller and his token, which is good now; his connection may stay."""
    caller, token = peer(request), _token(request)
    context = request.app[CONTEXT]
    context.service.check(caller, token)
    context.connections.let_in(request.protocol)
    return caller, token


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != _BEARER or not token.strip():
        raise TokenRequiredError("log in, then send `Authorization: Bearer <token>`")
    return token.strip()


def _shown(request: web.Request, body: LoginRequest) -> Shown | None:
    if body.proof is None:
        return None
    connection: ssl.SSLObject = request.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) or b""
    return Shown(body.proof.nonce, body.proof.signature, certificate)


def _work(
    request: web.Request, caller: Identity, token: str, task: Callable[[Database], T]
) -> Awaitable[T]:
    return request.app[CONTEXT].service.work(caller, token, task)
