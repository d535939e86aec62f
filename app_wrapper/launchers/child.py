"""A server that is a child process of the wrapper, and its three pipes, however it came into being.

The child leads a session of its own, so that all it starts can be ended with it. Its end is seen through a pidfd and it
is reaped only after its whole group was killed: until then its pid cannot mean anybody else.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import IO, Final

from app_wrapper import output
from app_wrapper.launchers import Exit
from standby import pipes, processes
from standby.exit_codes import EXIT_CONFIG

_STREAM_LIMIT: Final = output.CHUNK
"""Bytes; a pipe is read no further while more than twice that is waiting to be handled."""
_SWEEP_AGAIN: Final = 0.5
"""Seconds until killed members of a server's group are looked for again."""
_LASTING: Final = {
    EXIT_CONFIG: " (its configuration is wrong)",
    126: " (it cannot be executed)",
    127: " (no such program)",
}
"""Exit statuses by sysexits.h, and of a shell that was to run a program (POSIX, 2.8.2)."""


def exit_of(status: int) -> Exit:
    """What an exit status means; negative: a signal's number, as `subprocess` has it."""
    if status < 0:
        return Exit(f"killed by {signal.Signals(-status).name}")
    meaning = _LASTING.get(status, "")
    return Exit(f"exit status {status}{meaning}", lasting=bool(meaning))


class ChildHandle:
    """Owns the pipes' ends that it is given, and reaps the child."""

    def __init__(
        self,
        pid: int,
        stdin: IO[bytes],
        outputs: tuple[IO[bytes], IO[bytes]],
        reap: Callable[[], int],
    ) -> None:
        """`outputs` are stdout and stderr; `reap` waits for the child and gives its exit status."""
        self.pid = pid
        self.start_time = processes.start_time(pid)
        self.measurement: str | None = None
        processes.give_way(pid)
        self._stdin: IO[bytes] | None = stdin
        self._outputs = outputs
        self._await_status = reap
        self._status = 0
        self._exited = asyncio.Event()
        self._pidfd: int | None = None
        self._readers: list[asyncio.StreamReader] = []
        self._transports: list[asyncio.ReadTransport] = []

    async def attend(self) -> None:
        """Begin to watch the child and to read its output.

        Raises:
            OSError: no descriptors are left.
        """
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)
        if self._stdin is not None:
            os.set_blocking(self._stdin.fileno(), False)
        for pipe in self._outputs:
            await self._read_from(pipe)

    def abandon(self) -> None:
        """Kill the child, wait the moment until it is gone, and let go of all of it."""
        self.kill()
        if not self._exited.is_set():
            self._reap()
        self.close()
        for pipe in self._outputs:
            pipe.close()

    def lines(self) -> AsyncIterator[str]:
        return output.lines(self._readers[0])

    def log_lines(self) -> AsyncIterator[str]:
        return output.lines(self._readers[1])

    def started(self) -> None:
        if not self._exited.is_set():
            processes.take_turns_again(self.pid)

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
                os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> Exit:
        await self._exited.wait()
        return exit_of(self._status)

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
            os.killpg(self.pid, signal.SIGKILL)
        self._status = self._await_status()  # returns at once
        self._exited.set()
        self._sweep()

    def _sweep(self) -> None:
        """Reap what the child had started, if that has become ours; a wrapper that forks adopts orphans."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-self.pid, os.WNOHANG)[0]:
                pass
            asyncio.get_running_loop().call_later(_SWEEP_AGAIN, self._sweep)

    async def _read_from(self, pipe: IO[bytes]) -> None:
        with pipe:
            reader, transport = await pipes.reader(pipe, _STREAM_LIMIT)
        self._readers.append(reader)
        self._transports.append(transport)
