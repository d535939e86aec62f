"""Keeps a platform's processes running, and ends them in order.

A part that ends is started again, whatever ended it: a signal says neither who sent it nor why. Only a wrapper whose
exit status says that it was ordered to drain stays away. The pause before a start grows while a part keeps ending, and
is forgotten once it has run for a while. While the platform is still starting, a part that says its settings cannot
work (exit status 78), or that ends again and again, ends the start, so that `standby up` fails soon and says why.
Afterwards such a part is tried again too, with the longest pause: what it lacks may come back (a package upgrade).
Every part dies with the supervisor, however that ends. Each part's output goes to a file of its own.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from standby import deadlines, processes
from standby.logs import EventLog, both_ends
from standby.service import EXIT_CONFIG, EXIT_DRAINED, EXIT_FAILED
from standby_cli.errors import StartError
from standby_cli.layout import Layout
from standby_cli.parts import Part

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
log = EventLog(__name__)


def next_pause(pause: float, ran_for: float) -> float:
    """Seconds to wait before the next start, given the last wait and how long the part ran."""
    return FIRST_PAUSE if ran_for >= STEADY else min(pause * 2, LONGEST_PAUSE)


class Keeper:
    """Keeps one part running."""

    def __init__(self, part: Part, log_file: Path, changed: Callable[[], None]) -> None:
        self.part = part
        self.pid = 0
        """Of its present or last process; 0 before the first, and after it has left for good."""
        self._log_file = log_file
        self._changed = changed
        self._starts_left: int | None = STARTS
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Start the part, and again whenever it ends, until `stop` or until it has left for good.

        Raises:
            StartError: the platform is still starting, and the part cannot run.
        """
        pause = FIRST_PAUSE / 2
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._one_life()
            if self._stopping.is_set():
                return
            log.warning("part_ended", part_name=self.part.name, status=status)
            if status == EXIT_DRAINED:
                self.pid = 0
                self._changed()
                return
            self._give_up_at_start(status)
            ran_for = time.monotonic() - started
            pause = LONGEST_PAUSE if status == EXIT_CONFIG else next_pause(pause, ran_for)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _give_up_at_start(self, status: int) -> None:
        """After `persist` nothing is given up."""
        if self._starts_left is None:
            if status == EXIT_CONFIG:
                log.error("part_cannot_run", part_name=self.part.name, text=self.tail())
            return
        if status == EXIT_CONFIG:
            raise StartError(f"{self.part.name} cannot run with its settings:\n{self.tail()}")
        self._starts_left -= 1
        if not self._starts_left:
            raise StartError(f"{self.part.name} ends as soon as it starts:\n{self.tail()}")

    async def _one_life(self) -> int:
        try:
            process = await self._start()
        except OSError as error:  # no process, descriptor or memory is left now
            log.error("part_not_started", part_name=self.part.name, error=error)
            return EXIT_FAILED
        return await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        with self._log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.part.module,
                env=self.part.environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=processes.dies_with_parent(),
            )
        self.pid = self._process.pid
        self._changed()
        if self._stopping.is_set():
            self._process.terminate()
        return self._process

    def persist(self) -> None:
        """From now on start the part again however often it ends."""
        self._starts_left = None

    async def stop(self, timeout: float) -> None:
        """Ask the part to end, and end it after `timeout` seconds."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout)
        except TimeoutError:
            log.warning("part_killed", part_name=self.part.name, timeout=timeout)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def tail(self) -> str:
        """The part's last lines, for an error text."""
        try:
            lines = self._log_file.read_text(errors="replace").splitlines()
        except OSError as error:
            return f"    ({self._log_file} cannot be read: {error.strerror})"
        shown = (both_ends(line, LINE_HEAD, LINE_TAIL) for line in lines[-LOG_TAIL:])
        return "\n".join(f"    {line}" for line in shown) or "    (nothing)"


class Supervisor:
    """All parts of one platform."""

    def __init__(self, parts: Sequence[Part], layout: Layout) -> None:
        self.changed = asyncio.Event()
        """Set whenever a part has a new process."""
        self._keepers = {
            part.name: Keeper(part, layout.log(part.name), self.changed.set) for part in parts
        }
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(keeper.run(), name=f"keeper of {name}")
            for name, keeper in self._keepers.items()
        ]

    async def gave_up(self) -> None:
        """Waits until a part cannot be kept running, and raises why (StartError)."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    def persist(self) -> None:
        """The platform was ready: from now on start every part again however often it ends."""
        for keeper in self._keepers.values():
            keeper.persist()

    def pid(self, name: str) -> int:
        return self._keepers[name].pid

    def tails(self) -> str:
        """The last lines of every part, for an error text."""
        return "\n".join(f"  {name}:\n{keeper.tail()}" for name, keeper in self._keepers.items())

    async def stop(self) -> None:
        """End the parts in their order; each is gone before the next is asked.

        Wrappers are asked together, because each may let its sessions go on for a while.
        """
        order: dict[str, list[Keeper]] = {}
        for keeper in self._keepers.values():
            order.setdefault(keeper.part.module, []).append(keeper)
        for keepers in order.values():
            timeout = deadlines.WRAPPER_STOP + 1
            await asyncio.gather(*(keeper.stop(timeout) for keeper in keepers))
        await asyncio.gather(*self._tasks, return_exceptions=True)
