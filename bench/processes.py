"""What /proc says about the platform's processes, which come and go while it is read."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from smartgrid_server import database
from standby import processes
from standby_cli.layout import Layout


@dataclass(frozen=True, slots=True)
class Pid:
    """One process for good: pids are reused, pairs are not."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The live process that has this pid now."""
        started = processes.start_time(pid)
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        """A zombie is not."""
        return processes.start_time(self.pid) == self.start_time

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process and to no other; False when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


@dataclass(frozen=True, slots=True)
class Server:
    """A live server process, known by its working directory, however it was started and whoever its parent is."""

    process: Pid
    wrapper: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process uses now; memory in KiB."""

    anonymous: int
    """What no file holds: heap, stacks, changed data."""
    descriptors: int
    threads: int


def usage(pid: int) -> Usage:
    """Read it all.

    Raises:
        OSError: the process is gone, or must not be looked at.
    """
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # hot
    threads = len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    return Usage(_memory(pid)["Anonymous"], descriptors, threads)


def proportional_set_size(pid: int) -> int:
    """KiB; a page that n processes share counts 1/n.

    Raises:
        OSError: the process is gone, or must not be looked at.
    """
    return _memory(pid)["Pss"]


def descendants(pid: int) -> list[int]:
    """Every process that it or one of its descendants has started, and that lives."""
    try:
        return [each.pid for each in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def servers(layout: Layout) -> Iterator[Server]:
    """Every live server process of the platform, in order of wrapper and slot."""
    root = layout.root / "wrappers"
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            place = _slot(directory, root)
            process = Pid.of(int(directory.name)) if place else None
            if place and process:
                found.append((place, process))
    for place, process in sorted(found, key=lambda each: each[0]):
        wrapper, _, slot = place.relative_to(root).parts
        yield Server(process, wrapper, slot.rpartition("-")[2])


def writes(server: Pid, volumes: Path) -> str | None:
    """The user below `volumes` whose database the process has open for writing."""
    try:
        for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
            file = descriptor.readlink()
            if file.name == database.FILE_NAME and file.is_relative_to(volumes):
                info = Path(f"/proc/{server.pid}/fdinfo/{descriptor.name}").read_text("ascii")
                if _may_write(info):
                    return file.relative_to(volumes).parts[0]
    except OSError:  # it has closed the file, or ended
        return None
    return None


def _slot(directory: Path, root: Path) -> Path | None:
    """`<root>/<wrapper>/slots/<slot>-<boot id>` if the process works there."""
    try:
        place = (directory / "cwd").readlink()
    except OSError:
        return None
    inside = place.is_relative_to(root) and place.parent.name == "slots"
    return place if inside else None


def _memory(pid: int) -> dict[str, int]:
    """KiB by name; a process that is about to end has no memory any more."""
    found = {"Pss": 0, "Anonymous": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]:
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0])
    return found


def _may_write(info: str) -> bool:
    flags = next((line for line in info.splitlines() if line.startswith("flags:")), "flags: 0")
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
