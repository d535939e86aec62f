"""What a request says: its body, its query, its path, and the errors of those that say nothing usable."""

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from smartgrid_server.averaging import Period
from smartgrid_server.errors import (
    BodyTooSlowError,
    BodyUnreadableError,
    EmptyPeriodError,
    UnknownAlarmError,
    UnknownMetricError,
)
from smartgrid_server.messages import LAST_SECOND, MOST_ID, AveragesQuery, Metric
from standby import deadlines, decode
from standby.decode import UnreadableError
from standby.errors import TooLargeError
from standby.text import printable
from standby.web import MalformedError, read_by

T = TypeVar("T")
_EDGES: Final = re.compile(r"[0-9]{1,12}(?:,[0-9]{1,12})+")


async def message(request: web.Request, kind: type[T], limit: int | None = None) -> T:
    """The body; `limit` is in bytes, None: the service's."""
    if limit is not None:
        if (request.content_length or 0) > limit:
            raise TooLargeError(f"the request's body has more than {limit} bytes")
        request = request.clone(client_max_size=limit)
    return await body(request, lambda body: decode.json(body, kind))


async def body(request: web.Request, reader: Callable[[bytes], T]) -> T:
    """What `reader` makes of the body."""
    if "Content-Encoding" in request.headers:
        raise BodyUnreadableError("send the request's body as it is, without Content-Encoding")
    try:
        async with asyncio.timeout(deadlines.CLIENT_REQUEST):
            return await read_by(request, reader)
    except TimeoutError as error:
        raise BodyTooSlowError("the request's body did not arrive in time") from error
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise BodyUnreadableError("the request's body did not arrive whole") from error


def query(request: web.Request, kind: type[T]) -> T:
    if len(request.query) != len(set(request.query)):
        raise MalformedError("each query parameter can be given once only")
    try:
        return decode.fields(dict(request.query), kind)
    except UnreadableError as error:
        raise MalformedError(f"the query cannot be used: {error}") from error


def period(asked: AveragesQuery) -> Period:
    """The period of the query.

    Raises:
        MalformedError, EmptyPeriodError: it is none.
    """
    if asked.edges is None:
        if asked.start >= asked.end:
            raise EmptyPeriodError("the period is empty: start must be less than end")
        return Period(asked.start, asked.end, asked.bucket)
    if asked != AveragesQuery(metric=asked.metric, edges=asked.edges):
        raise MalformedError("edges are instead of start, end and bucket")
    if not _EDGES.fullmatch(asked.edges):
        raise MalformedError("edges are Unix seconds with commas, two at least")
    edges = tuple(int(each) for each in asked.edges.split(","))
    if any(start >= end for start, end in itertools.pairwise(edges)):
        raise EmptyPeriodError("a bucket is empty: each of the edges must be greater than the last")
    if edges[-1] > LAST_SECOND:
        raise MalformedError(f"the last of the edges is after {LAST_SECOND}")
    return Period(edges[0], edges[-1], edges=edges)


def alarm_id(request: web.Request) -> int:
    text = request.match_info["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_ID))):
        raise UnknownAlarmError(f"an alarm's id is a number, not {printable(text, 40)!r}")
    return min(int(text), MOST_ID)


def metric(name: str) -> Metric:
    try:
        return Metric(name)
    except ValueError as error:
        raise UnknownMetricError(f"the metric must be one of {', '.join(Metric)}") from error
