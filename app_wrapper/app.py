"""The wrapper's HTTP API: one table of endpoints. Orders need a certificate, so they come over the control listener."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from msgspec import Struct
from prometheus_client import CollectorRegistry

from app_wrapper.errors import (
    AtCapacityError,
    DrainingError,
    NotRunningError,
    NotStartedError,
    WrongApproachError,
)
from app_wrapper.supervisor import Supervisor
from app_wrapper.volumes import UnknownUserError
from standby import metrics
from standby import web as kernel
from standby.approach import Approach
from standby.errors import BadRequestError, PlatformError, TooLargeError
from standby.identity import Role
from standby.ids import InvalidIdError, SlotField, Uid, parse_uid
from standby.messages import InstanceView, PoolSize, StartOrder, Ticket, WrapperState
from standby.web import Endpoint, MalformedError, respond

VERSION: Final = "1"
BODY_LIMIT: Final = 16_384
"""Bytes; orders are a few dozen."""
_ORDERS: Final = frozenset({Role.OPERATOR, Role.ROUTING_MANAGER})
_NOT_NOW: Final = (DrainingError, AtCapacityError, WrongApproachError)


class BadNameError(BadRequestError):
    """The path names a user that cannot exist."""

    code = "bad_name"


class OrderTaken(Struct, frozen=True, kw_only=True):
    """`POST /v1/starts`: the slot of the server that was started for the ticket."""

    ticket: Ticket
    slot: SlotField


@dataclass(frozen=True, slots=True)
class Control:
    """What the handlers work with."""

    supervisor: Supervisor
    approach: Approach
    leave: asyncio.Event
    """To be set when the wrapper shall drain and end."""
    reports_accepted: Callable[[], bool]
    """Whether the Routing Manager accepted the last report; true without one."""

    def need(self, approach: Approach) -> None:
        """Refuse an order that belongs to another approach.

        Raises:
            WrongApproachError: this wrapper works otherwise.
        """
        if self.approach is not approach:
            raise WrongApproachError(f"this wrapper's approach is {self.approach}, not {approach}")


CONTROL: Final = web.AppKey("control", Control)


def make_app(control: Control, registry: CollectorRegistry) -> web.Application:
    app = kernel.make_app(endpoints(registry), body_limit=BODY_LIMIT)
    app[CONTROL] = control
    return app


def endpoints(registry: CollectorRegistry) -> tuple[Endpoint, ...]:
    """The table; `registry` holds the metrics to be shown."""
    return (
        Endpoint("GET", "/v1/instances", _instances, "this wrapper's servers", WrapperState),
        kernel.health("/healthz", "the event loop runs", lambda _request: None),
        kernel.health("/readyz", "the pool is full and the Routing Manager knows it", _problem),
        metrics.endpoint(registry),
        _order("PUT", "/v1/pool", _resize, "size of the pool", request=PoolSize),
        _order("POST", "/v1/start", _start, "start the pool (mode dynamic)"),
        _order("POST", "/v1/stop", _stop, "end every server now, sessions as LOGOUT does"),
        _order("POST", "/v1/drain", _drain, "take no new users, let sessions end, then leave"),
        _order(
            "POST",
            "/v1/starts",
            _start_one,
            "start one server (approach on-demand); the same ticket again starts nothing more",
            request=StartOrder,
            response=OrderTaken,
        ),
        _order(
            "PUT",
            "/v1/users/{uid}",
            _serve_user,
            "run the user's own server (approach trivial); answers once it has the user's data",
            response=InstanceView,
            errors=(BadNameError, UnknownUserError, NotStartedError),
        ),
    )


def openapi() -> dict[str, Any]:
    """The API's description."""
    return kernel.openapi(
        "App Wrapper",
        VERSION,
        "Keeps a pool of server processes. Orders need the control listener (mutual TLS).",
        endpoints(CollectorRegistry()),
    )


def _order(
    method: str,
    path: str,
    handler: kernel.Handler,
    summary: str,
    *,
    request: type | None = None,
    response: type = WrapperState,
    errors: tuple[type[PlatformError], ...] = (),
) -> Endpoint:
    common = (kernel.CertificateNeededError, kernel.RoleError, NotRunningError, *_NOT_NOW)
    wrong_body = (MalformedError, TooLargeError) if request else ()
    return Endpoint(
        method,
        path,
        handler,
        summary,
        response,
        request,
        (*common, *wrong_body, *errors),
        roles=_ORDERS,
    )


def _problem(request: web.Request) -> str | None:
    control = request.app[CONTROL]
    pool = control.supervisor.pool
    if pool.draining:
        return "draining"
    if missing := pool.roster.missing():
        return pool.degraded() or f"{missing} servers are not up yet"
    return None if control.reports_accepted() else "the Routing Manager accepts no reports"


async def _instances(request: web.Request) -> web.Response:
    return _state(request.app[CONTROL])


async def _resize(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    control.need(Approach.STANDBY)
    wanted = await kernel.read(request, PoolSize)
    control.supervisor.resize(wanted.size)
    return _state(control)


async def _start(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    control.supervisor.start()
    return _state(control)


async def _stop(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    control.supervisor.stop()
    return _state(control)


async def _drain(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    control.supervisor.drain()
    control.leave.set()
    return _state(control)


async def _start_one(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    control.need(Approach.ON_DEMAND)
    order = await kernel.read(request, StartOrder)
    control.supervisor.order(order.ticket)
    slot = control.supervisor.pool.slot_of_order(order.ticket)
    assert slot is not None  # noqa: S101  # it was taken just now
    return respond(OrderTaken(ticket=order.ticket, slot=slot))


async def _serve_user(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    control.need(Approach.TRIVIAL)
    uid = _uid(request.match_info["uid"])
    return respond(await control.supervisor.serve_user(uid))


def _state(control: Control) -> web.Response:
    return respond(control.supervisor.state())


def _uid(text: str) -> Uid:
    try:
        return parse_uid(text)
    except InvalidIdError as error:
        raise BadNameError(str(error)) from error
