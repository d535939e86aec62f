"""The shell around one server process: starts it, hears what it says, passes on what it is told, and sees it off.

It decides nothing. Its listener is told that the process exists, each event, that it has stopped answering, and once,
at the very end, that nothing of it is left; by then every line it printed has been heard, so a LOGOUT just before the
exit is not lost.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from app_wrapper import leftovers
from app_wrapper.actions import Launch
from app_wrapper.attesting.attendant import attend
from app_wrapper.attesting.attended import Attended
from app_wrapper.attesting.registrar import Registrar
from app_wrapper.bucket import Bucket, spend
from app_wrapper.clearing import Clearing
from app_wrapper.events import Attested, EventReader, Said
from app_wrapper.launchers import Exit, Handle, Launcher, LaunchError, LaunchRequest
from app_wrapper.listening import Listening, Place
from app_wrapper.probe import Probe
from app_wrapper.process import Dedicated
from app_wrapper.server_log import Rating, ServerLog
from app_wrapper.server_uids import ServerUids
from attestation.errors import EvidenceUnavailableError
from standby import deadlines
from standby.errors import words
from standby.hardening import Layer, Outcome
from standby.ids import BootId, Uid
from standby.logs import EventLog

_LEAVES_NOTHING: Final = (Layer.LANDLOCK, Layer.SECCOMP)
_PROTECTS: Final = {Outcome.APPLIED, Outcome.PARTLY}
EVENTS_AT_ONCE: Final = 32
EVENT_RATE: Final = 8.0
"""Events a second that are taken of one server, which says three or four in its life."""
log = EventLog(__name__)


class Listener(Protocol):
    """Who is told; the calls come from the event loop and do not wait."""

    def launched(self, boot_id: BootId, port: int) -> None: ...
    def said(self, boot_id: BootId, said: Said) -> None: ...
    def silent(self, boot_id: BootId) -> None: ...
    def logged(self, rating: Rating) -> None: ...
    def exited(self, boot_id: BootId, how: Exit) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sidecars of a wrapper share."""

    launcher: Launcher
    listening: Listening
    events: EventReader
    slots_dir: Path
    clearing: Clearing
    """Removes servers' directories."""
    probe: Probe | None
    """None: nobody asks whether servers still answer."""
    registrar: Registrar | None = None
    """None: servers get no channel, and their certificates' key in another way."""
    session_max: float = deadlines.SESSION_MAX
    """Seconds that a user may have a server."""
    volumes_are_directories: bool = True
    """A server can make files of its own in its user's volume."""
    volume_bytes: int | None = None
    """Size of the largest file that a server can write."""
    server_uids: ServerUids | None = None
    """None: servers run under the wrapper's own uid."""
    measure: Callable[[float], str] | None = None
    """The measurement of what a program started at this moment (Unix seconds) was made from."""


class Sidecar:
    def __init__(self, order: Launch, surroundings: Surroundings, listener: Listener) -> None:
        self._order = order
        self._shared = surroundings
        self._listener = listener
        self.directory = surroundings.slots_dir / f"{order.slot}-{order.boot_id}"
        """The server's own, as long as it lives."""
        uids = surroundings.server_uids
        self.server_uid = uids.of(order.slot) if uids else None
        """The uid of the operating system that its server changes to."""
        self.user: Uid | None = None
        """Whose server it has become, for the log."""
        self._handle: Handle | None = None
        self._server_log = ServerLog(self._names, listener.logged)
        self._confined = False
        """It has said that it can leave nothing on the machine; it had met no user then."""
        self._kill_wanted = False
        self._up = asyncio.Event()
        """It has said something, so it can be expected to answer."""

    @property
    def handle(self) -> Handle | None:
        """None while the server is being started."""
        return self._handle

    async def run(self) -> None:
        """The whole life of the process; cancelling ends it.

        The next one in its slot does not wait until this one's directory is cleared away.
        """
        try:
            how = await self._end()
            self._listener.exited(self._order.boot_id, how)
        finally:
            self._clear_away()

    async def _end(self) -> Exit:
        """Live, and say how that ended."""
        try:
            return await self._live()
        except LaunchError as error:
            return Exit(str(error), lasting=error.lasting)
        except OSError as error:
            return Exit(words(error))
        except Exception as error:  # noqa: BLE001  # the slot must become free whatever fails here
            log.error("sidecar_failed", error=error, **self._names())
            return Exit("the wrapper failed at attending to it; its log says how")

    def _clear_away(self) -> None:
        """Have the server's directory removed; if it stays, it is removed when the wrapper starts again."""
        try:
            self._shared.clearing.put(self.directory)
        except OSError as error:
            log.warning("directory_left", boot_id=self._order.boot_id, text=words(error))

    def answer(self, line: str) -> None:
        if self._handle is not None:
            self._handle.answer(line)

    def ask_to_stop(self) -> None:
        if self._handle is not None:
            self._handle.close_stdin()
        else:
            self._kill_wanted = True

    def kill(self) -> None:
        self._kill_wanted = True
        if self._handle is not None:
            self._handle.kill()

    async def _live(self) -> Exit:
        await asyncio.to_thread(self._make_directory)
        purpose = self._order.purpose
        uid = purpose.uid if isinstance(purpose, Dedicated) else None
        place = self._shared.listening.open(uid)
        with contextlib.ExitStack() as stack:
            stack.callback(self._shared.listening.give_back, place)
            ours, theirs = self._channel(stack)
            launched_at = time.time()
            handle = await self._launch(place, uid, theirs)
            try:
                return await self._attend(handle, place, ours, launched_at)
            finally:
                handle.kill()
                await handle.wait()
                handle.close()
                await self._clear_uid()

    async def _clear_uid(self) -> None:
        """Remove what the server has left under its uid, before the slot's next server has the same one."""
        if self.server_uid is None or self._confined:
            return
        found = await asyncio.to_thread(leftovers.clear_away, self.server_uid)
        if found != leftovers.Cleared():
            log.warning("server_left_behind", **self._names(), **asdict(found))

    def _make_directory(self) -> None:
        self.directory.mkdir(0o700, parents=True)
        if self.server_uid is not None:
            os.chown(self.directory, self.server_uid, self.server_uid)

    def _channel(
        self, stack: contextlib.ExitStack
    ) -> tuple[socket.socket, socket.socket] | tuple[None, None]:
        """Our end and the server's, if servers are to have one."""
        if self._shared.registrar is None:
            return None, None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return stack.enter_context(ours), stack.enter_context(theirs)

    async def _launch(self, place: Place, uid: Uid | None, channel: socket.socket | None) -> Handle:
        try:
            return await self._shared.launcher.launch(
                LaunchRequest(
                    slot=self._order.slot,
                    boot_id=self._order.boot_id,
                    host=place.host,
                    port=place.port,
                    fd=place.fd,
                    attest_fd=channel.fileno() if channel else None,
                    slot_dir=self.directory,
                    uid=uid,
                    server_uid=self.server_uid,
                    session_max=self._shared.session_max,
                    volume_bytes=self._shared.volume_bytes,
                )
            )
        finally:
            place.handed_over()
            if channel is not None:
                channel.close()

    async def _answer_all(self, channel: socket.socket, handle: Handle, launched_at: float) -> None:
        """Answer what the server asks, until it closes its end."""
        if self._shared.registrar is None:
            return
        boot_id = self._order.boot_id
        server = Attended(boot_id, partial(self._measure, handle, launched_at))
        try:
            await attend(channel, server, self._shared.registrar, self._hear)
        except Exception as error:  # noqa: BLE001  # the server goes on, and is told by the channel's end
            log.error("channel_failed", error=error, **self._names())

    def _hear(self, said: Said) -> None:
        if isinstance(said, Attested):
            by = said.hardening
            self._confined = all(by.get(layer) in _PROTECTS for layer in _LEAVES_NOTHING)
        self._listener.said(self._order.boot_id, said)

    def _measure(self, handle: Handle, launched_at: float) -> str:
        if handle.measurement is not None:
            return handle.measurement
        if self._shared.measure is None:
            raise EvidenceUnavailableError("this wrapper measures nothing")
        return self._shared.measure(launched_at)

    async def _attend(
        self, handle: Handle, place: Place, channel: socket.socket | None, launched_at: float
    ) -> Exit:
        self._handle = handle
        if self._kill_wanted:
            handle.kill()
        self._listener.launched(self._order.boot_id, place.port)
        others = [asyncio.create_task(self._watch(place.host, place.port), name="server's probe")]
        if channel is not None:
            talk = self._answer_all(channel, handle, launched_at)
            others.append(asyncio.create_task(talk, name="server's channel"))
        readers = [
            asyncio.create_task(self._drain(work), name=f"server's {name}")
            for name, work in (
                ("stdout", self._listen(handle)),
                ("stderr", self._log("stderr", handle.log_lines())),
            )
        ]
        try:
            how = await handle.wait()
            await asyncio.wait(readers, timeout=deadlines.OUTPUT_END)
        finally:
            for task in (*others, *readers):
                task.cancel()
            await asyncio.gather(*others, *readers, return_exceptions=True)
            self._server_log.end()
        return how

    async def _drain(self, reading: Coroutine[object, object, None]) -> None:
        """Read a pipe to its end; a server whose pipe is no longer read would stand still, so it is ended instead."""
        try:
            await reading
        except Exception as error:  # noqa: BLE001  # as it says
            log.error("sidecar_failed", error=error, boot_id=self._order.boot_id)
            self.kill()

    async def _listen(self, handle: Handle) -> None:
        allowed = Bucket(EVENTS_AT_ONCE, EVENT_RATE)
        async for line in handle.lines():
            said = self._shared.events.read(line)
            if said is not None:
                if not self._up.is_set():
                    self._up.set()
                    handle.started()
                self._listener.said(self._order.boot_id, said)
                await spend(allowed)
            else:
                self._server_log.write("stdout", line)

    async def _watch(self, host: str, port: int) -> None:
        await self._up.wait()
        if self._shared.probe is not None:
            await self._shared.probe.until_silent(host, port)
            self._listener.silent(self._order.boot_id)

    async def _log(self, stream: str, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            self._server_log.write(stream, line)

    def _names(self) -> dict[str, object]:
        return {"slot": self._order.slot, "boot_id": self._order.boot_id, "uid": self.user}
