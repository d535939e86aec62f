"""How a server process is started: the contract of launchers.

A launcher turns a `LaunchRequest` into a running server and gives a `Handle` to it. Nothing here assumes that the
server is a child of this process: it may be forked from a template, run in another container, or be simulated. What a
launcher must give is what the line protocol needs: lines out, answers in, an end of input, a kill, and the certainty
that it is gone.

Invariants a launcher keeps: when `wait` returns, nothing of the server runs any more and all it printed can be read
from `lines`; output is consumed as fast as it is read and never kept without bound; every method may be called in any
order, again, and after the end.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from app_wrapper.application import Place
from standby import deadlines
from standby.errors import UnavailableError
from standby.ids import BootId, Slot, Uid


class LaunchError(UnavailableError):
    """The server could not be started; the message says why."""

    code = "launch_failed"

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting
        """The next try would fail the same way."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a server ended."""

    text: str
    lasting: bool = False
    """A fresh one would end the same way until somebody repairs something: its program, or its configuration."""


class LaunchRequest(Struct, frozen=True, kw_only=True):
    """One server to be started."""

    slot: Slot
    boot_id: BootId
    host: str
    port: int
    fd: int | None
    """A listening socket bound to host and port, to be inherited under this number; None: the server binds."""
    attest_fd: int | None = None
    """The server's end of its channel to the wrapper, to be inherited under this number."""
    slot_dir: Path
    """Exists, is empty, and is the server's alone."""
    uid: Uid | None
    """Whose own server this is, if it is one."""
    server_uid: int | None = None
    """The uid of the operating system that the server changes to."""
    session_max: float = deadlines.SESSION_MAX
    """Seconds that a user may have the server."""
    volume_bytes: int | None = None
    """Size of the largest file that the server can write."""

    def place(self, app_dir: Path) -> Place:
        """What the application's placeholders stand for."""
        return Place(
            app_dir=app_dir,
            host=self.host,
            port=self.port,
            fd=self.fd,
            attest_fd=self.attest_fd,
            slot_dir=self.slot_dir,
            boot_id=self.boot_id,
            uid=self.uid,
            server_uid=self.server_uid,
            session_max=self.session_max,
            volume_bytes=self.volume_bytes,
        )


class Handle(Protocol):
    """A running server."""

    @property
    def pid(self) -> int | None:
        """None if it is not a process of this machine."""

    @property
    def start_time(self) -> int | None:
        """Of the process, in ticks since the machine's boot."""

    @property
    def measurement(self) -> str | None:
        """Of what it was made from, if the launcher measured that; None: of its own launch."""

    def lines(self) -> AsyncIterator[str]:
        """What it prints, line by line, cut at `standby.lines.MAX_LINE` bytes; to be read by one reader."""

    def log_lines(self) -> AsyncIterator[str]:
        """What it prints for people only (stderr), as `lines`."""

    def started(self) -> None:
        """It has said something, so it serves from now on, and no longer gives way to those who serve."""

    def answer(self, line: str) -> None:
        """Hand over one line of input, without waiting; a server that is gone or does not read misses it."""

    def close_stdin(self) -> None:
        """End its input, which asks it to stop."""

    def kill(self) -> None:
        """End it at once, with everything it has started."""

    async def wait(self) -> Exit:
        """Return once nothing of it is left; how it ended."""

    def close(self) -> None:
        """Stop reading and writing; to be called once it has ended."""


class Launcher(Protocol):
    async def launch(self, request: LaunchRequest) -> Handle:
        """Start a server.

        Raises:
            LaunchError: it was not started, and nothing is left of the attempt.
        """

    def trouble(self) -> str | None:
        """What an operator should know of later launches, in words; None: nothing."""

    async def close(self) -> None:
        """End what the launcher keeps for later launches; servers go on."""
