"""The HTTP side: the table of endpoints, thin handlers, and one cleanup context per resource.

Reading happens over the plain listener. Whatever changes something names the roles that may, so it works over the
control listener alone (`standby.web`).
"""

import asyncio
import contextlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

import standby.web
from routing_manager import errors, page, reports, views
from routing_manager.control import ControlClient
from routing_manager.core import Core
from routing_manager.events import Feed
from routing_manager.metrics import Metrics
from routing_manager.outcomes import Entry
from routing_manager.service import RoutingService
from routing_manager.settings import Settings
from standby import metrics
from standby.errors import TooLargeError
from standby.identity import Role
from standby.ids import WrapperId
from standby.messages import PlatformState, Report, ReportReply, Route, WrapperView
from standby.web import (
    CertificateNeededError,
    Endpoint,
    MalformedError,
    RoleError,
    health,
    make_app,
    peer,
    read_by,
    respond,
)

CORE: Final = web.AppKey("CORE", Core)
CONTROL: Final = web.AppKey("CONTROL", ControlClient)
FEED: Final = web.AppKey("FEED", Feed)
METRICS: Final = web.AppKey("METRICS", Metrics)
SERVICE: Final = web.AppKey("SERVICE", RoutingService)
SETTINGS: Final = web.AppKey("SETTINGS", Settings)


async def _route(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    if request.app[SETTINGS].routes_socket is not None and not standby.web.over_unix_socket(
        request
    ):
        raise errors.RoutesElsewhereError("routes are given over this service's Unix socket alone")
    instance = await service.route(request.match_info["sni"], request.query.get("source"))
    return respond(views.route(instance))


async def _report(request: web.Request) -> web.Response:
    wrapper_id = request.match_info["id"]
    if peer(request).name != wrapper_id:
        raise errors.WrongWrapperError("a wrapper reports for itself only, by its certificate")
    received = await read_by(request, reports.read)
    return respond(request.app[SERVICE].report(WrapperId(wrapper_id), received))


async def _drain(request: web.Request) -> web.Response:
    return respond(await request.app[SERVICE].drain(WrapperId(request.match_info["id"])))


async def _state(request: web.Request) -> web.Response:
    return respond(views.platform(request.app[CORE], time.monotonic()))


async def _events(request: web.Request) -> web.StreamResponse:
    return await request.app[FEED].respond(request)


def _not_ready(request: web.Request) -> str | None:
    return None if request.app[CORE].settled else "not settled: awaiting the wrappers' reports"


def endpoints(registry: CollectorRegistry) -> list[Endpoint]:
    """The service's whole API."""
    refusals = (errors.NoCapacityError, errors.NotSettledError, errors.StoppingError)
    orders = (CertificateNeededError, RoleError)
    return [
        Endpoint(
            "GET",
            "/v1/route/{sni}",
            _route,
            "the server process to connect to; may wait for one",
            response=Route,
            errors=(errors.BadNameError, errors.RoutesElsewhereError, *refusals),
            query=(("source", "address of the client: reservations are capped per source"),),
        ),
        Endpoint(
            "POST",
            "/v1/wrappers/{id}/report",
            _report,
            "what a wrapper runs; its certificate must be of the same name",
            request=Report,
            response=ReportReply,
            errors=(
                *orders,
                errors.WrongWrapperError,
                errors.BadReportError,
                MalformedError,
                TooLargeError,
            ),
            roles=frozenset({Role.WRAPPER}),
        ),
        Endpoint(
            "POST",
            "/v1/wrappers/{id}/drain",
            _drain,
            "ask a wrapper to take no new users and leave when its sessions have ended",
            response=WrapperView,
            errors=(*orders, errors.UnknownWrapperError, errors.WrapperUnreachableError),
            roles=frozenset({Role.OPERATOR}),
        ),
        Endpoint("GET", "/v1/state", _state, "everything that is known", response=PlatformState),
        Endpoint(
            "GET",
            "/v1/events",
            _events,
            "server-sent events: a PlatformState at once and on every change, a few a second",
            errors=(errors.TooManyFollowersError,),
        ),
        Endpoint("GET", "/", page.respond, "the status page, for people"),
        health("/healthz", "whether the process works", lambda _request: None),
        health("/readyz", "whether users without a session are served", _not_ready),
        metrics.endpoint(registry),
    ]


def openapi() -> dict[str, Any]:
    """The API as an OpenAPI document."""
    return standby.web.openapi(
        "Routing Manager",
        "1",
        "Which server process a user is sent to. Errors have one shape; their codes are stable.",
        endpoints(CollectorRegistry()),
    )


def make(settings: Settings, tls: ssl.SSLContext | None) -> web.Application:
    """The application; `tls` is the client context for orders to wrappers."""
    registry = CollectorRegistry()
    app = make_app(endpoints(registry), body_limit=settings.body_limit)
    app[SETTINGS] = settings
    app[METRICS] = Metrics(registry)

    async def control(app: web.Application) -> AsyncIterator[None]:
        app[CONTROL] = ControlClient(tls)
        yield
        await app[CONTROL].close()

    app.cleanup_ctx.extend([control, _core, _feed, _service])
    app.on_shutdown.append(_stop_waiting)
    return app


async def _core(app: web.Application) -> AsyncIterator[None]:
    app[CORE] = Core(app[SETTINGS], time.monotonic(), secrets.token_hex(6))
    app[METRICS].show(app[CORE])
    yield


async def _feed(app: web.Application) -> AsyncIterator[None]:
    def state() -> bytes:
        return msgspec.json.encode(views.platform(app[CORE], time.monotonic()))

    def failed(error: Exception) -> None:
        app[SERVICE].errors.note(Entry.FEED, error)

    app[FEED] = Feed(state, app[SETTINGS].followers, failed)
    task = asyncio.create_task(app[FEED].run(), name="feed")
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _service(app: web.Application) -> AsyncIterator[None]:
    app[SERVICE] = RoutingService(app[CORE], app[CONTROL], app[METRICS], app[FEED].changed)
    yield
    app[SERVICE].stop()


async def _stop_waiting(app: web.Application) -> None:
    """Before connections are closed: answer those who wait, end the streams."""
    app[SERVICE].stop()
    app[FEED].close()
