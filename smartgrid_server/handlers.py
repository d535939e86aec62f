"""The HTTP API's handlers: who is calling, what does he want, hand it to the service.

Order of checks, for every request: the certificate's role (by the endpoint table), the certificate's user against the
name that was asked for, the token, the body, then the token again in the step in which the work is given away, because
the session may end while a body arrives. LOGIN binds the process only when its body is complete and well-formed.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from smartgrid_server.connections import Connections
from smartgrid_server.database import Database, Period
from smartgrid_server.errors import (
    BatchTooLargeError,
    BodyTooSlowError,
    BodyUnreadableError,
    EmptyPeriodError,
    ServerTakenError,
    SessionOverError,
    TokenRequiredError,
    TooManyAlarmsError,
    UnknownMetricError,
    WrongUserError,
)
from smartgrid_server.messages import (
    KEY_SIZE,
    AlarmsQuery,
    AlarmsReply,
    AveragesQuery,
    LoginRequest,
    LongWriteRequest,
    Metric,
    WriteReply,
    WriteRequest,
)
from smartgrid_server.service import Service, Wish
from smartgrid_server.session import Session
from smartgrid_server.tls import asked_for
from standby import deadlines, decode
from standby.decode import UnreadableError
from standby.identity import Identity
from standby.secret import Secret
from standby.web import Handler, MalformedError, error_response, peer, read, respond

T = TypeVar("T")
_BEARER: Final = "bearer"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of single requests."""

    rows: int
    alarms: int
    buckets: int


@dataclass(frozen=True, slots=True)
class Context:
    """What the handlers work with."""

    service: Service
    session: Session
    connections: Connections
    limits: Limits


CONTEXT: Final = web.AppKey("context", Context)


async def login(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    caller = _caller(request)
    body = await _message(request, LoginRequest)
    context.session.bind(caller.name)
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
    body = await _message(request, WriteRequest)
    most = request.app[CONTEXT].limits.alarms
    if len(body.alarms) > most:
        raise TooManyAlarmsError(f"{len(body.alarms)} alarms at once; send {most} at most")
    for alarm in body.alarms:
        _metric(alarm.metric)
    work = _work(request, caller, token, lambda database: database.write_alarms(body.alarms))
    return respond(WriteReply(stored=await work))


async def long_write(request: web.Request) -> web.Response:
    caller, token = _member(request)
    body = await _message(request, LongWriteRequest)
    most = request.app[CONTEXT].limits.rows
    if len(body.rows) > most:
        raise BatchTooLargeError(f"{len(body.rows)} readings in a batch; send {most} at most")
    work = _work(
        request, caller, token, lambda database: database.long_write(body.batch_id, body.rows)
    )
    return respond(await work)


async def query_avg(request: web.Request) -> web.Response:
    caller, token = _member(request)
    query = _query(request, AveragesQuery)
    metric = _metric(query.metric)
    if query.start >= query.end:
        raise EmptyPeriodError("the period is empty: start must be less than end")
    period = Period(query.start, query.end, query.bucket)
    most = request.app[CONTEXT].limits.buckets
    work = _work(request, caller, token, lambda database: database.averages(metric, period, most))
    return respond(await work)


async def alarms(request: web.Request) -> web.Response:
    caller, token = _member(request)
    query = _query(request, AlarmsQuery)
    # one more than asked for shows whether there are more
    found = await _work(
        request, caller, token, lambda database: database.alarms(query.after, query.limit + 1)
    )
    page = found[: query.limit]
    return respond(AlarmsReply(alarms=page, more=len(found) > len(page)))


@web.middleware
async def leave_others_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A client that must not use this process further has its connection closed with the refusal."""
    try:
        return await handler(request)
    except (ServerTakenError, SessionOverError, WrongUserError) as error:
        response = error_response(error, request)
        response.force_close()
        return response


def _caller(request: web.Request) -> Identity:
    """The user of the client's certificate, who must be the one the client asked for."""
    caller = peer(request)
    connection: ssl.SSLObject = request.get_extra_info("ssl_object")
    if caller.name != asked_for(connection):
        raise WrongUserError("the client certificate is not that of the user asked for (SNI)")
    return caller


def _member(request: web.Request) -> tuple[Identity, str]:
    """The caller and his token, which is good now; his connection may stay."""
    caller = _caller(request)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != _BEARER or not token.strip():
        raise TokenRequiredError("log in, then send `Authorization: Bearer <token>`")
    context = request.app[CONTEXT]
    context.service.check(caller, token.strip())
    context.connections.let_in(request.protocol)
    return caller, token.strip()


async def _message(request: web.Request, kind: type[T]) -> T:
    if "Content-Encoding" in request.headers:
        raise BodyUnreadableError("send the request's body as it is, without Content-Encoding")
    try:
        async with asyncio.timeout(deadlines.CLIENT_REQUEST):
            return await read(request, kind)
    except TimeoutError as error:
        raise BodyTooSlowError("the request's body did not arrive in time") from error
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise BodyUnreadableError("the request's body did not arrive whole") from error


def _query(request: web.Request, kind: type[T]) -> T:
    if len(request.query) != len(set(request.query)):
        raise MalformedError("each query parameter can be given once only")
    try:
        return decode.fields(dict(request.query), kind)
    except UnreadableError as error:
        raise MalformedError(f"the query cannot be used: {error}") from error


def _metric(name: str) -> Metric:
    try:
        return Metric(name)
    except ValueError as error:
        raise UnknownMetricError(f"the metric must be one of {', '.join(Metric)}") from error


def _work(
    request: web.Request, caller: Identity, token: str, task: Callable[[Database], T]
) -> Awaitable[T]:
    return request.app[CONTEXT].service.work(caller, token, task)
