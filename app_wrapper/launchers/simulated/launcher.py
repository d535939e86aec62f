"""The launcher of simulated enclaves: another launcher's servers, later and larger. It protects nothing.

A server's output is held back until an enclave would have started, counted from the launch, so a program that takes
longer by itself is not slowed further. The answer VOLUME is held back while the pages for a LOGIN would be brought into
the EPC; what follows it waits with it. The end of a server ends all of this: what it said can be read at once.

The launcher within should start a process for each server: an enclave cannot be forked.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from random import Random

from app_wrapper.launchers import Exit, Handle, Launcher, LaunchError, LaunchRequest
from app_wrapper.launchers.simulated.epc import Epc, Paged
from app_wrapper.launchers.simulated.heap import Heap
from app_wrapper.launchers.simulated.parameters import Parameters, StartTime
from standby.ids import BootId
from standby.lines import LineError, Volume, parse_answer
from standby.logs import EventLog

log = EventLog(__name__)


class SimulatedEnclaveLauncher:
    def __init__(
        self, inner: Launcher, parameters: Parameters, start: StartTime, random: Random
    ) -> None:
        """`start` is one of the parameters'; `random` decides each start's time."""
        self.on_paging: Callable[[int], None] = lambda _pages: None
        """Told how many pages were moved, in or out."""
        self._inner = inner
        self._memory = parameters.memory
        self._size = parameters.epc
        self._start = start
        self._random = random
        self._epc = Epc(parameters.epc.pages)

    @property
    def heap_bytes(self) -> int:
        """Taken by all simulated enclaves that there are."""
        return self._epc.enclaves * self._memory.heap_bytes

    async def launch(self, request: LaunchRequest) -> "SimulatedEnclave":
        now = asyncio.get_running_loop().time()
        heap = await self._heap(request.boot_id)
        paged = self._moved(self._epc.allocate(request.boot_id, self._memory.heap_pages))
        try:
            inner = await self._inner.launch(request)
        except BaseException:
            self._epc.free(request.boot_id)
            await heap.closed()
            raise
        seconds = self._start.draw(self._random) + self._size.seconds(paged.out)
        log.info(
            "simulated_enclave",
            boot_id=request.boot_id,
            start_seconds=round(seconds, 3),
            paged_out=paged.out,
        )
        return SimulatedEnclave(
            inner,
            heap,
            now + seconds,
            login=partial(self._log_in, request.boot_id),
            ended=partial(self._epc.free, request.boot_id),
        )

    def trouble(self) -> str | None:
        return self._inner.trouble()

    async def close(self) -> None:
        await self._inner.close()

    async def _heap(self, boot_id: BootId) -> Heap:
        try:
            return await Heap.take(boot_id, self._memory.heap_bytes)
        except OSError as error:
            mebibytes = self._memory.heap
            raise LaunchError(f"no {mebibytes} MiB for a simulated enclave: {error}") from error

    def _log_in(self, boot_id: BootId) -> float:
        """Seconds until the pages for a LOGIN are there."""
        paged = self._moved(self._epc.touch(boot_id, self._memory.login_pages))
        return self._size.seconds(paged.into)

    def _moved(self, paged: Paged) -> Paged:
        self.on_paging(paged.out + paged.into)
        return paged


class SimulatedEnclave:
    """A server that is heard, and answered, as late as one in an enclave would be."""

    def __init__(
        self,
        inner: Handle,
        heap: Heap,
        heard_at: float,
        *,
        login: Callable[[], float],
        ended: Callable[[], None],
    ) -> None:
        """`login` gives the seconds for which a VOLUME is held back; `ended` may be called more than once."""
        self._inner = inner
        self._heap = heap
        self._login = login
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()
        self._starting = self._loop.call_at(heard_at, self._heard.set)
        self._answers: list[str] = []
        """Held back."""
        self._paging: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        return self._inner.pid

    @property
    def start_time(self) -> int | None:
        return self._inner.start_time

    @property
    def measurement(self) -> str | None:
        return self._inner.measurement

    async def lines(self) -> AsyncIterator[str]:
        async for line in self._inner.lines():
            await self._heard.wait()
            yield line

    def log_lines(self) -> AsyncIterator[str]:
        return self._inner.log_lines()

    def started(self) -> None:
        self._inner.started()

    def answer(self, line: str) -> None:
        seconds = self._login() if _is_volume(line) else 0.0
        self._answers.append(line)
        if self._paging is None and seconds > 0:
            self._paging = self._loop.call_later(seconds, self._hand_over)
        elif self._paging is None:
            self._hand_over()

    def close_stdin(self) -> None:
        self._hand_over()
        self._inner.close_stdin()

    def kill(self) -> None:
        self._inner.kill()

    async def wait(self) -> Exit:
        how = await self._inner.wait()
        self._end()
        await self._heap.closed()
        return how

    def close(self) -> None:
        self._end()
        self._inner.close()

    def _hand_over(self) -> None:
        if self._paging is not None:
            self._paging.cancel()
            self._paging = None
        answers, self._answers = self._answers, []
        for line in answers:
            self._inner.answer(line)

    def _end(self) -> None:
        """Nothing is held back any more, and the memory is given back."""
        self._starting.cancel()
        self._heard.set()
        if self._paging is not None:
            self._paging.cancel()
            self._paging = None
        self._answers.clear()
        self._ended()
        self._heap.close()


def _is_volume(line: str) -> bool:
    try:
        return isinstance(parse_answer(line), Volume)
    except LineError:
        return False
