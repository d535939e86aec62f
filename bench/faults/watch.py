"""Looks at every server process again and again: do two of them have the same user's database open for writing?

Evidence that depends on none of the platform's parts, only on the kernel's. A look takes time, so one process may
close its file before another one's is seen open; two writers are only claimed when the first still has the file open
after the second was seen with it, because a server never opens its database twice.
"""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from bench import processes
from bench.faults.history import Writer
from bench.processes import Server
from standby_cli.layout import Layout

PERIOD: Final = 0.05
"""Seconds between two looks."""


class TwoWriters(Struct, frozen=True, kw_only=True, tag="two_writers"):
    """Two live processes had one user's database open at the same time."""

    uid: str
    at: float
    """On the machine's monotonic clock."""
    pids: tuple[int, int]
    boot_ids: tuple[str, str]


class Watch:
    """Looks while the context lasts, in a thread of its own."""

    def __init__(self, layout: Layout, writer: Writer) -> None:
        self.looks = 0
        self.opens: set[tuple[str, str]] = set()
        """Every user and boot id that was seen with the user's database; shows that the watch sees at all."""
        self.found: list[TwoWriters] = []
        self._told: set[tuple[str, tuple[str, ...]]] = set()
        self._layout = layout
        self._writer = writer
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        self._running = self._threads.submit(self._run)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._over.set()
        self._threads.shutdown()
        if self._running is not None:
            self._running.result()  # a watch that failed on the way has seen nothing since

    def _run(self) -> None:
        while not self._over.wait(PERIOD):
            self._look()

    def _look(self) -> None:
        self.looks += 1
        seen: dict[str, list[Server]] = {}
        for server in processes.servers(self._layout):
            uid = self._writes(server)
            if uid is None:
                continue
            self.opens.add((uid, server.boot_id))
            for earlier in seen.get(uid, []):
                if self._writes(earlier) == uid and earlier.process.alive:
                    self._tell(uid, earlier, server)
            seen.setdefault(uid, []).append(server)

    def _writes(self, server: Server) -> str | None:
        return processes.writes(server.process, self._layout.volumes)

    def _tell(self, uid: str, first: Server, second: Server) -> None:
        boot_ids = tuple(sorted((first.boot_id, second.boot_id)))
        if (uid, boot_ids) in self._told:
            return
        self._told.add((uid, boot_ids))
        two = TwoWriters(
            uid=uid,
            at=time.monotonic(),
            pids=(first.process.pid, second.process.pid),
            boot_ids=(first.boot_id, second.boot_id),
        )
        self.found.append(two)
        self._writer.write(two)
