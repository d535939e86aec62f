"""A warmed process of the application, and the socket over which it is asked to fork servers; see `standby.template`.

It is a child like any other, but no server is its child: they are the wrapper's, so a template that ends, however,
costs nothing but the start of another one.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from app_wrapper.launchers import LaunchError
from app_wrapper.launchers.child import exit_of
from app_wrapper.launchers.limits import Limits
from standby import deadlines, decode, processes
from standby.decode import UnreadableError
from standby.errors import words
from standby.ids import BootId
from standby.template import LIMIT, SOCKET_VARIABLE, Forked, ForkRequest

_GROWTH: Final = 1.5
"""Times its first size; a template that has grown costs each of its servers more."""


class Template:
    """A warmed process, and the socket over which it is asked to fork."""

    def __init__(self, process: "subprocess.Popen[bytes]", sock: socket.socket) -> None:
        self.pid = process.pid
        self.ended = False
        self.measurement: str | None = None
        """Of what it was started from, which all its servers have."""
        self._retired = False
        self.size = 0
        """Resident bytes when it became ready."""
        self._process = process
        self._socket = sock
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._asked: dict[BootId, asyncio.Future[int]] = {}
        self._ahead: set[int] = set()
        """Pids of servers that have no request yet, or whose answer is on its way."""
        self._left = asyncio.Event()
        self._pidfd = os.pidfd_open(process.pid)
        sock.settimeout(0)
        loop.add_reader(sock, self._read)
        loop.add_reader(self._pidfd, self._end, "it has ended")

    @classmethod
    def start(
        cls, command: list[str], directory: Path, environ: dict[str, str], limits: Limits
    ) -> "Template":
        """Start the program; `ready` says when it can be used.

        Raises:
            LaunchError: it cannot be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                process = subprocess.Popen(
                    command,
                    env=environ | {SOCKET_VARIABLE: str(theirs.fileno())},
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # what a template prints is no server's event
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    preexec_fn=limits.before(processes.dies_with_parent()),  # noqa: PLW1509
                )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            ours.close()
            raise LaunchError(f"cannot start {command[0]}: {words(error)}", lasting=True) from error
        return cls(process, ours)

    @property
    def grown(self) -> bool:
        return not self.ended and _resident(self.pid) > _GROWTH * self.size

    async def ready(self) -> None:
        """Wait until it has warmed up.

        Raises:
            LaunchError: it ended instead, or takes too long.
        """
        try:
            async with asyncio.timeout(deadlines.SERVER_START):
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise LaunchError("the template to fork from did not become ready") from None
        self.size = _resident(self.pid)

    async def fork(self, request: ForkRequest, descriptors: list[int]) -> int:
        """The pid of a new server, which is a child of this process.

        Raises:
            LaunchError: there is none.
        """
        loop = asyncio.get_running_loop()
        answer = self._asked[request.boot_id] = loop.create_future()
        try:
            socket.send_fds(self._socket, [msgspec.json.encode(request)], descriptors)
            async with asyncio.timeout(deadlines.SERVER_START):
                pid: int = await answer
                return pid
        except OSError as error:  # TimeoutError is one
            raise LaunchError(f"the template cannot be asked to fork: {words(error)}") from error
        finally:
            del self._asked[request.boot_id]
            self._end_if_retired()

    def retire(self) -> None:
        """End it once what it was asked for is done."""
        self._retired = True
        self._end_if_retired()

    def close(self) -> None:
        """End it now; servers that were forked from it go on."""
        if not self.ended:
            self._end("it was closed")

    async def left(self) -> None:
        """Wait until nothing is left of one that has ended, but servers that had a request."""
        await self._left.wait()

    def _end_if_retired(self) -> None:
        if self._retired and not self._asked:
            self.close()

    def _read(self) -> None:
        try:
            message = self._socket.recv(LIMIT)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._gone("it has ended")
            return
        try:
            self._take(decode.json(message, Forked))
        except UnreadableError:
            self._gone("it said what no template says")

    def _take(self, told: Forked) -> None:
        if told.pid is not None and told.boot_id is None:
            self._end_ahead()  # one that had taken a request would have said so before
            self._reap_untold()
            self._ahead.add(told.pid)
            if not self._ready.done():
                self._ready.set_result(None)
        elif told.boot_id is not None:
            self._ahead.discard(told.pid or 0)
            self._answer(told.boot_id, told)

    def _answer(self, boot_id: BootId, told: Forked) -> None:
        answer = self._asked.get(boot_id)
        if answer is None or answer.done():  # its caller has given up
            if told.pid is not None:
                _put_an_end_to(told.pid)
        elif told.pid is not None:
            answer.set_result(told.pid)
        else:
            answer.set_exception(LaunchError(f"cannot fork: {told.text}"))

    def _end(self, why: str) -> None:
        """End the process and all hope; the server ahead ends by itself, as it will get no request."""
        self.ended = True
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # no server that has a request is in its group
        how = exit_of(self._process.wait())
        error = LaunchError(f"the template to fork from: {why}, {how.text}", lasting=how.lasting)
        everybody: list[asyncio.Future[Any]] = [self._ready, *self._asked.values()]
        for waiting in everybody:
            if not waiting.done():
                waiting.set_exception(error)
        self._ready.exception()  # asyncio would log an exception that is never read

    def _gone(self, why: str) -> None:
        """The other end of the socket is of no use any more: the server ahead has ended, too, or will."""
        if not self.ended:
            self._end(why)
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._end_ahead()
        with contextlib.suppress(ChildProcessError):
            while True:  # all that is left of its group was killed with it
                os.waitpid(-self.pid, 0)
        self._left.set()

    def _reap_untold(self) -> None:
        """Reap servers that ended before they told their pid: they have not left the template's group."""
        which = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitid(os.P_PGID, self.pid, which)) and found.si_pid != self.pid:
                os.waitpid(found.si_pid, 0)

    def _end_ahead(self) -> None:
        for pid in self._ahead:
            _put_an_end_to(pid)
        self._ahead.clear()


def _put_an_end_to(server: int) -> None:
    os.kill(server, signal.SIGKILL)  # it may not lead a session yet
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server, signal.SIGKILL)
    os.waitpid(server, 0)


def _resident(pid: int) -> int:
    """Bytes; 0 for a process that is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
