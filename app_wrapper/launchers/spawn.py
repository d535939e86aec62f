"""The launcher that starts a program: any program, in any language.

Each server has an address-space layout, a hash seed and memory of its own; it costs an exec and all that the program
does before it is ready. Signals meant for the wrapper (Ctrl-C) do not reach the child, and the kernel kills it when the
wrapper is gone.

`subprocess.Popen` is used rather than asyncio's processes because those reap by themselves, at a moment of their own.
"""

import errno
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from app_wrapper import application
from app_wrapper.application import Application
from app_wrapper.launchers import LaunchError, LaunchRequest
from app_wrapper.launchers.child import ChildHandle
from app_wrapper.launchers.limits import UNLIMITED, Limits
from standby import processes
from standby.errors import words

_UNRUNNABLE: Final = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR}
"""Errors of exec that say something about the program and nothing about this moment."""


class SpawnLauncher:
    """Starts the application's command."""

    def __init__(
        self,
        app: Application,
        app_dir: Path,
        environ: Mapping[str, str],
        added: Mapping[str, str] = MappingProxyType({}),
        limits: Limits = UNLIMITED,
    ) -> None:
        """`environ`: the wrapper's own, of which some are passed on; `added`: given to every server."""
        self._app = app
        self._app_dir = app_dir
        self._environ = environ
        self._added = added
        self._limits = limits

    async def launch(self, request: LaunchRequest) -> ChildHandle:
        place = request.place(self._app_dir)
        child = start(
            application.command(self._app, place),
            {**application.environment(self._app, place, self._environ), **self._added},
            request.slot_dir,
            self._limits,
            keep=tuple(fd for fd in (request.fd, request.attest_fd) if fd is not None),
        )
        if child.stdin is None or child.stdout is None or child.stderr is None:
            raise RuntimeError("a child is started with three pipes")
        handle = ChildHandle(child.pid, child.stdin, (child.stdout, child.stderr), child.wait)
        await attended(handle)
        return handle

    def trouble(self) -> str | None:
        return None

    async def close(self) -> None:
        """Nothing is kept between launches."""


def start(
    command: list[str],
    environ: dict[str, str],
    directory: Path,
    limits: Limits,
    *,
    keep: tuple[int, ...],
) -> "subprocess.Popen[bytes]":
    """A child with pipes, a few milliseconds on the main thread; `keep` are descriptors that it inherits.

    Raises:
        LaunchError: it was not started.
    """
    try:
        return subprocess.Popen(
            command,
            env=environ,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=keep,
            start_new_session=True,
            preexec_fn=limits.before(processes.dies_with_parent()),  # noqa: PLW1509
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        lasting = isinstance(error, OSError) and error.errno in _UNRUNNABLE
        raise LaunchError(f"cannot start {command[0]}: {words(error)}", lasting=lasting) from error


async def attended(handle: ChildHandle) -> None:
    """Begin to attend to a new child, or end it.

    Raises:
        LaunchError: and nothing is left of it.
    """
    try:
        await handle.attend()
    except BaseException as error:  # being cancelled here, too, must not leave the child behind
        handle.abandon()
        if isinstance(error, OSError):
            raise LaunchError(f"cannot attend to a new server: {error}") from error
        raise
