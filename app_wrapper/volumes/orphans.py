"""Making sure that a server process whose wrapper has died is gone, before its user's volume is given to another."""

import contextlib
import os
import select
import signal
from pathlib import Path

from standby import processes


def machine() -> str:
    """This start of this machine and this space of pids; elsewhere the same pid means another process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def end(pid: int, start_time: int, deadline: float) -> bool:
    """Kill the process with that pid and start time if it still runs; wait up to `deadline` seconds.

    Returns whether it is certainly gone. Its memory and files are gone then too; it may still be a zombie.
    """
    if processes.start_time(pid) != start_time:
        return True
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if processes.start_time(pid) != start_time:  # the pid was reused before we held it
            return True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        return bool(waiting.poll(deadline * 1000))
    finally:
        os.close(descriptor)
