"""All parts of one platform: each has a keeper (`standby_cli.keeper`), and all are ended in order.

Every part dies with the supervisor, however that ends. Each part's output goes to files of its own (`part_log`).
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from standby import deadlines
from standby_cli.keeper import Keeper
from standby_cli.layout import Layout
from standby_cli.part_log import PartLog
from standby_cli.part_record import PartRecord
from standby_cli.parts import Part
from standby_cli.settings import Settings

TIMEOUT: Final = deadlines.WRAPPER_STOP + 1
"""Seconds a part has to end when it is asked to."""
_DEFAULT: Final = Settings()


class Supervisor:
    """All parts of one platform."""

    def __init__(self, parts: Sequence[Part], layout: Layout, limits: Settings = _DEFAULT) -> None:
        """`limits`: of the parts' logs."""
        self.changed = asyncio.Event()
        """Set whenever a part has a new process, or none."""
        self._layout = layout
        self._settings = limits
        self._keepers: dict[str, Keeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for part in parts:
            self._add(part)

    def start(self) -> None:
        for name in self._keepers:
            self._run(name)

    def add(self, part: Part) -> None:
        """Run one more part, to be stopped before all others; `gave_up` says if it cannot run."""
        others, self._keepers = self._keepers, {}
        self._add(part)
        self._keepers |= others
        self._run(part.name)

    async def remove(self, name: str) -> None:
        """Know the part no more, if it is known; if it runs it is ended as at the end of the platform."""
        if keeper := self._keepers.get(name):
            await keeper.stop(TIMEOUT)
            await asyncio.gather(self._tasks.pop(name), return_exceptions=True)
            del self._keepers[name]
            self.changed.set()

    def names(self) -> list[str]:
        """In the order in which parts are stopped."""
        return list(self._keepers)

    def keeper(self, name: str) -> Keeper:
        return self._keepers[name]

    async def gave_up(self) -> None:
        """Waits until a part cannot be kept running, and raises why (StartError)."""
        done, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    def persist(self) -> None:
        """The platform was ready: from now on start every part again however often it ends."""
        for keeper in self._keepers.values():
            keeper.persist()

    def pid(self, name: str) -> int:
        return self._keepers[name].pid

    def records(self) -> list[PartRecord]:
        """What is known of every part."""
        return [keeper.record for keeper in self._keepers.values()]

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
            await asyncio.gather(*(keeper.stop(TIMEOUT) for keeper in keepers))
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _add(self, part: Part) -> None:
        output = PartLog(part.name, self._layout.log(part.name), self._settings)
        self._keepers[part.name] = Keeper(part, output, self.changed.set)

    def _run(self, name: str) -> None:
        run = self._keepers[name].run()
        self._tasks[name] = asyncio.create_task(run, name=f"keeper of {name}")
