"""Stopping a platform: ask its supervisor to end, and wait until it has.

Wrappers let the sessions they have go on for a while (their drain limit); `now` ends them at once, as LOGOUT does.
"""

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Callable

from standby import deadlines
from standby.processes import start_time
from standby_cli import endpoints
from standby_cli.authorities import Authorities
from standby_cli.control import CallError, control
from standby_cli.errors import CommandError, NotRunningError
from standby_cli.layout import Layout

STOP_LIMIT = deadlines.WRAPPER_STOP + deadlines.SERVER_STOP
"""Seconds a supervisor has to end everything."""


def supervisor_pid(layout: Layout) -> int | None:
    """The pid of the supervisor that holds the state directory; None when none does."""
    try:
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode()
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(descriptor)


def running(layout: Layout) -> endpoints.Endpoints:
    """How to reach the running platform.

    Raises:
        NotRunningError: none runs, or it has died and left its `endpoints.json`.
    """
    if supervisor_pid(layout) is None:
        raise NotRunningError(
            f"no platform runs with the state directory {layout.root}; start one with `standby up`"
        )
    return endpoints.read(layout.endpoints)


async def end_sessions(layout: Layout) -> None:
    """Ask every wrapper to end its sessions now."""
    try:
        found = running(layout)
    except NotRunningError:
        return
    async with control(Authorities(layout).operator()) as calls:
        for wrapper in found.wrappers:
            with contextlib.suppress(CallError):
                await calls.order("POST", f"{wrapper.control_url}/v1/stop", {}, object)


def bring_down(layout: Layout, tell: Callable[[str], None]) -> bool:
    """End the platform; False when none was running.

    Raises:
        CommandError: the supervisor did not end in time, and was left as it is.
    """
    pid = supervisor_pid(layout)
    if pid is None or start_time(pid) is None:
        layout.endpoints.unlink(missing_ok=True)
        return False
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        tell("asked the platform to end; sessions that are open may go on for a short while")
        gone, _, _ = select.select([descriptor], [], [], STOP_LIMIT)
    finally:
        os.close(descriptor)
    if not gone:
        raise CommandError(f"the supervisor (pid {pid}) has not ended within {STOP_LIMIT:.0f} s")
    return True
