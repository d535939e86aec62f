"""Orders to a running supervisor, over a Unix socket in the state directory that only its owner may open (mode 0600).

An account that may open it may read the platform's keys too, so no certificate is asked for. An order is answered when
it has been carried out, and is carried out also when its sender goes away before that. Rejected: signals to the
supervisor, which carry neither names nor answers.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Annotated, Final

import aiohttp
from aiohttp import web
from msgspec import Meta, Struct

from standby import deadlines, decode, unix_sockets
from standby import web as kernel
from standby.decode import UnreadableError
from standby.errors import PlatformError, UnavailableError, words
from standby.messages import ErrorBody
from standby.settings import SettingsError
from standby.text import printable, sentence
from standby.web import Endpoint, Listener, respond
from standby_cli.changes import Changes
from standby_cli.errors import CommandError, StartError
from standby_cli.layout import Layout
from standby_cli.progress import Tell

_BODY_LIMIT: Final = 1024
"""Bytes; no order has a body."""
MOST_NAME: Final = 40
MOST_NOTE: Final = 1000
MOST_NOTES: Final = 100
CHANGES: Final = web.AppKey("changes", Changes)


class RefusedError(PlatformError):
    """The change cannot be made, or came to nothing."""

    code = "change_refused"
    status = 409


class NotReadyError(UnavailableError):
    """A part that was started does not run, or was not ready in time."""

    code = "part_not_ready"


class Done(Struct, frozen=True, kw_only=True):
    """What was asked for has been done."""

    part: Annotated[str, sentence(MOST_NAME)]
    notes: Annotated[list[Annotated[str, sentence(MOST_NOTE)]], Meta(max_length=MOST_NOTES)]
    """What the operator should know, in words."""


@contextlib.asynccontextmanager
async def taken(layout: Layout, changes: Changes) -> AsyncIterator[None]:
    """Take orders while the context lasts.

    Raises:
        OSError: the socket cannot be made.
    """
    app = kernel.make_app(_endpoints(), body_limit=_BODY_LIMIT)
    app[CHANGES] = changes
    try:
        async with kernel.serving(app, [Listener(sock=unix_sockets.listen(layout.orders))]):
            yield
    finally:
        layout.orders.unlink(missing_ok=True)


async def give(layout: Layout, method: str, path: str) -> Done:
    """Have a change made; returns when it has been.

    Raises:
        StartError: a part that was started does not run.
        CommandError: it was refused or failed, or the supervisor does not answer.
    """
    timeout = aiohttp.ClientTimeout(total=deadlines.PART_CHANGE)
    try:
        with unix_sockets.named(layout.orders) as name:
            connector = aiohttp.UnixConnector(name)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(method, f"http://supervisor{path}") as response,
            ):
                answer = await response.read()
        if response.ok:
            return decode.json(answer, Done)
        told = decode.json(answer, ErrorBody).error
    except (aiohttp.ClientError, TimeoutError, OSError, UnreadableError) as error:
        raise CommandError(
            f"the supervisor does not answer at {layout.orders}: {words(error)}"
        ) from error
    raise (StartError if told.code == NotReadyError.code else CommandError)(told.message)


def _endpoints() -> tuple[Endpoint, ...]:
    return (
        _order(
            "POST", "/v1/parts/{name}/restart", Changes.restart, "put a new process in its place"
        ),
        _order("POST", "/v1/parts/{name}/drain", Changes.drain, "let a wrapper leave"),
        _order("POST", "/v1/parts/{name}/undrain", Changes.undrain, "let a wrapper come back"),
        _order(
            "DELETE", "/v1/wrappers/{name}", Changes.remove_wrapper, "let a wrapper leave for good"
        ),
        Endpoint("POST", "/v1/wrappers", _add, "run one more wrapper", Done),
    )


def _order(
    method: str, path: str, change: Callable[[Changes, str, Tell], Awaitable[None]], summary: str
) -> Endpoint:
    async def handler(request: web.Request) -> web.Response:
        name, notes = request.match_info["name"], list[str]()
        with _told():
            await change(request.app[CHANGES], name, notes.append)
        return respond(_done(name, notes))

    return Endpoint(method, path, handler, summary, Done, errors=(RefusedError, NotReadyError))


async def _add(request: web.Request) -> web.Response:
    notes: list[str] = []
    with _told():
        wrapper_id = await request.app[CHANGES].add_wrapper(notes.append)
    return respond(_done(wrapper_id, notes))


def _done(part: str, notes: list[str]) -> Done:
    return Done(part=part, notes=[printable(each, MOST_NOTE) for each in notes[:MOST_NOTES]])


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors of a change, as the sender of the order is told."""
    try:
        yield
    except StartError as error:
        raise NotReadyError(str(error)) from error
    except (CommandError, SettingsError, OSError) as error:
        raise RefusedError(words(error)) from error
