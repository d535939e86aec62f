"""Carries out the faults, one at a time: the next one waits until the part is back, and a pause longer.

A part is back when the supervisor has published its new process and it is ready (HAProxy: accepts connections); a
server when it is gone, since what replaces it is another one. A stopped process is always continued, however the run
ends. A flood is a fault like any other: it has a beginning and an end, and clients are served meanwhile, or not.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from bench.faults import targets
from bench.faults.history import Injected, Writer
from bench.faults.plan import Deed, Fault, Kind
from bench.faults.targets import Target
from bench.stranger import Stranger
from smartgrid_client.schedule import reached
from standby import deadlines
from standby_cli import endpoints
from standby_cli.control import Control
from standby_cli.layout import Layout

BACK: Final = deadlines.SERVER_START
"""Seconds a killed part has to be back; then the run goes on and its record says so."""
BACK_FROM_DRAIN: Final = deadlines.WRAPPER_STOP + BACK
"""Seconds for a part that was asked to end; a wrapper lets sessions go on first."""
MADE_UP: Final = 100.0
"""Connections a second of a flood; more would test the machine that the clients share with the platform."""
_HALF: Final = 2
"""Every second of them sends half a ClientHello."""
_SIGNALS: Final = {Deed.KILL: signal.SIGKILL, Deed.TERMINATE: signal.SIGTERM}
_PAUSE: Final = 0.02


class Injector:
    """One run's faults."""

    def __init__(
        self, layout: Layout, calls: Control, writer: Writer, told: Callable[[Injected], None]
    ) -> None:
        self._layout = layout
        self._calls = calls
        self._writer = writer
        self._told = told
        self._count = 0
        self.made_up = 0
        """Made-up names that were sent so far."""

    async def run(self, plan: Iterable[Fault], stop: asyncio.Event) -> None:
        """Follow the plan until `stop`; the fault under way is brought to its end."""
        now = asyncio.get_running_loop().time
        for fault in plan:
            if not await reached(now() + fault.pause, stop):
                return
            if fault.deed is Deed.FLOOD:
                await self._flood(fault, stop)
            elif (target := targets.find(fault, self._layout)) is not None:
                await self._inject(fault, target, stop)

    async def _inject(self, fault: Fault, target: Target, stop: asyncio.Event) -> None:
        began = time.monotonic()
        if fault.deed is Deed.STOP:
            hit, back = await self._stop(target, fault.lasts, stop), True
        else:
            hit, back = await self._end(fault.deed, target)
        if hit:  # else it had ended by itself just now
            self._record(fault, began, target, back=back)

    async def _flood(self, fault: Fault, stop: asyncio.Event) -> None:
        began = time.monotonic()
        balancer = endpoints.read(self._layout.endpoints).lb
        stranger = Stranger(balancer.host, balancer.port, MADE_UP, half=_HALF)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(stranger.run(over))
            try:
                await reached(asyncio.get_running_loop().time() + fault.lasts, stop)
            finally:
                over.set()
        self.made_up += stranger.sent.hellos
        self._record(fault, began, None, back=True)

    def _record(self, fault: Fault, began: float, target: Target | None, *, back: bool) -> None:
        self._count += 1
        record = Injected(
            number=self._count,
            kind=fault.kind,
            deed=fault.deed,
            name=target.name if target else fault.kind,
            pid=target.process.pid if target else 0,
            began=began,
            ended=time.monotonic(),
            back=back,
            boot_id=target.boot_id if target else None,
            uid=target.uid if target else None,
        )
        self._writer.write(record)
        self._told(record)

    async def _end(self, deed: Deed, target: Target) -> tuple[bool, bool]:
        if not target.process.send(_SIGNALS[deed]):
            return False, False
        try:
            async with asyncio.timeout(BACK if deed is Deed.KILL else BACK_FROM_DRAIN):
                await self._until_back(target)
        except TimeoutError:
            return True, False
        return True, True

    async def _stop(self, target: Target, seconds: float, stop: asyncio.Event) -> bool:
        try:
            if not target.process.send(signal.SIGSTOP):
                return False
            await reached(asyncio.get_running_loop().time() + seconds, stop)
        finally:
            target.process.send(signal.SIGCONT)
        return True

    async def _until_back(self, target: Target) -> None:
        await _until(_is(lambda: not target.process.alive))
        if target.kind is Kind.SERVER:
            return
        await _until(_is(lambda: self._pid(target) not in {0, target.process.pid}))
        await _until(lambda: self._ready(target))

    def _pid(self, target: Target) -> int:
        running = endpoints.read(self._layout.endpoints)
        return targets.pids(running)[target.kind].get(target.name, 0)

    async def _ready(self, target: Target) -> bool:
        running = endpoints.read(self._layout.endpoints)
        if target.kind is Kind.HAPROXY:
            return await accepts(running.lb.host, running.lb.port)
        urls = {each.id: each.url for each in running.wrappers}
        manager = running.routing_manager
        url = manager.url if target.kind is Kind.ROUTING_MANAGER and manager else urls[target.name]
        return await self._calls.is_ready(f"{url}/readyz")


async def accepts(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _is(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return condition()

    return asked


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once it holds; the caller sets the deadline."""
    while not await condition():  # noqa: ASYNC110  # other processes' ends have no event here
        await asyncio.sleep(_PAUSE)
