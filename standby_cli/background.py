"""`standby up --detach`: the supervisor as a process of its own, and this terminal's wait for it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence

from standby import deadlines
from standby.processes import dies_with_parent
from standby_cli import running, surroundings
from standby_cli.errors import AlreadyRunningError, StartError, already_running
from standby_cli.layout import Layout
from standby_cli.progress import READY, Tell, failure


def start(
    arguments: Sequence[str], layout: Layout, tell: Tell, *, outlive: bool = True
) -> "subprocess.Popen[bytes]":
    """Start `standby up` with `arguments` in the background; returns it when the platform is ready.

    Whatever ends the wait early (Ctrl-C included) ends the supervisor too; without `outlive`, so does the end of this
    process, however it comes.

    Raises:
        AlreadyRunningError: another supervisor has the state directory.
        SettingsError, ConfigurationError: a setting or a place cannot work.
        StartError: the supervisor ended and did not say why.
        CommandError: the platform did not start; kind and text are the supervisor's own.
    """
    if running.supervisor_pid(layout) is not None:
        raise AlreadyRunningError(already_running(layout.root))
    surroundings.check(layout)
    layout.make()
    reader, writer = os.pipe()
    with layout.log("supervisor").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "standby_cli", "up", *arguments, "--tell-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[writer],
            start_new_session=True,
            preexec_fn=None if outlive else dies_with_parent(),  # noqa: PLW1509  # one thread only
        )
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8") as lines:
            _follow(lines, tell)
    except BaseException:
        _end(process)
        raise
    return process


def _follow(lines: Iterable[str], tell: Tell) -> None:
    for line in lines:
        text = line.rstrip("\n").replace("\\n", "\n")
        if text == READY:
            return
        if error := failure(text):
            raise error
        tell(text)
    raise StartError("the supervisor ended before the platform was ready; its log says why")


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(deadlines.WRAPPER_STOP + deadlines.SERVER_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
