"""Stopping a platform: ask its supervisor to end, and wait until it has.

Wrappers let the sessions they have go on for a while (their drain limit); `now` ends them at once, as LOGOUT does.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable

from standby import deadlines
from standby.processes import start_time
from standby_cli import running
from standby_cli.errors import CommandError, NotRunningError
from standby_cli.layout import Layout

STOP_LIMIT = deadlines.WRAPPER_STOP + deadlines.SERVER_STOP
"""Seconds a supervisor has to end everything."""


async def end_sessions(layout: Layout) -> None:
    """Ask every wrapper to end its sessions now."""
    try:
        found = running.endpoints_of(layout)
    except NotRunningError:
        return
    from standby_cli.authorities import Authorities  # noqa: PLC0415  # most platforms are ended without
    from standby_cli.control import CallError, control  # noqa: PLC0415

    async with control(Authorities(layout).operator()) as calls:
        for wrapper in found.wrappers:
            with contextlib.suppress(CallError):
                await calls.order("POST", f"{wrapper.control_url}/v1/stop", {}, object)


def bring_down(layout: Layout, tell: Callable[[str], None]) -> bool:
    """End the platform; False when none was running.

    Raises:
        CommandError: the supervisor did not end in time, and was left as it is.
    """
    pid = running.supervisor_pid(layout)
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
