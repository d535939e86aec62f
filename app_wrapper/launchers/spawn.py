"""The launcher that starts a child process.

The child leads a session of its own, so that signals meant for the wrapper (Ctrl-C) do not reach it and all that it
starts can be ended with it; the kernel kills it when the wrapper is gone. Its end is seen through a pidfd and it is
reaped only after its whole group was killed: until then its pid cannot mean anybody else.

`subprocess.Popen` is used rather than asyncio's processes because those reap by themselves, at a moment of their own.
"""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO, Final

from app_wrapper import application, output
from app_wrapper.application import Application, Place
from app_wrapper.launchers import Exit, LaunchError, LaunchRequest
from standby import processes
from standby.service import EXIT_CONFIG

_STREAM_LIMIT: Final = output.CHUNK
"""Bytes; a pipe is read no further while more than twice that is waiting to be handled."""

_UNRUNNABLE: Final = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR}
"""Errors of exec that say something about the program and nothing about this moment."""
_LASTING: Final[dict[int | None, str]] = {
    EXIT_CONFIG: " (its configuration is wrong)",
    126: " (it cannot be executed)",
    127: " (no such program)",
}
"""Exit statuses by sysexits.h, and of a shell that was to run a program (POSIX, 2.8.2)."""


class SpawnLauncher:
    """Starts the application's command."""

    def __init__(self, app: Application, app_dir: Path, environ: Mapping[str, str]) -> None:
        self._app = app
        self._app_dir = app_dir
        self._environ = environ

    async def launch(self, request: LaunchRequest) -> "ChildHandle":
        place = Place(
            app_dir=self._app_dir,
            host=request.host,
            port=request.port,
            fd=request.fd,
            slot_dir=request.slot_dir,
            boot_id=request.boot_id,
            uid=request.uid,
        )
        try:
            child = subprocess.Popen(  # noqa: ASYNC220  # until exec, a few milliseconds, on the main thread
                application.command(self._app, place),
                env=application.environment(self._app, place, self._environ),
                cwd=request.slot_dir,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=() if request.fd is None else (request.fd,),
                start_new_session=True,
                preexec_fn=processes.dies_with_parent(),  # noqa: PLW1509
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            lasting = isinstance(error, OSError) and error.errno in _UNRUNNABLE
            text = f"cannot start {self._app.command[0]!r}: {error}"
            raise LaunchError(text, lasting=lasting) from error
        handle = ChildHandle(child)
        try:
            await handle.attend()
        except BaseException as error:  # being cancelled here, too, must not leave the child behind
            handle.abandon()
            if isinstance(error, OSError):
                raise LaunchError(f"cannot attend to a new server: {error}") from error
            raise
        return handle


class ChildHandle:
    """A child process and its three pipes."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        self.pid: int | None = child.pid
        self.start_time = processes.start_time(child.pid)
        self._stdin = child.stdin
        self._exited = asyncio.Event()
        self._pidfd: int | None = None
        self._readers: list[asyncio.StreamReader] = []
        self._transports: list[asyncio.ReadTransport] = []

    async def attend(self) -> None:
        """Begin to watch the child and to read its output.

        Raises:
            OSError: no descriptors are left.
        """
        self._pidfd = os.pidfd_open(self._child.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)
        if self._child.stdin is not None:
            os.set_blocking(self._child.stdin.fileno(), False)
        for pipe in (self._child.stdout, self._child.stderr):
            await self._read_from(pipe)

    def abandon(self) -> None:
        """Kill the child, wait the moment until it is gone, and let go of all of it."""
        self.kill()
        if not self._exited.is_set():
            self._reap()
        self.close()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()

    def lines(self) -> AsyncIterator[str]:
        return output.lines(self._readers[0])

    def log_lines(self) -> AsyncIterator[str]:
        return output.lines(self._readers[1])

    def answer(self, line: str) -> None:
        if self._stdin is not None:
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(self._stdin.fileno(), f"{line}\n".encode())

    def close_stdin(self) -> None:
        if self._stdin is not None:
            self._stdin.close()
            self._stdin = None

    def kill(self) -> None:
        if not self._exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    async def wait(self) -> Exit:
        await self._exited.wait()
        status = self._child.returncode
        if status is not None and status < 0:
            return Exit(f"killed by {signal.Signals(-status).name}")
        meaning = _LASTING.get(status, "")
        return Exit(f"exit status {status}{meaning}", lasting=bool(meaning))

    def close(self) -> None:
        """Close the pipes; whoever still holds the other ends cannot keep us reading."""
        self.close_stdin()
        for transport in self._transports:
            transport.close()

    def _reap(self) -> None:
        """The child has exited: end what is left of its group, then reap it."""
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()  # returns at once
        self._exited.set()

    async def _read_from(self, pipe: IO[bytes] | None) -> None:
        reader = asyncio.StreamReader(limit=_STREAM_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        self._readers.append(reader)
        self._transports.append(transport)
