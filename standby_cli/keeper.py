"""Keeps one part running: its present process, the ones whose places it has taken, and whether one is wanted at all.

A part that ends is started again, whatever ended it: a signal says neither who sent it nor why. Only a part that was
asked to leave stays away: by `leave`, or by an order to its own API, which its exit status then tells. The pause before
a start grows while a part keeps ending, and is forgotten once it has run for a while.

While the platform is still starting, a part that says its settings cannot work (exit status 78), or that ends again and
again, ends the start, so that `standby up` fails soon and says why. Afterwards such a part is tried again too, with the
longest pause: what it lacks may come back (a package upgrade).

`replace` starts a process beside the present one, and lets that one go only when the new one has said that it serves.
So whatever is wrong with the new one costs nothing.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from standby import deadlines, processes
from standby.exit_codes import EXIT_CONFIG, EXIT_DRAINED, EXIT_FAILED
from standby.logs import EventLog, both_ends
from standby.text import visible
from standby_cli.errors import ConfigurationError, StartError
from standby_cli.part_log import PartLog
from standby_cli.part_record import PartRecord
from standby_cli.parts import Part
from standby_cli.readiness import Readiness

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
STEADY: Final = 10.0
"""Seconds after which a part counts as running well, and its next failure as a first one."""
STARTS: Final = 3
"""How often a part may end before the platform has been ready once."""
LOG_TAIL: Final = 3
LINE_HEAD: Final = 100
LINE_TAIL: Final = 300
"""Characters of a log line that an error text shows; the end of a traceback says the most."""
Process = asyncio.subprocess.Process
log = EventLog(__name__)


def next_pause(pause: float, ran_for: float) -> float:
    """Seconds to wait before the next start, given the last wait and how long the part ran."""
    return FIRST_PAUSE if ran_for >= STEADY else min(pause * 2, LONGEST_PAUSE)


class Keeper:
    """Keeps one part running."""

    def __init__(self, part: Part, output: PartLog, changed: Callable[[], None]) -> None:
        self.part = part
        """As the next process will be started."""
        self.pid = 0
        """Of its present or last process; 0 before the first, and while none is wanted."""
        self.wanted = True
        """Whether it shall run; false once it was asked to leave."""
        self.record = PartRecord(name=part.name, since=time.monotonic())
        """What is known of it, for people."""
        self._output = output
        self._changed = changed
        self._starts_left: int | None = STARTS
        self._stopping = False
        self._wake = asyncio.Event()
        self._vacant = asyncio.Event()
        self._process: Process | None = None
        self._replaced = asyncio.Event()
        self._replacing = asyncio.Lock()
        self._former: dict[Process, asyncio.Task[None]] = {}
        """Processes that end in their own time, with the tasks that wait for it."""

    async def run(self) -> None:
        """Start the part, and again whenever it ends while it is wanted, until `stop`.

        Raises:
            StartError, ConfigurationError: the platform is still starting, and the part cannot run.
        """
        pause = FIRST_PAUSE / 2
        while not self._stopping:
            if not self.wanted:
                self._left()
                pause = FIRST_PAUSE / 2
                await self._woken(None)
                continue
            started = time.monotonic()
            status = await self._one_life()
            self.record = self.record.ended(status, time.monotonic())
            if status == EXIT_DRAINED:
                self.wanted = False
            if self._asked_to_end():
                continue
            log.warning("part_ended", part_name=self.part.name, how=self.record.last_exit)
            self._changed()
            self._give_up_at_start(status)
            ran_for = time.monotonic() - started
            pause = LONGEST_PAUSE if status == EXIT_CONFIG else next_pause(pause, ran_for)
            await self._woken(pause)

    def persist(self) -> None:
        """From now on start the part again however often it ends."""
        self._starts_left = None

    def leave(self) -> None:
        """Ask the part to end, and start it no more; past the time it has for that it is ended."""
        self.wanted = False
        self._wake.set()
        if self._process is not None:
            self._let_go(self._process, signal.SIGTERM, self.part.lingers)

    def come_back(self, part: Part) -> None:
        """Start the part again, like this; a process that is still leaving ends first."""
        self.part = part
        self.wanted = True
        self._wake.set()

    async def until_left(self) -> None:
        """Return once no process is left of a part that was asked to leave."""
        await self._vacant.wait()

    async def replace(self, part: Part) -> None:
        """Put a new process, started like `part`, in the place of the present one, without a gap between them.

        Raises:
            StartError: the new one does not serve; the present one goes on.
        """
        async with self._replacing:
            former = self._process
            process = await self._start_serving(part)
            self.part = part
            self._take(process)
            self._replaced.set()
        if former is not None:
            self._let_go(former, part.farewell or signal.SIGTERM, part.lingers)

    async def stop(self, timeout: float) -> None:
        """Ask the part to end, and end it after `timeout` seconds."""
        self._stopping = True
        self._wake.set()
        left = {*self._former, *([self._process] if self._process else [])}
        await asyncio.gather(*(_stop(each, timeout, self.part.name) for each in left))
        await asyncio.gather(*self._former.values())
        self._output.close()

    def tail(self) -> str:
        """The part's last lines, for an error text."""
        lines = self._output.recent()[-LOG_TAIL:]
        shown = (both_ends(line, LINE_HEAD, LINE_TAIL) for line in lines)
        return "\n".join(f"    {line}" for line in shown) or "    (nothing)"

    def _reason(self) -> str:
        """Why the part says that it cannot run: its last line that is no record."""
        lines = [line for line in self._output.recent() if not line.startswith("{")]
        said = lines[-1].removeprefix(f"{self.part.module}: ") if lines else "it did not say why"
        return both_ends(visible(said), LINE_HEAD, LINE_TAIL)

    async def _one_life(self) -> int:
        async with self._replacing:
            if self._process is None or self._process.returncode is not None:
                try:
                    process = await self._start(self.part)
                except OSError as error:  # no process, descriptor or memory is left now
                    log.error("part_not_started", part_name=self.part.name, error=error)
                    return EXIT_FAILED
                self._take(process)
        return await self._present_ends()

    async def _present_ends(self) -> int:
        """The exit status of the present process, whichever that is by then."""
        while True:
            process = self._process
            assert process is not None  # noqa: S101  # only called while there is one
            self._replaced.clear()
            ended = asyncio.create_task(process.wait())
            replaced = asyncio.create_task(self._replaced.wait())
            try:
                await asyncio.wait({ended, replaced}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (ended, replaced):
                    task.cancel()
            async with self._replacing:
                if process is self._process and process.returncode is not None:
                    return process.returncode

    async def _start_serving(self, part: Part) -> Process:
        """A process that has said that it serves.

        Raises:
            StartError: it has not, and was ended.
        """
        readiness, serves = Readiness(), False
        try:
            process = await self._start(part, readiness)
        except OSError as error:
            raise StartError(
                f"a new {part.name} cannot be started, the old one goes on: {error}"
            ) from error
        finally:
            readiness.handed_over()
        try:
            async with asyncio.timeout(deadlines.PART_START):
                serves = await readiness.serves()
        except TimeoutError:
            log.warning("part_not_serving", part_name=part.name, seconds=deadlines.PART_START)
        finally:
            if not serves:
                await _stop(process, 0, part.name)
        if not serves:
            raise StartError(f"a new {part.name} does not run, the old one goes on:\n{self.tail()}")
        return process

    async def _start(self, part: Part, readiness: Readiness | None = None) -> Process:
        with self._output.pipe() as output:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                part.module,
                env={**part.environ, **(readiness.environ if readiness else {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(readiness.descriptor,) if readiness else (),
                start_new_session=True,
                preexec_fn=processes.dies_with_parent(),
            )

    def _take(self, process: Process) -> None:
        self._process = process
        self._vacant.clear()
        self.pid = process.pid
        self.record = self.record.started(self.pid, time.monotonic())
        self._changed()
        if self._asked_to_end():
            _signal(process, signal.SIGTERM)

    def _asked_to_end(self) -> bool:
        return self._stopping or not self.wanted

    def _left(self) -> None:
        if self.pid:
            log.info("part_left", part_name=self.part.name)
            self.pid = 0
            self.record = self.record.left(time.monotonic())
            self._changed()
        self._vacant.set()

    def _let_go(self, process: Process, farewell: signal.Signals, timeout: float | None) -> None:
        """Ask the process to end in its own time, but no later than after the timeout."""
        if process.returncode is None and process not in self._former:
            _signal(process, farewell)
            self._former[process] = asyncio.create_task(self._see_off(process, timeout))

    async def _see_off(self, process: Process, timeout: float | None) -> None:
        try:
            await asyncio.wait_for(process.wait(), timeout)
        except TimeoutError:
            await _stop(process, 0, self.part.name)
        del self._former[process]

    def _give_up_at_start(self, status: int) -> None:
        """After `persist` nothing is given up."""
        if self._starts_left is None:
            if status == EXIT_CONFIG:
                log.error("part_cannot_run", part_name=self.part.name, text=self.tail())
            return
        if status == EXIT_CONFIG:
            raise ConfigurationError(
                f"{self.part.name} cannot work with its settings: {self._reason()}"
            )
        self._starts_left -= 1
        if not self._starts_left:
            raise StartError(f"{self.part.name} ends as soon as it starts:\n{self.tail()}")

    async def _woken(self, timeout: float | None) -> None:
        """Return when something is wanted of this keeper, or after the timeout."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)


async def _stop(process: Process, timeout: float, name: str) -> None:
    """Ask the process to end, and end it after `timeout` seconds."""
    _signal(process, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), timeout)
    except TimeoutError:
        log.warning("part_killed", part_name=name, timeout=timeout)
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
