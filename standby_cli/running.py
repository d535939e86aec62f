"""Whether a platform runs in a state directory, and how to reach it."""

import fcntl
import os

from standby_cli import endpoints
from standby_cli.errors import NotRunningError
from standby_cli.layout import Layout


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


def endpoints_of(layout: Layout) -> endpoints.Endpoints:
    """How to reach the running platform.

    Raises:
        NotRunningError: none runs, or it has died and left its `endpoints.json`.
    """
    if supervisor_pid(layout) is None:
        raise NotRunningError(
            f"no platform runs with the state directory {layout.root}; start one with `standby up`"
        )
    return endpoints.read(layout.endpoints)
