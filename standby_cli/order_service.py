"""Takes `orders`, and has them carried out one by one (`changes`)."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

from aiohttp import web

from standby import unix_sockets
from standby import web as kernel
from standby.errors import words
from standby.settings import SettingsError
from standby.text import printable
from standby.web import Endpoint, Listener, respond
from standby_cli.changes import Changes
from standby_cli.errors import CommandError, StartError
from standby_cli.layout import Layout
from standby_cli.orders import MOST_NOTE, MOST_NOTES, Done, NotReadyError, RefusedError
from standby_cli.progress import Tell

_BODY_LIMIT: Final = 1024
"""Bytes; no order has a body."""
CHANGES: Final = web.AppKey("changes", Changes)


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
