"""Ending a process whose wrapper is dead, with real processes."""

import asyncio
import signal
import subprocess
import sys

from app_wrapper.volumes import orphans
from standby.processes import start_time


def _process() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])


async def test_an_orphan_is_killed_and_waited_for() -> None:
    child = _process()
    started = start_time(child.pid)
    assert started is not None
    assert await asyncio.to_thread(orphans.end, child.pid, started, 5.0)
    assert child.wait() == -signal.SIGKILL
    assert orphans.end(child.pid, started, 0.0)


async def test_a_stopped_orphan_is_killed_too() -> None:
    child = _process()
    started = start_time(child.pid)
    assert started is not None
    child.send_signal(signal.SIGSTOP)
    assert await asyncio.to_thread(orphans.end, child.pid, started, 5.0)
    child.wait()
