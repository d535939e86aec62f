"""Orders to a running supervisor, over a Unix socket in the state directory that only its owner may open (mode 0600).

An account that may open it may read the platform's keys too, so no certificate is asked for. An order is answered when
it has been carried out, and is carried out also when its sender goes away before that. The supervisor's end of it is
`order_service`. Rejected: signals to the supervisor, which carry neither names nor answers.
"""

from typing import Annotated, Final

import aiohttp
from msgspec import Meta, Struct

from standby import deadlines, decode, unix_sockets
from standby.decode import UnreadableError
from standby.errors import PlatformError, UnavailableError, words
from standby.messages import ErrorBody
from standby.text import sentence
from standby_cli.errors import CommandError, StartError
from standby_cli.layout import Layout

MOST_NAME: Final = 40
MOST_NOTE: Final = 1000
MOST_NOTES: Final = 100


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
