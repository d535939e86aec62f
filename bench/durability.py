"""What it costs that an acknowledged write is on disk: `python -m bench.durability`.

The same writes with SQLite's `synchronous` at FULL (what the server uses: every commit waits for the disk), NORMAL
(a power loss may take back the last commits) and OFF (so may a crash of the machine, and the file may be damaged), in
turn, in one process and on one file system. Beside them the file system's own cost of making 4 KiB durable. Values are
milliseconds per request, without HTTP and TLS.

Not comparable between machines: a virtual disk may promise more than it keeps, and a cache with a battery costs less.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.spread import Spread, spread
from smartgrid_server import cipher, database
from smartgrid_server.database import Database
from smartgrid_server.messages import Alarm
from standby.secret import Secret
from standby_cli import commands

LEVELS: Final = ("FULL", "NORMAL", "OFF")
_ROUND: Final = 20
"""Requests of one kind before the next variant has its turn."""
_FIRST: Final = 1_600_000_000
_INTERVAL: Final = 15
"""Seconds between two readings, as the dissertation's meters."""
_BATCHES: Final = {"LONG_WRITE of 1 h": 240, "LONG_WRITE of 12 h": 2880}
"""Readings; the dissertation's shortest and longest batch (section 5.2.1)."""
_ALARM: Final = "WRITE of 1 alarm"


class Result(Struct, frozen=True, kw_only=True):
    """`--json`."""

    milliseconds: dict[str, dict[str, Spread]]
    """By request and by level of `synchronous`."""
    ratios: dict[str, float]
    """By request: median at FULL ÷ median at NORMAL."""
    fsync_milliseconds: Spread
    directory: str
    """The kind of file system that was written to."""
    versions: dict[str, str]
    machine: dict[str, str | int | float]


class Writer:
    """A database at one level of `synchronous`."""

    def __init__(self, file: Path, level: str) -> None:
        key = Secret(os.urandom(32))
        database.create(file, key)
        connection = cipher.connect(file, key)
        connection.execute(f"PRAGMA synchronous={level}")
        self._database = Database(connection)
        self._written = 0

    def batch(self, readings: int) -> None:
        first = _FIRST + self._written * _INTERVAL
        rows = [(first + n * _INTERVAL, 230.0 + n % 7, 0.5, 231.0) for n in range(readings)]
        self._written += readings
        self._database.store(rows)

    def alarm(self) -> None:
        self._database.write_alarms([Alarm(metric="power", threshold=1.5)])

    def close(self) -> None:
        self._database.close()


def measure(directory: Path, rounds: int, tell: Callable[[int], None]) -> Result:
    """Run all variants in turn, `rounds` times; the first round warms up and does not count."""
    values: dict[str, dict[str, list[float]]] = {
        name: {level: [] for level in LEVELS} for name in (_ALARM, *_BATCHES)
    }
    fsyncs: list[float] = []
    with contextlib.ExitStack() as stack:
        writers = {level: Writer(directory / f"{level}.db", level) for level in LEVELS}
        for writer in writers.values():
            stack.callback(writer.close)
        for number in range(rounds + 1):
            fresh = {
                name: {level: list(_timed(name, writers[level])) for level in LEVELS}
                for name in values
            }
            if number:
                fsyncs += _fsyncs(directory / "plain")
                for name, by_level in fresh.items():
                    for level, taken in by_level.items():
                        values[name][level] += taken
            tell(number)
    spreads = {
        name: {level: spread(taken) for level, taken in by_level.items()}
        for name, by_level in values.items()
    }
    return Result(
        milliseconds=spreads,
        ratios={name: _ratio(by_level) for name, by_level in spreads.items()},
        fsync_milliseconds=spread(fsyncs),
        directory=_file_system(directory),
        versions=machine.versions(),
        machine=machine.facts(),
    )


def _timed(name: str, writer: Writer) -> Iterator[float]:
    """Milliseconds of each request of one turn."""
    for _ in range(_ROUND):
        began = time.perf_counter()
        if name == _ALARM:
            writer.alarm()
        else:
            writer.batch(_BATCHES[name])
        yield (time.perf_counter() - began) * 1000


def _fsyncs(file: Path) -> Iterator[float]:
    with file.open("wb", buffering=0) as stream:
        for _ in range(_ROUND):
            began = time.perf_counter()
            stream.write(bytes(4096))
            os.fsync(stream.fileno())
            yield (time.perf_counter() - began) * 1000


def _ratio(by_level: dict[str, Spread]) -> float:
    full, normal = by_level["FULL"].p50, by_level["NORMAL"].p50
    return full / normal if full and normal else float("nan")


def _file_system(directory: Path) -> str:
    """The type of the file system that holds the directory, by the longest mount point that leads to it."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    leading = [(point, kind) for point, kind in mounts if directory.is_relative_to(point)]
    return max(leading, key=lambda pair: len(pair[0]))[1]


@click.command()
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Where to write.  [default: the directory for temporary files]",
)
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True)
@commands.json_file
def main(directory: Path | None, rounds: int, json_file: Path | None) -> None:
    """Measure what it costs that an acknowledged write is on disk."""
    progress = Console(stderr=True)

    def tell(number: int) -> None:
        if progress.is_terminal:
            progress.print(f"round {number} of {rounds}", end="\r")

    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        result = measure(Path(scratch).resolve(), rounds, tell)
    if json_file is not None:
        commands.write_json(result, json_file)
    _show(result, Console())


def _show(result: Result, console: Console) -> None:
    table = Table(title=f"milliseconds per request on {result.directory}", box=None)
    for heading in ("request", "synchronous", "p50", "p99", "max"):
        table.add_column(
            heading, justify="left" if heading in {"request", "synchronous"} else "right"
        )
    for name, by_level in result.milliseconds.items():
        for level, values in by_level.items():
            table.add_row(name, level, *map(_figure, (values.p50, values.p99, values.max)))
    fsync = result.fsync_milliseconds
    table.add_row("fsync of 4 KiB", "", *map(_figure, (fsync.p50, fsync.p99, fsync.max)))
    console.print(table)
    for name, ratio in result.ratios.items():
        console.print(f"{name}: FULL costs {ratio:.2f} times NORMAL")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    commands.run(main, "python -m bench.durability")
