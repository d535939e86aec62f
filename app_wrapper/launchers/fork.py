"""The launcher that forks servers from a warmed process of the application, its template (see `standby.template`).

A fork costs milliseconds and the pages that the server changes, where a start costs an interpreter and every import.
What the servers share in return is said in docs/explanation/threat-model.md.

The template is a child like any other, but no server is its child: they are the wrapper's, so a template that ends,
however, costs nothing but the start of another one. One that has grown is replaced: its successor is started beside
it and takes over when it is ready, so the pool never waits.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, Literal

import msgspec
from msgspec import structs

from app_wrapper import application
from app_wrapper.application import Application
from app_wrapper.launchers import LaunchError, LaunchRequest
from app_wrapper.launchers.child import ChildHandle, exit_of
from app_wrapper.launchers.limits import UNLIMITED, Limits
from app_wrapper.launchers.spawn import attended
from attestation.measure.errors import MeasureError
from standby import deadlines, decode, processes
from standby.decode import UnreadableError
from standby.errors import words
from standby.ids import BootId
from standby.logs import EventLog
from standby.template import LIMIT, SOCKET_VARIABLE, Forked, ForkRequest

_GROWTH: Final = 1.5
"""Times its first size; a template that has grown costs each of its servers more."""
_LISTEN, _ATTEST = 20, 21
"""Numbers of a server's sockets, above what a template has open."""
log = EventLog(__name__)


class ForkLauncher:
    """Forks servers from the application's template."""

    def __init__(
        self,
        app: Application,
        app_dir: Path,
        environ: Mapping[str, str],
        added: Mapping[str, str] = MappingProxyType({}),
        measure: Callable[[float], str] | None = None,
        limits: Limits = UNLIMITED,
    ) -> None:
        """For the servers of one application.

        Args:
            app: names the template
            app_dir: where its `app.toml` is
            environ: the wrapper's own variables, of which some are passed on
            added: given to the template besides
            measure: the measurement of what a program started at this moment (Unix seconds) was made from; blocking
            limits: of the template, and so of each server that is forked from it

        Raises:
            ApplicationError: `app.toml` names no template.
        """
        self._app = app
        self._app_dir = app_dir
        self._environ = environ
        self._added = added
        self._measure = measure
        self._limits = limits
        self._command = application.template_command(app, app_dir)
        self._template: Template | None = None
        self._starting = asyncio.Lock()
        self._successor: asyncio.Task[None] | None = None
        processes.adopt_orphans()

    async def launch(self, request: LaunchRequest) -> ChildHandle:
        template = await self._ready_template()
        own = application.own_environment(self._app, _in_the_server(request).place(self._app_dir))
        handle = await _forked(template, request, own)
        await attended(handle)
        if template.grown and self._successor is None:
            self._successor = asyncio.create_task(self._replace(template), name="next template")
        return handle

    async def close(self) -> None:
        if self._successor is not None:
            self._successor.cancel()
            await asyncio.gather(self._successor, return_exceptions=True)
        if self._template is not None:
            self._template.close()

    async def _ready_template(self) -> "Template":
        async with self._starting:
            if self._template is None or self._template.ended:
                self._template = await self._start()
            return self._template

    async def _start(self) -> "Template":
        environ = application.template_environment(self._app, self._app_dir, self._environ)
        launched_at = time.time()
        variables = {**environ, **self._added}
        template = Template.start(self._command, self._app_dir, variables, self._limits)
        try:
            await template.ready()
            if self._measure is not None:
                template.measurement = await asyncio.to_thread(self._measure, launched_at)
        except MeasureError as error:
            template.close()
            raise LaunchError(f"the template cannot be measured: {error}") from error
        except BaseException:
            template.close()
            raise
        log.info("template_ready", pid=template.pid, mebibytes=round(template.size / 2**20, 1))
        return template

    async def _replace(self, old: "Template") -> None:
        """A failure is only logged: the old one still works, and is looked at again."""
        try:
            fresh = await self._start()
        except LaunchError as error:
            log.warning("template_not_replaced", text=str(error))
        else:
            self._template = fresh
            old.retire()
        finally:
            self._successor = None


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
                    stdout=2,  # what a template prints is nobody's event
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
            self._ahead.add(told.pid)
            if not self._ready.done():
                self._ready.set_result(None)
        elif told.boot_id is not None:
            self._ahead.discard(told.pid or 0)
            self._answer(told.boot_id, told)

    def _answer(self, boot_id: BootId, told: Forked) -> None:
        answer = self._asked.get(boot_id)
        if answer is None or answer.done():  # it came after nobody waited for it any more
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
        self._process.kill()
        how = exit_of(self._process.wait())
        error = LaunchError(f"the template to fork from: {why}, {how.text}", lasting=how.lasting)
        everybody: list[asyncio.Future[Any]] = [self._ready, *self._asked.values()]
        for waiting in everybody:
            if not waiting.done():
                waiting.set_exception(error)
        self._ready.exception()  # nobody needs to wait for it

    def _gone(self, why: str) -> None:
        """The other end of the socket is of no use any more: the server ahead has ended, too, or will."""
        if not self.ended:
            self._end(why)
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._end_ahead()

    def _end_ahead(self) -> None:
        for pid in self._ahead:
            _put_an_end_to(pid)
        self._ahead.clear()


def _in_the_server(request: LaunchRequest) -> LaunchRequest:
    """The request with the sockets' numbers in the server; the wrapper's may be larger than a server can have."""
    return structs.replace(
        request,
        fd=None if request.fd is None else _LISTEN,
        attest_fd=None if request.attest_fd is None else _ATTEST,
    )


async def _forked(template: Template, request: LaunchRequest, own: dict[str, str]) -> ChildHandle:
    seen = _in_the_server(request)
    order = ForkRequest(
        boot_id=request.boot_id,
        own=own,
        directory=str(request.slot_dir),
        listen_fd=seen.fd,
        attest_fd=seen.attest_fd,
    )
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        stdin, stdin_end = _pipe(ours, theirs, "wb")
        stdout, stdout_end = _pipe(ours, theirs, "rb")
        stderr, stderr_end = _pipe(ours, theirs, "rb")
        sockets = [fd for fd in (request.fd, request.attest_fd) if fd is not None]
        pid = await template.fork(order, [stdin_end, stdout_end, stderr_end, *sockets])
        ours.pop_all()
    handle = ChildHandle(pid, stdin, (stdout, stderr), lambda: _reaped(pid))
    handle.measurement = template.measurement
    return handle


def _pipe(
    ours: contextlib.ExitStack, theirs: contextlib.ExitStack, mode: Literal["wb", "rb"]
) -> tuple[IO[bytes], int]:
    """Our end of a pipe, to be used in this mode, and the server's.

    Raises:
        LaunchError: no descriptors are left.
    """
    try:
        read, write = os.pipe2(os.O_CLOEXEC)
    except OSError as error:
        raise LaunchError(f"cannot start a server: {words(error)}") from error
    mine, other = (write, read) if mode == "wb" else (read, write)
    theirs.callback(os.close, other)
    return ours.enter_context(os.fdopen(mine, mode, buffering=0)), other


def _put_an_end_to(server: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server, signal.SIGKILL)
    os.waitpid(server, 0)


def _reaped(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _resident(pid: int) -> int:
    """Bytes; 0 for a process that is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
