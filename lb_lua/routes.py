"""Where users' sessions are, as the wrappers say: what a starting HAProxy knows while the Routing Manager is away."""

import asyncio
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from standby import deadlines, decode
from standby.ids import Uid
from standby.logs import EventLog
from standby.messages import InstanceView, WrapperState
from standby.states import State

_LONGEST_ANSWER: Final = 64 * 1024 * 1024
"""Bytes; 100,000 servers with 500 bytes each."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n")
log = EventLog(__name__)


async def of_sessions(urls: Sequence[str]) -> dict[Uid, str]:
    """The place (`address:port`) of each user's server, by what the wrappers say now.

    A wrapper that does not answer soon is left out: its users are asked for when they come, as ever.
    """
    answers = await asyncio.gather(*(_instances(url) for url in urls))
    return places(instance for answer in answers for instance in answer)


def places(instances: Iterable[InstanceView]) -> dict[Uid, str]:
    """Of two servers of one user, the one that claimed the user's volume last."""
    claimed = sorted(
        (each for each in instances if each.state is State.ACTIVE),
        key=lambda each: each.generation or 0,
    )
    found = ((each.user, _place(each)) for each in claimed)
    return {uid: place for uid, place in found if uid is not None and place is not None}


def lines(found: Mapping[Uid, str]) -> str:
    """The places as a map file of HAProxy."""
    return "".join(f"{uid} {place}\n" for uid, place in sorted(found.items()))


def _place(instance: InstanceView) -> str | None:
    """None: its address is none."""
    try:
        address = ipaddress.ip_address(instance.address)
    except ValueError:
        return None
    return (
        f"[{address}]:{instance.port}" if ":" in instance.address else f"{address}:{instance.port}"
    )


async def _instances(url: str) -> list[InstanceView]:
    try:
        async with asyncio.timeout(deadlines.ROUTE_CONNECT):
            return decode.json(await _get(url, "/v1/instances"), WrapperState).instances
    except (OSError, ValueError, TimeoutError) as error:
        log.info("wrapper_not_asked", url=url, text=repr(error))
        return []


async def _get(url: str, path: str) -> bytes:
    """The body of a plain answer. An HTTP library would cost each start of HAProxy a third of a second.

    Raises:
        ValueError: it is no answer with a body of a length that can be.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = _LENGTH.search(head)
        if head.split()[1:2] != [b"200"] or length is None or int(length[1]) > _LONGEST_ANSWER:
            raise ValueError(f"answered {head[:100]!r}")
        return await reader.readexactly(int(length[1]))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError("no whole answer") from error
    finally:
        writer.close()
