"""Looks at the platform again and again: keeps every reading, and notices parts that were started again."""

import asyncio
import csv
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
from msgspec import Struct

from bench.soak.figures import Figure
from bench.soak.growth import Reading
from bench.soak.looks import Looks, Values
from standby_cli import endpoints
from standby_cli.endpoints import Pids
from standby_cli.layout import Layout

FILE: Final = "readings.csv"
_FIELDS: Final = ("seconds", "part", "figure", "value")


class Observer:
    """Of one platform, while the context lasts."""

    def __init__(self, layout: Layout, directory: Path) -> None:
        self.series: dict[tuple[str, Figure], list[Reading]] = defaultdict(list)
        self.restarts: list[str] = []
        """Parts that were started again, in words."""
        self._layout = layout
        self._looks = Looks(layout)
        self._pids: dict[str, int] = {}
        self._began = time.monotonic()
        self._stream = (directory / FILE).open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._stream)
        self._writer.writerow(_FIELDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._stream.close()

    async def look(self) -> None:
        """Read everything; the files are read in another thread, so that clients go on meanwhile.

        Raises:
            NotRunningError: there is no platform.
        """
        seconds = time.monotonic() - self._began
        pids = endpoints.read(self._layout.endpoints).pids
        self._compare(pids, seconds)
        values = await asyncio.to_thread(self._looks.look, pids)
        self._keep(seconds, values)

    def _compare(self, pids: Pids, seconds: float) -> None:
        present = {"haproxy": pids.haproxy, **pids.wrappers}
        if pids.routing_manager is not None:
            present["routing-manager"] = pids.routing_manager
        for part, pid in present.items():
            before = self._pids.get(part, pid)
            if pid != before:
                self.restarts.append(f"{part} ended ({seconds:.0f} s) and was started again")
        self._pids = present

    def _keep(self, seconds: float, values: Values) -> None:
        for (part, figure), value in values.items():
            self.series[part, figure].append((seconds, value))
            self._writer.writerow((f"{seconds:.1f}", part, figure, f"{value:.6g}"))
        self._stream.flush()


class _Line(Struct):
    """What matters of a log line."""

    event: str = ""
    exc_info: str | None = None


def tracebacks(logs: Path) -> Counter[str]:
    """How many records with a traceback the parts' logs hold, by part and event."""
    return Counter(f"{part} {event}" for part, event in _tracebacks(logs))


def _tracebacks(logs: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(logs.glob("*.log*")):
        with file.open("rb") as lines:
            for line in lines:
                if b"Traceback" in line:
                    yield file.name.partition(".log")[0], _event(line)


def _event(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=_Line).event
    except msgspec.MsgspecError:
        return "(not a log record)"
