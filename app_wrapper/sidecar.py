"""The shell around one server process: starts it, hears what it says, passes on what it is told, and sees it off.

It decides nothing. Its listener is told that the process exists, each event, that it has stopped answering, and once,
at the very end, that nothing of it is left; by then every line it printed has been heard, so a LOGOUT just before the
exit is not lost.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app_wrapper.actions import Launch
from app_wrapper.events import EventReader, Said
from app_wrapper.launchers import Exit, Handle, Launcher, LaunchError, LaunchRequest
from app_wrapper.listening import Listening, Place
from app_wrapper.output import LOG_LENGTH, LogGate
from app_wrapper.probe import Probe
from app_wrapper.process import Dedicated
from standby import deadlines
from standby.ids import BootId, Uid
from standby.logs import EventLog

log = EventLog(__name__)


class Listener(Protocol):
    """Who is told; the calls come from the event loop and do not wait."""

    def launched(self, boot_id: BootId, port: int) -> None: ...
    def said(self, boot_id: BootId, said: Said) -> None: ...
    def silent(self, boot_id: BootId) -> None: ...
    def exited(self, boot_id: BootId, how: Exit) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sidecars of a wrapper share."""

    launcher: Launcher
    listening: Listening
    events: EventReader
    slots_dir: Path
    probe: Probe | None
    """None: nobody asks whether servers still answer."""


class Sidecar:
    def __init__(self, order: Launch, surroundings: Surroundings, listener: Listener) -> None:
        self._order = order
        self._shared = surroundings
        self._listener = listener
        self._directory = surroundings.slots_dir / f"{order.slot}-{order.boot_id}"
        self._handle: Handle | None = None
        self._gate = LogGate()
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
            await self._clear_away()

    async def _end(self) -> Exit:
        """Live, and say how that ended."""
        try:
            return await self._live()
        except LaunchError as error:
            return Exit(str(error), lasting=error.lasting)
        except OSError as error:
            return Exit(str(error))
        except Exception as error:  # noqa: BLE001  # the slot must become free whatever fails here
            log.error("sidecar_failed", error=error, boot_id=self._order.boot_id)
            return Exit("the wrapper failed at attending to it; its log says how")

    async def _clear_away(self) -> None:
        """Remove the server's directory; whatever is left of it is removed when the wrapper starts again."""
        try:
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
        except Exception as error:  # noqa: BLE001  # as above; rmtree does raise what comes before the first entry
            log.warning("directory_left", boot_id=self._order.boot_id, text=repr(error))

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
        await asyncio.to_thread(self._directory.mkdir, 0o700, parents=True)
        purpose = self._order.purpose
        uid = purpose.uid if isinstance(purpose, Dedicated) else None
        place = self._shared.listening.open(uid)
        try:
            handle = await self._launch(place, uid)
            try:
                return await self._attend(handle, place)
            finally:
                handle.kill()
                await handle.wait()
                handle.close()
        finally:
            self._shared.listening.give_back(place)

    async def _launch(self, place: Place, uid: Uid | None) -> Handle:
        try:
            return await self._shared.launcher.launch(
                LaunchRequest(
                    slot=self._order.slot,
                    boot_id=self._order.boot_id,
                    host=place.host,
                    port=place.port,
                    fd=place.fd,
                    slot_dir=self._directory,
                    uid=uid,
                )
            )
        finally:
            place.handed_over()

    async def _attend(self, handle: Handle, place: Place) -> Exit:
        self._handle = handle
        if self._kill_wanted:
            handle.kill()
        self._listener.launched(self._order.boot_id, place.port)
        watch = asyncio.create_task(self._watch(place.host, place.port), name="server's probe")
        readers = [
            asyncio.create_task(self._listen(handle), name="server's stdout"),
            asyncio.create_task(self._log("stderr", handle.log_lines()), name="server's stderr"),
        ]
        try:
            how = await handle.wait()
            await asyncio.wait(readers, timeout=deadlines.OUTPUT_END)
        finally:
            for task in (watch, *readers):
                task.cancel()
            await asyncio.gather(watch, *readers, return_exceptions=True)
            self._report_stopped_lines()
        return how

    async def _listen(self, handle: Handle) -> None:
        async for line in handle.lines():
            said = self._shared.events.read(line)
            if said is not None:
                if not self._up.is_set():
                    self._up.set()
                    handle.started()
                self._listener.said(self._order.boot_id, said)
            else:
                self._pass_on("stdout", line)

    async def _watch(self, host: str, port: int) -> None:
        await self._up.wait()
        if self._shared.probe is not None:
            await self._shared.probe.until_silent(host, port)
            self._listener.silent(self._order.boot_id)

    async def _log(self, stream: str, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            self._pass_on(stream, line)

    def _pass_on(self, stream: str, line: str) -> None:
        if self._gate.admit(asyncio.get_running_loop().time()):
            self._report_stopped_lines()
            log.info("server_output", **self._names(), stream=stream, text=line[:LOG_LENGTH])

    def _report_stopped_lines(self) -> None:
        if stopped := self._gate.take_stopped():
            log.warning("server_output_dropped", **self._names(), lines=stopped)

    def _names(self) -> dict[str, object]:
        return {"slot": self._order.slot, "boot_id": self._order.boot_id}
