"""The launcher that forks servers from a warmed process of the application, its template (see `template`).

A fork costs milliseconds and the pages that the server changes, where a start costs an interpreter and every import.
What the servers share in return is said in docs/explanation/threat-model.md.

A template that has grown is replaced, and so is one whose program has changed on the disk. Its successor is measured
and started beside it and takes over when it is ready, so the pool never waits: servers are forked from the program as
it was until then. While files change, no successor can be measured, and it is tried again. A program that the policy
does not admit gets no template at all, since none of its servers could become READY; that is told as trouble.

Files are looked at after a launch, because only then does it matter what the next server is made from.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, Literal

from msgspec import structs

from app_wrapper import application
from app_wrapper.application import Application
from app_wrapper.backoff import Backoff
from app_wrapper.launchers import LaunchError, LaunchRequest
from app_wrapper.launchers.child import ChildHandle
from app_wrapper.launchers.limits import UNLIMITED, Limits
from app_wrapper.launchers.spawn import attended
from app_wrapper.launchers.template import Template
from attestation.measure.errors import MeasureError
from standby import deadlines, processes
from standby.errors import words
from standby.logs import EventLog
from standby.template import ForkRequest

_BETWEEN_LOOKS: Final = 10.0
"""Seconds at least between two looks at the program's files; one takes up to a tenth of a second of a processor."""
_AGAIN: Final = Backoff(first=0.5, most=10.0)
"""Before a successor is tried again; each try takes two or three seconds of a processor."""
_SHORT: Final = 12
"""Digits of a measurement in a text; logs blank whole ones, which could be keys."""
_GOES_ON: Final = "servers are started from the program as it was"
_LISTEN, _ATTEST = 20, 21
"""Numbers of a server's sockets, above what a template has open."""
log = EventLog(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """What can be asked about the program on the disk; all of it may block.

    A template is measured twice: before its start, so that nothing is started for nothing, and when it is ready.
    """

    present: Callable[[], str]
    """Its measurement, if nothing changes; raises MeasureError."""
    measure: Callable[[float], str]
    """Of what was started from it at this moment (Unix seconds); raises MeasureError, also if it has changed since."""
    admits: Callable[[str], bool]
    """Whether servers with this measurement could become READY."""


class ForkLauncher:
    """Forks servers from the application's template."""

    def __init__(
        self,
        app: Application,
        app_dir: Path,
        environ: Mapping[str, str],
        added: Mapping[str, str] = MappingProxyType({}),
        program: Program | None = None,
        limits: Limits = UNLIMITED,
    ) -> None:
        """For the servers of one application.

        Args:
            app: names the template
            app_dir: where its `app.toml` is
            environ: the wrapper's own variables, of which some are passed on
            added: given to the template besides
            program: what is measured; None: nothing, so a change of it is not noticed
            limits: of the template, and so of each server that is forked from it

        Raises:
            ApplicationError: `app.toml` names no template.
        """
        self._app = app
        self._app_dir = app_dir
        self._environ = environ
        self._added = added
        self._program = program
        self._limits = limits
        self._command = application.template_command(app, app_dir)
        self._template: Template | None = None
        self._starting = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")
        self._trouble: str | None = None
        processes.adopt_orphans()

    async def launch(self, request: LaunchRequest) -> ChildHandle:
        template = await self._ready_template()
        own = application.own_environment(self._app, _in_the_server(request).place(self._app_dir))
        handle = await _forked(template, request, own)
        await attended(handle)
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="next template")
        return handle

    def trouble(self) -> str | None:
        return self._trouble

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._template is not None:
            self._template.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadlines.SERVER_STOP):
                    await self._template.left()

    async def _ready_template(self) -> Template:
        async with self._starting:
            if self._template is None or self._template.ended:
                self._template = await self._start()
                self._looked_at = time.monotonic()
            return self._template

    async def _start(self) -> Template:
        """A template that is ready, and measured.

        Raises:
            LaunchError: there is none.
        """
        await self._present()  # makes what the template loads, too, if anything has changed
        environ = application.template_environment(self._app, self._app_dir, self._environ)
        launched_at = time.time()
        variables = {**environ, **self._added}
        template = Template.start(self._command, self._app_dir, variables, self._limits)
        try:
            await template.ready()
            if self._program is not None:
                template.measurement = await asyncio.to_thread(self._program.measure, launched_at)
        except MeasureError as error:
            template.close()
            raise LaunchError(f"the template cannot be measured: {error}") from error
        except BaseException:
            template.close()
            raise
        log.info("template_ready", pid=template.pid, mebibytes=round(template.size / 2**20, 1))
        return template

    async def _present(self) -> str | None:
        """The measurement of the program on the disk; None: nothing is measured.

        Raises:
            LaunchError: it cannot be measured.
        """
        if self._program is None:
            return None
        try:
            return await asyncio.to_thread(self._program.present)
        except MeasureError as error:
            raise LaunchError(f"the program cannot be measured: {error}") from error

    async def _follow(self) -> None:
        """Replace the template, if that is wanted, however often it has to be tried."""
        try:
            if self._program is not None:
                await asyncio.sleep(self._looked_at + _BETWEEN_LOOKS - time.monotonic())
            failures = 0
            while not await self._followed():
                failures += 1
                await asyncio.sleep(_AGAIN.delay(failures))
        except Exception as error:  # noqa: BLE001  # the old one still works, and the next launch looks again
            log.error("template_not_followed", error=error)
        finally:
            self._looked_at = time.monotonic()
            self._following = None

    async def _followed(self) -> bool:
        """Look once, and do what is to be done; False: it has to be tried again."""
        old = self._template
        if old is None or old.ended:  # the next launch starts one
            return True
        try:
            present = await self._present()
            if present == old.measurement and not old.grown:
                self._trouble = None
                return True
            if self._refused(present):
                return True
            if present != old.measurement:
                log.info("program_changed", now=_short(present), text=_GOES_ON)
                self._trouble = f"the program has changed: until its template is ready {_GOES_ON}"
            return await self._replaced(old, await self._start())
        except LaunchError as error:
            trouble = f"no template of the changed program yet, {_GOES_ON}: {error}"
            if trouble != self._trouble:
                log.warning("template_not_replaced", text=str(error))
            self._trouble = trouble
            return False

    def _refused(self, measurement: str | None) -> bool:
        """Whether servers of this measurement could not become READY; says so, if it is new."""
        if measurement is None or self._program is None or self._program.admits(measurement):
            return False
        trouble = (
            f"the program has changed and the policy does not admit it, so {_GOES_ON}; start the wrapper again with a"
            f" policy that does, or put the old files back (now {_short(measurement)})"
        )
        if trouble != self._trouble:
            log.warning("program_not_admitted", now=_short(measurement), text=trouble)
        self._trouble = trouble
        return True

    async def _replaced(self, old: Template, fresh: Template) -> bool:
        """Let the fresh one take over, unless it is of no use any more."""
        try:
            async with self._starting:
                useful = self._template is old and not self._refused(fresh.measurement)
                if useful:
                    self._template = fresh
        except BaseException:
            fresh.close()
            raise
        if not useful:
            fresh.close()
            return False
        old.retire()
        self._trouble = None
        log.info("template_replaced", now=_short(fresh.measurement), pid=fresh.pid)
        return True


def _short(measurement: str | None) -> str | None:
    return measurement and measurement[:_SHORT]


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


def _reaped(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _in_the_server(request: LaunchRequest) -> LaunchRequest:
    """The request with the sockets' numbers in the server; the wrapper's may be larger than a server can have."""
    return structs.replace(
        request,
        fd=None if request.fd is None else _LISTEN,
        attest_fd=None if request.attest_fd is None else _ATTEST,
    )
