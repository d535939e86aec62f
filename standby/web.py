"""HTTP services: one table of endpoints per service, from which come its routes, its checks and its OpenAPI file.

Every service has a plain listener for reading (loopback unless set otherwise) and, where it takes orders, a second one
with mutual TLS. An endpoint that names roles can be called only with a certificate of one of them, so over the plain
listener it is refused whatever is sent.

Handlers get a decoded, checked message and return one; errors have one shape everywhere (`standby.errors`).
"""

import asyncio
import contextlib
import http
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from standby import connections, deadlines, decode, http_log, identity
from standby.backlog import BACKLOG
from standby.decode import UnreadableError
from standby.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PlatformError,
    TooLargeError,
)
from standby.logs import EventLog
from standby.messages import MESSAGE_LENGTH, ErrorBody, ErrorDetail
from standby.sampling import Sampler
from standby.text import printable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MessageT = TypeVar("MessageT")

LONGEST_PATH: Final = 200
"""Characters of a path that are logged or repeated to its sender."""
MOST_REFUSALS: Final = 100
"""Of each code that are logged in a minute."""
MOST_FAILURES: Final = 10
"""Of each kind of error of ours that are logged in a minute, with a traceback."""
_REFUSALS: Final = web.AppKey("_REFUSALS", Sampler)
_FAILURES: Final = web.AppKey("_FAILURES", Sampler)
log = EventLog(__name__)


class MalformedError(BadRequestError):
    """The body is not JSON, or lacks what the message needs."""

    code = "malformed"


class NoRouteError(NotFoundError):
    code = "no_such_endpoint"


class MethodError(PlatformError):
    code = "method_not_allowed"
    status = 405


class RoleError(ForbiddenError):
    """The certificate's role may not call this."""

    code = "wrong_role"


class CertificateNeededError(ForbiddenError):
    """An order without a client certificate."""

    code = "client_certificate_required"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of a service's table.

    `request` and `response` are message types (None: no body, or one that is not JSON); `roles` are those whose
    certificate is needed (none: anybody who reaches the listener); `query` maps query parameters to descriptions.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    response: type | None = None
    request: type | None = None
    errors: tuple[type[PlatformError], ...] = ()
    roles: frozenset[identity.Role] = frozenset()
    query: tuple[tuple[str, str], ...] = ()


def make_app(endpoints: Sequence[Endpoint], *, body_limit: int) -> web.Application:
    """An application that serves the table; a request body over `body_limit` bytes is refused."""
    app = web.Application(middlewares=[_errors], client_max_size=body_limit)
    app[_REFUSALS] = Sampler(MOST_REFUSALS)
    app[_FAILURES] = Sampler(MOST_FAILURES)
    for endpoint in endpoints:
        app.router.add_route(endpoint.method, endpoint.path, _checked(endpoint))
    return app


def respond(message: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(message), status=status, content_type="application/json"
    )


async def read(request: web.Request, kind: type[MessageT]) -> MessageT:
    """The request's body as a message.

    Raises:
        MalformedError: not JSON of that kind; the message says where.
        TooLargeError: over the service's limit.
    """
    return await read_by(request, lambda body: decode.json(body, kind))


async def read_by(request: web.Request, reader: Callable[[bytes], MessageT]) -> MessageT:
    """What `reader` makes of the request's body; it raises UnreadableError for what it cannot use.

    Raises:
        MalformedError, TooLargeError: as `read`.
    """
    try:
        return reader(await request.read())
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLargeError("the request's body is over the limit; send less at once") from error
    except UnreadableError as error:
        raise MalformedError(f"the request's body cannot be used: {error}") from error


def peer(request: web.Request) -> identity.Identity:
    """Who is calling, by the certificate that TLS has verified.

    Raises:
        CertificateNeededError: no certificate was shown.
        UnknownIdentityError: it names nobody.
    """
    certificate = request.get_extra_info("peercert")
    if not certificate:
        raise CertificateNeededError(
            "this call needs a client certificate; use the control listener with mutual TLS"
        )
    return identity.of_certificate(certificate)


def error_response(error: PlatformError, request: web.Request) -> web.Response:
    """The error as the sender of the request sees it; the id in it is the log's too, where that has it.

    Whoever reaches a listener can be refused as often as they like, so the log has `MOST_REFUSALS` of each code in a
    minute.
    """
    before = request.app[_REFUSALS].admit(error.code, time.monotonic())
    about = {"method": request.method, "path": request.path[:LONGEST_PATH]}
    if before:
        about["not_logged_before"] = str(before)
    return respond(_error_body(error, about, logged=before is not None), error.status)


def error_bytes(error: PlatformError, *, logged: bool) -> bytes:
    """The same as a whole HTTP answer, for a connection whose requests are not read."""
    body = msgspec.json.encode(_error_body(error, {}, logged=logged))
    status = http.HTTPStatus(error.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _error_body(error: PlatformError, request: Mapping[str, str], *, logged: bool) -> ErrorBody:
    error_id = secrets.token_hex(6)
    text = printable(str(error), MESSAGE_LENGTH)
    if logged:
        log.at(
            error.level,
            "request_refused",
            code=error.code,
            error_id=error_id,
            **request,
            **error.about,
            text=text,
        )
    return ErrorBody(error=ErrorDetail(code=error.code, message=text, id=error_id))


def _checked(endpoint: Endpoint) -> Handler:
    if not endpoint.roles:
        return endpoint.handler

    async def handler(request: web.Request) -> web.StreamResponse:
        caller = peer(request)
        if caller.role not in endpoint.roles:
            raise RoleError(f"a certificate of role {caller.role} may not call this")
        return await endpoint.handler(request)

    return handler


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except PlatformError as error:
        return error_response(error, request)
    except web.HTTPNotFound:
        text = f"there is no {request.path[:LONGEST_PATH]} here"
        return error_response(NoRouteError(text), request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"{request.method} is not possible here, only {allowed}"
        return error_response(MethodError(text), request)
    except (web.HTTPException, ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001  # the last edge: logged whole, answered without details
        return _failed(error, request)


def _failed(error: Exception, request: web.Request) -> web.Response:
    error_id, kind = secrets.token_hex(6), type(error).__name__
    before = request.app[_FAILURES].admit(kind, time.monotonic())
    if before is None:
        text = f"this failed on our side; the log has others of this minute ({kind})"
    else:
        log.error(
            "request_failed",
            error=error,
            error_id=error_id,
            method=request.method,
            path=request.path[:LONGEST_PATH],
            not_logged_before=before,
        )
        text = f"this failed on our side; the log has it under {error_id}"
    return respond(ErrorBody(error=ErrorDetail(code="internal", message=text, id=error_id)), 500)


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a service listens: an address, or a socket that is bound already."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: the system chooses."""
    tls: ssl.SSLContext | None = None
    sock: socket.socket | None = None


def over_unix_socket(request: web.Request) -> bool:
    """Whether the request came over a listener that is a Unix socket."""
    own = request.transport and request.transport.get_extra_info("sockname")
    return isinstance(own, str | bytes)


@contextlib.asynccontextmanager
async def serving(
    app: web.Application,
    listeners: Sequence[Listener],
    *,
    shutdown_timeout: float = 2.0,
    cancel_on_disconnect: bool = False,
    idle: float = deadlines.HTTP_IDLE,
    most: int = connections.MOST,
) -> AsyncIterator[list[tuple[str, int]]]:
    """Serve `app` while the context lasts; gives the bound (host, port) of each listener that is not a Unix socket.

    With `cancel_on_disconnect` a handler is cancelled when its client leaves: right where a handler waits on behalf
    of the client, wrong where it would leave something half done. A connection without a complete request header for
    `idle` seconds, since it was accepted or since the last answer, is closed; the first header has to come sooner. Each
    listener has at most `most` connections (`standby.connections`).
    """
    doors = [connections.Connections(most, min(idle, deadlines.HTTP_FIRST)) for _ in listeners]

    @web.middleware
    async def asking(request: web.Request, handler: Handler) -> web.StreamResponse:
        with contextlib.ExitStack() as stack:
            for door in doors:
                stack.enter_context(door.asking(request.protocol))
            return await handler(request)

    app.middlewares.insert(0, asking)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=shutdown_timeout,
        handler_cancellation=cancel_on_disconnect,
        keepalive_timeout=idle,
        logger=http_log.logger(),
    )
    await runner.setup()
    try:
        make = runner.server
        if make is None:
            raise RuntimeError("the runner is set up before it listens")
        async with contextlib.AsyncExitStack() as stack:
            bound: list[tuple[str, int]] = []
            for listener, door in zip(listeners, doors, strict=True):
                sock = listener.sock or await _bound(listener.host, listener.port)
                if sock.family != socket.AF_UNIX:
                    bound.append(sock.getsockname()[:2])
                await stack.enter_async_context(door.accepting(sock, make, listener.tls))
            yield bound
    finally:
        await runner.cleanup()


async def _bound(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    family, _, _, _, address = (
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    )[0]
    # `reuse_port` lets the supervisor keep the port reserved while this part is down
    return socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=True)


def health(path: str, summary: str, problem: Callable[[web.Request], str | None]) -> Endpoint:
    """`/healthz` or `/readyz`: 200 `ok`, or 503 with the problem in words."""

    async def handler(request: web.Request) -> web.Response:
        text = problem(request)
        return web.Response(text=(text or "ok") + "\n", status=503 if text else 200)

    return Endpoint("GET", path, handler, summary)


def openapi(
    title: str, version: str, description: str, endpoints: Sequence[Endpoint]
) -> dict[str, Any]:
    """The service's table as an OpenAPI 3.1 document."""
    kinds: list[Any] = [ErrorBody]
    for endpoint in endpoints:
        kinds += [kind for kind in (endpoint.request, endpoint.response) if kind is not None]
    unique = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(
        unique, ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(endpoint: Endpoint, schema_of: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": "done"}}
    if endpoint.response is not None:
        responses["200"]["content"] = _json_content(schema_of[endpoint.response])
    for error in sorted(endpoint.errors, key=lambda each: (each.status, each.code)):
        entry = responses.setdefault(
            str(error.status), {"description": "", "content": _json_content(schema_of[ErrorBody])}
        )
        entry["description"] = f"{entry['description']}, {error.code}".removeprefix(", ")
    operation: dict[str, Any] = {"summary": endpoint.summary, "responses": responses}
    if endpoint.roles:
        roles = ", ".join(sorted(endpoint.roles))
        operation["description"] = f"Needs a client certificate of role: {roles}."
    if endpoint.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": _json_content(schema_of[endpoint.request]),
        }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _path_names(endpoint.path)
    ] + [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in endpoint.query
    ]
    if parameters:
        operation["parameters"] = parameters
    return operation


def _json_content(schema: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON Schema
    return {"application/json": {"schema": schema}}


def _path_names(path: str) -> list[str]:
    return [part.split("}")[0].split(":")[0] for part in path.split("{")[1:]]
