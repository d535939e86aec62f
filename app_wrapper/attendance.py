"""Which sessions no client is connected to any more: a draining wrapper does not wait for users who have gone.

The kernel's tables of TCP connections tell. A server is looked at only while its listening socket is in them, so one
in another network namespace is never taken for abandoned. A client that comes back in time, as one does that opens a
connection for each request, is a client that is there.

Rejected: asking the servers, which would have to be believed, and have a deadline.
"""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from app_wrapper.supervisor import Supervisor
from standby import deadlines

LOOK_AGAIN: Final = 1.0
"""Seconds."""
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_SOCKET: Final = re.compile(
    r"^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} (01|0A) ", re.MULTILINE
)
"""Local port, and whether it has a connection (01) or listens (0A)."""
_CONNECTED: Final = "01"


class Attendance:
    """Since when each server has had no client. Pure."""

    def __init__(self, patience: float = deadlines.ABSENT) -> None:
        self._patience = patience
        self._since: dict[int, float] = {}

    def abandoned(self, tables: str, ports: Iterable[int], now: float) -> set[int]:
        """Those of the ports that have listened without a connection for as long as the patience lasts.

        Args:
            tables: what the kernel says of this network namespace (`/proc/net/tcp` and `tcp6`)
            ports: of the servers that have a session
            now: monotonic time
        """
        seen = {(int(port, 16), state) for port, state in _SOCKET.findall(tables)}
        connected = {port for port, state in seen if state == _CONNECTED}
        listening = {port for port, _ in seen} - connected
        self._since = {port: self._since.get(port, now) for port in listening & set(ports)}
        return {port for port, since in self._since.items() if now >= since + self._patience}


async def watch(supervisor: Supervisor) -> None:
    """End sessions whose users have gone, for ever; for a wrapper that drains."""
    attendance, loop = Attendance(), asyncio.get_running_loop()
    while True:
        sessions = supervisor.sessions()
        tables = "".join([await asyncio.to_thread(_read, table) for table in _TABLES])
        for port in attendance.abandoned(tables, sessions, loop.time()):
            supervisor.abandon(sessions[port])
        await asyncio.sleep(LOOK_AGAIN)


def _read(table: Path) -> str:
    try:
        return table.read_text("ascii")
    except FileNotFoundError:  # a machine without IPv6
        return ""
