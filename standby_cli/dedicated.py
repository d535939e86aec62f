"""Approach `trivial`: one server per user, always running, and HAProxy's static map from user to server.

A user belongs to one wrapper, chosen by a hash of the user id, so that asking again gives the same answer.
"""

import asyncio
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app_wrapper.volumes.hostpath import HostPathVolumes
from lb_lua.admin import Admin
from standby import deadlines
from standby.ids import Uid
from standby.messages import InstanceView
from standby_cli.control import Control
from standby_cli.endpoints import WrapperUrls
from standby_cli.layout import Layout

AT_ONCE: Final = 8


def enrolled(layout: Layout) -> list[Uid]:
    """Every user that has a volume."""
    return [volume.uid for volume in HostPathVolumes(layout.volumes).list()]


def wrapper_of(uid: Uid, wrappers: Sequence[WrapperUrls]) -> WrapperUrls:
    return wrappers[zlib.crc32(uid.encode()) % len(wrappers)]


async def serve(
    layout: Layout, wrappers: Sequence[WrapperUrls], calls: Control, uids: Sequence[Uid]
) -> None:
    """Start these users' servers, and add them to the load balancer's map, in memory and on disk.

    Raises:
        CallError: a wrapper could not start a user's server.
    """
    places = asyncio.Semaphore(AT_ONCE)
    balancer = Admin(layout.lb / "admin.sock")
    map_file = layout.lb / "users.map"

    async def one(uid: Uid) -> tuple[str, str]:
        async with places:
            url = f"{wrapper_of(uid, wrappers).control_url}/v1/users/{uid}"
            timeout = deadlines.SERVER_START + deadlines.CONTROL_REQUEST
            server = await calls.order("PUT", url, {}, InstanceView, timeout=timeout)
            await balancer.put(map_file, uid, server.address, server.port)
            return uid, f"{server.address}:{server.port}"

    served = dict(await asyncio.gather(*(one(uid) for uid in uids)))
    _write_map(map_file, _read_map(map_file) | served)


async def serve_all(layout: Layout, wrappers: Sequence[WrapperUrls], calls: Control) -> int:
    """Start every enrolled user's server; returns how many there are."""
    uids = enrolled(layout)
    await serve(layout, wrappers, calls, uids)
    return len(uids)


def _read_map(map_file: Path) -> dict[str, str]:
    lines = map_file.read_text().splitlines() if map_file.exists() else []
    return dict(line.split(" ", 1) for line in lines if " " in line and not line.startswith("#"))


def _write_map(map_file: Path, entries: dict[str, str]) -> None:
    """What a restarted HAProxy reads; replaced as a whole."""
    fresh = map_file.with_suffix(".new")
    fresh.write_text("".join(f"{uid} {address}\n" for uid, address in sorted(entries.items())))
    fresh.replace(map_file)
